"""Archives behind a URL, `#extract=true`, as a user takes them in: every format from a real nginx, and hostile ones."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from tests.flows.conftest import SHIPPED
from tests.services.clamd import signatures
from tests.services.nginx import Nginx
from tests.simulators import samples
from weighbridge.cli import app
from weighbridge.scanners.clamd.database import eicar

MODEL = {f"tiny/{name}": content for name, content in SHIPPED.items()} | {"tiny/.DS_Store": b"litter"}
FORMATS: dict[str, Callable[[samples.Members], bytes]] = {
    "zip": lambda members: samples.zip_of(members, zipfile.ZIP_DEFLATED),
    "tar": samples.tar_of,
    "tar.gz": lambda members: samples.tar_of(members, "w:gz"),
    "tar.bz2": lambda members: samples.tar_of(members, "w:bz2"),
    "tar.xz": lambda members: samples.tar_of(members, "w:xz"),
    "tar.zst": lambda members: zstd.compress(samples.tar_of(members)),
}


def link(name: str, target: str, kind: bytes) -> bytes:
    """Return a tar of the model and a link."""
    buffer = io.BytesIO(samples.tar_of(MODEL))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return buffer.getvalue()


@dataclass
class User:
    """Somebody with a home of his own, a server, and a place of his own on it."""

    folder: Path
    nginx: Nginx
    capsys: pytest.CaptureFixture[str]

    def put(self, name: str, content: bytes, fragment: str = "#extract=true", modified: float | None = None) -> str:
        self.nginx.put(f"{self.folder.name}/{name}", content, modified=modified)
        return self.nginx.url(f"/files/{self.folder.name}/{name}{fragment}")

    def run(self, *arguments: str) -> tuple[int, Any, str]:
        self.capsys.readouterr()
        status = app.run([*arguments, "--json"])
        said = self.capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        assert said.out, said.err
        return status, json.loads(said.out), said.err

    def published(self) -> list[Path]:
        return [path for path in (self.folder / "home").rglob("config.json") if path.is_file()]

    def asked(self) -> list[str]:
        lines = (self.nginx.folder / "requests.log").read_text().splitlines()
        return [line["method"] for line in map(json.loads, lines) if f"/{self.folder.name}/" in line["path"]]


@pytest.fixture
def user(nginx: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> User:
    (tmp_path / "gate.yaml").write_text("extends: minimal\nrequired: [archives, clamav, formats, pickles]\n")
    environment = {
        "HOME": str(tmp_path / "home"),
        "POLICY": str(tmp_path / "gate.yaml"),
        "CLAMAV_DATABASE": str(signatures(tmp_path / "signatures")),
        "REGISTRIES": '["export"]',
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"WEIGHBRIDGE_{name}", value)
    monkeypatch.chdir(tmp_path)
    return User(tmp_path, nginx, capsys)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_archive_is_the_same_model_as_its_folder(user: User, kind: str) -> None:
    (user.folder / "tiny").mkdir()
    for name, content in MODEL.items():
        (user.folder / name).write_bytes(content)
    url = user.put(f"tiny-v1.{kind}", FORMATS[kind](MODEL))
    status, version, _ = user.run("ingest", url)
    assert (status, version["status"], version["name"]) == (0, "PASSED", "tiny-v1")
    assert [file["path"] for file in version["files"]] == sorted(SHIPPED)
    assert [publication["registry"] for publication in version["published"]] == ["export"]
    assert len(user.published()) == 1
    user.capsys.readouterr()
    app.run(["ingest", url])
    assert "tiny/.DS_Store: left behind by a desktop" in user.capsys.readouterr().out
    assert user.run("export", "tiny-v1", str(user.folder / "out"))[0] == 0
    assert all((user.folder / "out" / name).read_bytes() == content for name, content in SHIPPED.items())
    _, same, _ = user.run("ingest", f"file:{user.folder / 'tiny'}")
    assert same["manifest_digest"] == version["manifest_digest"]


def test_again_asks_only_whether_it_changed(user: User) -> None:
    url = user.put("tiny.tar.gz", FORMATS["tar.gz"](MODEL), modified=1_600_000_000)
    first = user.run("ingest", url)[1]
    asked = len(user.asked())
    assert user.run("ingest", url)[1]["manifest_digest"] == first["manifest_digest"]
    assert set(user.asked()[asked:]) <= {"HEAD"}
    user.put("tiny.tar.gz", FORMATS["tar.gz"](MODEL | {"tiny/notes.txt": b"new"}), modified=1_600_000_009)
    assert [file["path"] for file in user.run("ingest", url)[1]["files"]] == sorted([*SHIPPED, "notes.txt"])


_KILLED = """
import os, signal, sys
from weighbridge.cli import app
from weighbridge.content.unpacking import archive
tell = archive._tell
def dying(*values):
    tell(*values)
    os.kill(os.getpid(), signal.SIGKILL)
archive._tell = dying
app.run(["ingest", sys.argv[1]])
"""


def test_killed_while_it_is_unpacked_it_is_not_fetched_again(user: User) -> None:
    url = user.put("tiny.tar.zst", FORMATS["tar.zst"](MODEL))
    killed = subprocess.run([sys.executable, "-c", _KILLED, url], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert user.run("list")[1] == []
    status, version, _ = user.run("ingest", url)
    assert (status, version["status"]) == (0, "PASSED")
    assert user.asked().count("GET") == 1
    assert user.run("fsck")[0] == 0


def test_without_extract_it_stays_one_file(user: User) -> None:
    url = user.put("tiny.tar.gz", FORMATS["tar.gz"](MODEL), "")
    assert [file["path"] for file in user.run("ingest", url)[1]["files"]] == ["tiny.tar.gz"]


def test_a_file_that_is_no_archive_is_told(user: User) -> None:
    status, answer, told = user.run("ingest", user.put("tiny.tar.gz", SHIPPED["model.safetensors"]))
    assert status == 1
    assert "no archive" in told
    assert "extract=true" in told
    assert answer["error"]["facts"]["format"] == "safetensors"
    assert user.run("list")[1] == []


HOSTILE: dict[str, Callable[[], bytes]] = {
    "traversal.tar": lambda: samples.tar_of(MODEL | {"tiny/../../evil": b"x"}),
    "traversal.zip": lambda: samples.zip_of(MODEL | {"../evil": b"x"}),
    "absolute.tar.gz": lambda: samples.tar_of(MODEL | {"/etc/evil": b"x"}, "w:gz"),
    "link.tar": lambda: link("tiny/link", "/etc/passwd", tarfile.SYMTYPE),
    "hard-link.tar": lambda: link("tiny/link", "tiny/config.json", tarfile.LNKTYPE),
    "pipe.tar": lambda: link("tiny/pipe", "", tarfile.FIFOTYPE),
    "twice.zip": lambda: samples.zip_of([*MODEL.items(), ("tiny/config.json", b"{}")]),
    "file-and-folder.tar": lambda: samples.tar_of(MODEL | {"tiny/config.json/evil": b"x"}),
    "encrypted.zip": samples.encrypted_zip,
    "bomb.zip": lambda: samples.zip_bomb(),
    "bomb.tar.zst": lambda: zstd.compress(samples.tar_of({"tiny/zeros": bytes(300 * 1024 * 1024)})),
    "overlap.zip": lambda: samples.overlapping_bomb(300, 1024 * 1024),
    "cut.tar.gz": lambda: samples.tar_of(MODEL, "w:gz")[:-20],
    "trailing.tar.xz": lambda: samples.tar_of(MODEL, "w:xz") + b"trailing",
    "empty.tar": lambda: samples.tar_of({}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_whole(user: User, name: str) -> None:
    status, answer, told = user.run("ingest", user.put(name, HOSTILE[name]()))
    assert status == 1, answer
    assert told.strip()
    assert user.run("list")[1] == []
    assert user.published() == []


@pytest.mark.parametrize(
    "member",
    [
        {"tiny/notes.txt": b"see " + eicar()},
        {"tiny/pytorch_model.bin": samples.torch_zip(samples.malicious_pickle(2))},
        {"tiny/inner.zip": samples.zip_of({"../evil": b"x"})},
        {"tiny/inner.tar": samples.tar_of({"deep.zip": samples.zip_of({"virus": eicar()})})},
    ],
    ids=["malware", "pickle", "traversal within", "malware within"],
)
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_bad_members_are_rejected_by_name(user: User, kind: str, member: dict[str, bytes]) -> None:
    status, version, _ = user.run("ingest", user.put(f"bad.{kind}", FORMATS[kind](MODEL | member)))
    assert (status, version["status"], version["published"], user.published()) == (2, "FAILED", [], [])
    (path,) = member
    assert path.removeprefix("tiny/") in {reason["path"] for reason in version["decision"]["reasons"]}


def test_lock_and_locked(user: User) -> None:
    url = user.put("tiny.tar.gz", FORMATS["tar.gz"](MODEL), modified=1_600_000_000)
    (user.folder / "models.yaml").write_text(
        f"models:\n  - {{name: tiny, source: {{url: {{url: '{url.partition('#')[0]}', extract: true}}}}}}\n"
    )
    assert user.run("lock")[0] == 0
    lock = (user.folder / "models.lock").read_text()
    assert all(name in lock for name in SHIPPED)
    assert user.run("ingest", url, "--name", "tiny", "--locked")[0] == 0
    # The same files in another archive are what was locked; other files are not.
    user.put("tiny.tar.gz", FORMATS["tar"](MODEL), modified=1_600_000_009)
    assert user.run("ingest", url, "--name", "tiny", "--locked")[0] == 0
    user.put("tiny.tar.gz", FORMATS["tar"](MODEL | {"tiny/README.md": b"changed"}), modified=1_600_000_018)
    status, _, told = user.run("ingest", url, "--name", "tiny", "--locked")
    assert status == 1
    assert "README.md" in told
