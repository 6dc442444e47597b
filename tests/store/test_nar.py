"""The NAR hash: against fixed vectors that Nix gave, against Nix itself, and as what a user expects of a model."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulators.web import WebServer
from weighbridge.cli import app
from weighbridge.config.models_file import read_models, requests
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import Pins
from weighbridge.errors import BlobMissing, InvalidConfiguration, StoreError, UnsafePath
from weighbridge.intake import steps
from weighbridge.store.local import LocalBlobStore
from weighbridge.store.nar import archive, nar_digest

REF = ModelRef.parse("mock:org/name")
SMALL = {"config.json": b"{}\n", "model.bin": bytes(range(256))}
#: Orders that differ by path and by folder, by byte and by UTF-16 unit; lengths around the padding.
HARD = {
    "a.txt": b"1",
    "a/b": b"12",
    "a/b-c/d": b"123",
    "a/b.c": b"1234567",
    "a b/c": b"12345678",
    "ab/x/y/z": b"123456789",
    "Z": b"",
    "1/0": bytes(4096),
    "\u00e9/caf\u00e9": b"composed",
    "\uff5e": b"U+FF5E comes before U+1F600 in UTF-8 and after it in UTF-16",
    "\U0001f600": b"smile",
}
#: What `nix hash path` of Nix 2.8 says of the folders with these files.
VECTORS = [
    ({}, "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo="),
    (SMALL, "sha256-2wqlPbR0Sc88u+pwFQvUeFUe8da04ZatqL84lVBhP2o="),
    (HARD, "sha256-67il866ZHzz7KgvCcs6sTYwg0JU/L4B8kC4BLZjpAwg="),
]
INSTALL = "Nix is not installed: make servers, or: apt-get install nix-bin"


def model(store: LocalBlobStore, files: dict[str, bytes]) -> Manifest:
    entries = (FileEntry(path, len(content), store.put([content])) for path, content in files.items())
    return Manifest(REF, tuple(entries))


def written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def nix(program: str, *arguments: str) -> bytes:
    if shutil.which(program) is None:
        pytest.fail(INSTALL)
    return subprocess.run([program, *arguments], check=True, capture_output=True, timeout=60).stdout


@pytest.mark.parametrize(("files", "expected"), VECTORS)
def test_the_digest_is_the_one_that_nix_gave(store: LocalBlobStore, files: dict[str, bytes], expected: str) -> None:
    assert nar_digest(model(store, files), store).sri == expected


@pytest.mark.parametrize(("files", "expected"), VECTORS)
def test_the_digest_is_the_one_that_nix_gives(tmp_path: Path, files: dict[str, bytes], expected: str) -> None:
    folder = written(tmp_path / "model", files)
    said = nix("nix", "--extra-experimental-features", "nix-command", "hash", "path", str(folder))
    assert said.decode().strip() == expected


NAMES = st.text(
    st.one_of(st.sampled_from("ab.- ~é\uff5e\U0001f600"), st.characters(blacklist_categories=("Cs",))),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=20), max_size=12))
def test_every_tree_becomes_the_archive_that_nix_writes(
    tmp_path_factory: pytest.TempPathFactory, store: LocalBlobStore, files: dict[str, bytes]
) -> None:
    try:
        manifest = model(store, files)
    except UnsafePath:
        return
    folder = tmp_path_factory.mktemp("tree") / "model"
    written(folder, files)
    assert b"".join(archive(manifest, store)) == nix("nix-store", "--dump", str(folder))
    shutil.rmtree(folder)


def test_a_large_file_passes_in_pieces(store: LocalBlobStore) -> None:
    manifest = model(store, {"model.bin": bytes(10 * 1024 * 1024 + 3)})
    assert max(len(piece) for piece in archive(manifest, store)) <= 4 * 1024 * 1024


def test_a_blob_that_is_gone_or_cut_is_told(store: LocalBlobStore) -> None:
    manifest = model(store, SMALL)
    path = store.path(manifest.by_path["model.bin"].digest or Digest.sha256(b""))
    path.chmod(0o644)
    path.write_bytes(b"short")
    with pytest.raises(StoreError, match="5 bytes in place of 256") as error:
        nar_digest(manifest, store)
    assert "fsck" in error.value.remedy
    path.unlink()
    with pytest.raises(BlobMissing):
        nar_digest(manifest, store)


ONE, TWO = Digest.sha256(b"1"), Digest.sha256(b"2")


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("", Pins()),
        (str(ONE), Pins(hash=ONE)),
        (ONE.sri, Pins(hash=ONE)),
        (f"nar:{ONE.sri}", Pins(nar=ONE)),
        (f"nar:{ONE}", Pins(nar=ONE)),
        (f"{TWO} nar:{ONE.sri}", Pins(TWO, ONE)),
    ],
)
def test_one_text_says_what_is_expected(text: str, pins: Pins) -> None:
    assert Pins.parse(text) == pins
    assert Pins.parse(str(pins)) == pins


@pytest.mark.parametrize(
    "text", ["nar:", "nar", f"nar:{ONE.sri[:-4]}", f"{ONE} {TWO}", f"nar:{ONE} nar:{ONE}", "sha1:" + "0" * 40]
)
def test_a_text_that_is_no_pin_is_told(text: str) -> None:
    with pytest.raises(InvalidConfiguration):
        Pins.parse(text)


def test_models_yaml_says_it_too(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(
        f"models:\n- {{hf_repo_id: a/b, hash: {{nar: '{ONE.sri}'}}}}\n"
        f"- {{hf_repo_id: a/c, hash: {{manifest: '{TWO}', nar: '{ONE.sri}'}}}}\n- {{hf_repo_id: a/d, hash: '{TWO}'}}\n"
    )
    found = [(request.hash, request.nar) for request in requests(read_models(path))]
    assert found == [(None, ONE), (TWO, ONE), (TWO, None)]
    for wrong in ("{nra: x}", f"{{nar: '{ONE.sri[:-3]}'}}", "{nar: }", "{}", "[]", "[1]"):
        path.write_text(f"models:\n- hf_repo_id: a/b\n  hash: {wrong}\n")
        with pytest.raises(InvalidConfiguration, match=r":3: models\.0\.hash"):
            read_models(path)


@pytest.fixture
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def fetched(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = app.run(["fetch", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("_home")
def test_a_model_is_held_to_its_nar_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = []
    monkeypatch.setattr(steps, "nar_digest", lambda *arguments: read.append(arguments) or nar_digest(*arguments))
    uri = f"file:{written(tmp_path / 'model', SMALL)}"
    status, said = fetched(capsys, uri, "--hash", f"nar:{ONE.sri}")
    assert (status, said["error"]["kind"]) == (1, "IntegrityError")
    assert said["error"]["facts"] == {"expected": ONE.sri, "actual": VECTORS[1][1]}
    assert VECTORS[1][1] in said["error"]["problem"]
    assert fetched(capsys, uri, "--hash", f"nar:{ONE.sri}")[0] == 1
    assert len(read) == 2
    for _ in range(2):
        assert fetched(capsys, uri, "--hash", f"nar:{VECTORS[1][1]}")[0] == 0
    assert len(read) == 3  # Proven once.
    (tmp_path / "model" / "config.json").write_bytes(b"[]\n")
    assert fetched(capsys, uri, "--hash", f"nar:{VECTORS[1][1]}")[0] == 1


@pytest.mark.usefixtures("_home")
def test_a_lock_is_held_to_the_nar_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = b"GGUF" + bytes(100)
    with WebServer() as web:
        url = f"{web.put('/model.gguf', content)}#sha256={Digest.sha256(content).hex}"
        store = LocalBlobStore(tmp_path / "expected")
        right = nar_digest(model(store, {"model.gguf": content}), store)
        for nar, status in ((ONE, 1), (right, 0)):
            (tmp_path / "models.yaml").write_text(f"models:\n- {{source: '{url}', hash: {{nar: '{nar.sri}'}}}}\n")
            assert app.run(["lock"]) == status
            lock = tmp_path / "models.lock"
            assert (lock.exists() and "model.gguf" in lock.read_text()) is (status == 0)
