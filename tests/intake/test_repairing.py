"""`weighbridge fsck --repair`: over real servers, real disks' faults, and kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.privileges import ordinary_owner
from tests.services.clamd import signatures
from tests.simulators.hub import Hub
from tests.simulators.pypi import PythonIndex
from tests.simulators.web import Page, WebServer
from weighbridge.cli import app
from weighbridge.domain.digest import Digest
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.piece_sums import HEADER, PIECE, WIDTH

CONTENT = random.Random(7).randbytes(40 * PIECE + 123_456)
DIGEST = Digest.sha256(CONTENT)


class Home:
    """One user's store and catalog, and the command line over them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.store = LocalBlobStore(folder / "home" / "store")

    def run(self, *arguments: str) -> tuple[int, str]:
        self._capsys.readouterr()
        status = app.run(list(arguments))
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return status, captured.out if "--json" in arguments else " ".join(captured.out.split())

    def repair(self, expected: int = 0) -> Any:
        status, out = self.run("fsck", "--repair", "--json")
        assert status == expected, out
        said = json.loads(out)
        assert said["sound"] is (status == 0)
        return said

    def fetch(self, uri: str, digest: Digest = DIGEST) -> Path:
        """Fetch a model and return where its blob is."""
        assert self.run("fetch", uri)[0] == 0
        return self.store.path(digest)

    def whole(self, digest: Digest = DIGEST) -> bool:
        """Whether the blob is here, whole, and nothing of its damage is left."""
        assert self.store.path(digest).stat().st_mode & 0o222 == 0
        assert self.store.unfinished() == 0
        return self.store.check(digest) is None and self.store.corrupt(digest) is None


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Home:
    (tmp_path / "gate.yaml").write_text(
        "name: house\nextends: minimal\nrequired: [archives, clamav, formats, pickles]\nlicence: {unknown: ignore}\n"
    )
    environment = {
        "HOME": str(tmp_path / "home"),
        "POLICY": str(tmp_path / "gate.yaml"),
        "CLAMAV_DATABASE": str(signatures(tmp_path / "signatures")),
        "REGISTRIES": '["export"]',
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"WEIGHBRIDGE_{name}", value)
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path, capsys)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def flip(path: Path, *positions: int) -> None:
    """Change single bytes of a file."""
    path.chmod(0o644)
    with open(path, "r+b") as file:
        for position in positions:
            file.seek(position)
            (old,) = file.read(1)
            file.seek(position)
            file.write(bytes([old ^ 1]))


def ranges(web: WebServer, start: int) -> list[str]:
    """Return what the bodies asked for since a request began with."""
    return [request.headers.get("range", "") for request in web.requests[start:] if request.method == "GET"]


def test_one_changed_byte_costs_one_piece(home: Home, web: WebServer) -> None:
    path = home.fetch(web.put("/model.gguf", CONTENT))
    flip(path, 17 * PIECE + 5)
    asked, sent = len(web.requests), web.bytes_sent
    said = home.repair()
    (repair,) = said["repairs"]
    assert (repair["how"], repair["digest"], repair["note"]) == ("range", str(DIGEST), "")
    assert PIECE <= repair["received"] < 2 * PIECE
    assert ranges(web, asked) == [f"bytes={17 * PIECE}-"]
    assert web.bytes_sent - sent < len(CONTENT) / 2  # What lies in sockets when they close is not read.
    assert home.whole()
    assert home.repair()["repairs"] == []


@pytest.mark.parametrize(
    ("positions", "length", "expected"),
    [
        ((0,), None, [0]),
        ((3 * PIECE, 4 * PIECE + 9, 5 * PIECE), None, [3]),
        ((2 * PIECE, 9 * PIECE - 1, 40 * PIECE + 3), None, [2, 8, 40]),
        ((), 38 * PIECE + 7, [38]),
        ((), 0, [0]),
        ((), len(CONTENT) + 10, []),
    ],
)
def test_only_damaged_pieces_are_asked_for(
    home: Home, web: WebServer, positions: tuple[int, ...], length: int | None, expected: list[int]
) -> None:
    path = home.fetch(web.put("/model.gguf", CONTENT))
    flip(path, *positions)
    if length is not None:
        path.chmod(0o644)
        os.truncate(path, length)
    asked = len(web.requests)
    (repair,) = home.repair()["repairs"]
    assert repair["how"] == "range"
    assert ranges(web, asked) == [f"bytes={piece * PIECE}-" if piece else "" for piece in expected]
    assert home.whole()


def test_a_broken_blob_of_an_earlier_check_is_mended(home: Home, web: WebServer) -> None:
    flip(home.fetch(web.put("/model.gguf", CONTENT)), 5)
    status, told = home.run("fsck")
    assert status == 1
    assert "moved to" in told
    assert [repair["how"] for repair in home.repair()["repairs"]] == ["range"]
    assert home.whole()


def test_the_broken_copy_of_what_was_fetched_again_is_removed(home: Home, web: WebServer) -> None:
    path = home.fetch(web.put("/model.gguf", CONTENT))
    flip(path, 5)
    assert home.run("fsck")[0] == 1
    home.fetch(web.url("/model.gguf"))
    assert home.store.corrupt(DIGEST) is not None
    assert home.repair()["repairs"] == []
    assert home.whole()


def sums_path(home: Home) -> Path:
    return home.store.root / "pieces" / DIGEST.hex[:2] / DIGEST.hex


def test_a_store_without_sums_fetches_anew(home: Home, web: WebServer) -> None:
    flip(home.fetch(web.put("/model.gguf", CONTENT)), 5)
    sums_path(home).unlink()
    (repair,) = home.repair()["repairs"]
    assert (repair["how"], repair["received"]) == ("whole", len(CONTENT))
    assert "no piece sums" in repair["note"]
    assert home.whole()


def test_a_server_without_ranges_gives_the_whole(home: Home, web: WebServer) -> None:
    flip(home.fetch(web.put("/model.gguf", CONTENT, ranges=False)), 30 * PIECE)
    (repair,) = home.repair()["repairs"]
    assert repair["how"] == "whole"
    assert "no ranges" in repair["note"]
    assert home.whole()


def test_damaged_sums_mislead_nobody(home: Home, web: WebServer) -> None:
    flip(home.fetch(web.put("/model.gguf", CONTENT)), 20 * PIECE)
    flip(sums_path(home), len(HEADER) + 3 * WIDTH, len(HEADER) + 9 * WIDTH)
    (repair,) = home.repair()["repairs"]
    assert repair["how"] == "range"
    assert home.whole()
    assert home.store.piece_sums(DIGEST, len(CONTENT)) is not None


def test_sums_and_bytes_damaged_in_one_place_fetch_anew(home: Home, web: WebServer) -> None:
    flip(home.fetch(web.put("/model.gguf", CONTENT)), 20 * PIECE)
    flip(sums_path(home), len(HEADER) + 20 * WIDTH)
    (repair,) = home.repair()["repairs"]
    assert repair["how"] == "whole"
    assert home.whole()


@pytest.mark.parametrize("now", [CONTENT[::-1], CONTENT[:-1], None], ids=["other bytes", "shorter", "gone"])
def test_what_the_source_no_longer_has_stays_broken(home: Home, web: WebServer, now: bytes | None) -> None:
    url = web.put("/model.gguf", CONTENT)
    flip(home.fetch(url), 17 * PIECE)
    if now is None:
        del web.pages["/model.gguf"]
    else:
        web.put("/model.gguf", now)
    for _ in range(2):
        status, told = home.run("fsck", "--repair")
        assert status == 1
        assert "not recovered" in told
        assert url in told
    assert home.store.corrupt(DIGEST) is not None
    assert not home.store.has(DIGEST)
    assert home.store.unfinished() == 0
    web.put("/model.gguf", CONTENT)
    home.fetch(url)
    assert home.store.check(DIGEST) is None


def test_a_source_that_is_cut_off_is_asked_again(home: Home, web: WebServer) -> None:
    flip(home.fetch(web.put("/model.gguf", CONTENT)), 17 * PIECE)
    web.pages["/model.gguf"] = Page(CONTENT, cut_after=1000, next=Page(CONTENT))
    asked = len(web.requests)
    (repair,) = home.repair()["repairs"]
    assert repair["how"] == "range"
    assert ranges(web, asked) == [f"bytes={17 * PIECE}-"] * 2
    assert home.whole()


def test_a_kill_in_a_repair_leaves_a_sound_store(home: Home, web: WebServer) -> None:
    flip(home.fetch(web.put("/model.gguf", CONTENT)), 3 * PIECE, 30 * PIECE)
    web.pages["/model.gguf"] = Page(CONTENT, next=Page(CONTENT, hang_after=1000))
    asked = len(web.requests)
    process = subprocess.Popen(
        [sys.executable, "-m", "weighbridge", "fsck", "--repair"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 120
        while len(ranges(web, asked)) < 2 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert ranges(web, asked) == [f"bytes={3 * PIECE}-", f"bytes={30 * PIECE}-"]
    assert not home.store.has(DIGEST)
    assert home.store.corrupt(DIGEST) is not None
    assert home.run("fsck")[0] == 0  # Everything under its name is whole.
    web.put("/model.gguf", CONTENT)
    before = len(web.requests)
    assert [repair["how"] for repair in home.repair()["repairs"]] == ["range"]
    assert ranges(web, before) == [f"bytes={30 * PIECE}-"]  # What was mended before the kill is not asked for again.
    assert home.whole()


HEADER_OF_WEIGHTS = b'{"w":{"dtype":"F32","shape":[3,1048576],"data_offsets":[0,12582912]}}'
WEIGHTS = len(HEADER_OF_WEIGHTS).to_bytes(8, "little") + HEADER_OF_WEIGHTS + CONTENT[: 12 * PIECE]


@pytest.fixture
def ingested(home: Home, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the blob of a published version, whose source wants the token that models.yaml names."""
    monkeypatch.setenv("COMPANY_TOKEN", "hunter2")
    url = web.put("/model.safetensors", WEIGHTS)
    (home.folder / "models.yaml").write_text(
        f"models:\n- {{name: company/model, source: '{url}', auth: {{tokenEnvVar: COMPANY_TOKEN}}}}\n"
    )
    monkeypatch.setenv("WEIGHBRIDGE_HARD_LINKS", "true")
    with ordinary_owner():  # The registry's file is the blob under a second name.
        assert home.run("sync", "--via", "direct")[0] == 0
    return home.store.path(Digest.sha256(WEIGHTS))


def given_out(home: Home) -> bytes:
    _, out = home.run("show", "company/model", "--json")
    (published,) = json.loads(out)["published"]
    return (Path(published["location"]) / "model.safetensors").read_bytes()


def test_what_a_registry_gives_out_is_mended_too(home: Home, web: WebServer, ingested: Path) -> None:
    assert ingested.stat().st_nlink == 2
    flip(ingested, 7 * PIECE)
    assert given_out(home) != WEIGHTS
    asked = len(web.requests)
    said = home.repair()
    assert [repair["how"] for repair in said["repairs"]] == ["range"]
    assert said["given_out"] == ["company/model@1.0.0 in export"]
    assert given_out(home) == WEIGHTS
    assert {request.headers.get("authorization") for request in web.requests[asked:]} == {"Bearer hunter2"}


def test_a_version_that_misses_a_blob_gets_it_back(home: Home, ingested: Path) -> None:
    ingested.unlink()
    said = home.repair()
    assert [(repair["how"], repair["note"]) for repair in said["repairs"]] == [
        ("whole", "No broken copy of it is left.")
    ]
    assert said["missing"] == [str(Digest.sha256(WEIGHTS))]
    assert given_out(home) == WEIGHTS


def test_a_repair_that_the_source_breaks_off_is_gone_on_with(home: Home, web: WebServer, ingested: Path) -> None:
    flip(ingested, 2 * PIECE, 9 * PIECE)
    web.pages["/model.safetensors"] = Page(WEIGHTS, next=Page(WEIGHTS, status=500, etag=""))
    (repair,) = home.repair(1)["repairs"]
    assert repair["how"] == "lost"
    assert "HTTP 500" in repair["note"]
    assert (home.store.unfinished(), home.store.has(Digest.sha256(WEIGHTS))) == (1, False)
    web.put("/model.safetensors", WEIGHTS)
    before = len(web.requests)
    assert [repair["how"] for repair in home.repair()["repairs"]] == ["range"]
    assert ranges(web, before) == [f"bytes={9 * PIECE}-"]
    assert given_out(home) == WEIGHTS
    assert home.store.unfinished() == 0


def test_a_person_is_told(home: Home, ingested: Path) -> None:
    flip(ingested, 2 * PIECE)
    _, told = home.run("fsck")
    assert "fsck --repair" in told
    status, told = home.run("fsck", "--repair")
    assert status == 0
    assert "repaired with 1." in told
    assert "company/model@1.0.0 in export is repaired" in told


def test_the_pinned_commit_is_asked_when_main_has_moved(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = CONTENT[: 6 * PIECE]  # In git itself, so its promise is a git blob id.
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        repository = hub.add("org/name", {"model.safetensors": WEIGHTS, "tokenizer.json": tokenizer})
        paths = [home.fetch("hf:org/name", Digest.sha256(content)) for content in (WEIGHTS, tokenizer)]
        repository.commit({"model.safetensors": WEIGHTS[::-1], "tokenizer.json": b"{}"})
        for path in paths:
            flip(path, 5 * PIECE)
        repairs = home.repair()["repairs"]
        asked = [request.headers.get("range") for request in hub.asked("GET", "/resolve/")[2:]]
    assert [(repair["how"], repair["note"]) for repair in repairs] == [("range", "")] * 2
    assert [range_ for range_ in asked if range_] == [f"bytes={5 * PIECE}-"] * 2
    assert home.whole(Digest.sha256(WEIGHTS))
    assert home.whole(Digest.sha256(tokenizer))


def test_a_folder_of_this_machine_is_a_source_too(home: Home) -> None:
    (home.folder / "model").mkdir()
    (home.folder / "model" / "model.gguf").write_bytes(CONTENT)
    flip(home.fetch(f"file:{home.folder / 'model'}"), 11 * PIECE)
    (repair,) = home.repair()["repairs"]
    assert (repair["how"], repair["received"] < 6 * PIECE) == ("range", True)
    assert home.whole()


def test_members_of_a_wheel_come_with_the_wheel(home: Home, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    index = PythonIndex(web)
    index.add_wheel("tiny", "1.0", {"tiny/model.safetensors": WEIGHTS, "tiny/__init__.py": b""})
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert home.run("ingest", "pypi:tiny==1.0", "--via", "direct")[0] == 0
    member = home.store.path(Digest.sha256(WEIGHTS))
    (wheel,) = [path for path in home.store.digests() if home.store.size(path) > PIECE and path.hex != member.name]
    flip(member, 5)
    flip(home.store.path(wheel), 5)
    repairs = {repair["digest"]: repair for repair in home.repair()["repairs"]}
    assert {repair["how"] for repair in repairs.values()} == {"archive"}
    assert repairs.keys() == {str(wheel), str(Digest.sha256(WEIGHTS))}
    assert "cannot be read by range" in repairs[str(Digest.sha256(WEIGHTS))]["note"]
    assert home.whole(Digest.sha256(WEIGHTS))
    assert home.whole(wheel)


def test_a_blob_from_nowhere_is_told(home: Home) -> None:
    digest = home.store.put([CONTENT[: 5 * PIECE]])
    flip(home.store.path(digest), 5)
    (repair,) = home.repair(1)["repairs"]
    assert repair["how"] == "lost"
    assert "The catalog does not know its source" in repair["note"]
    assert home.store.corrupt(digest) is not None
