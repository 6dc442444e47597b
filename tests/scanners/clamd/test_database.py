"""Signatures: what kind they are, how old, and a fingerprint that changes when they do."""

import os
from pathlib import Path

import pytest

from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners.clamd import database


def container(folder: Path, name: str, version: int, built_s: int, content: bytes = b"signatures") -> None:
    """Write a container as ClamAV publishes them: a header of 512 bytes, then an archive."""
    header = f"ClamAV-VDB:01 Oct 2026 12-00 +0000:{version}:100:90:{'0' * 32}:signature:builder:{built_s}"
    (folder / name).write_bytes(header.encode().ljust(512) + content)


def test_official_signatures_say_version_and_date(tmp_path: Path) -> None:
    container(tmp_path, "main.cvd", 63, 1_600_000_000)
    container(tmp_path, "daily.cld", 27700, 1_790_856_000)
    container(tmp_path, "bytecode.cvd", 335, 1_700_000_000)
    found = database.read(tmp_path)
    assert (found.kind, found.version, found.built) == ("official", "27700", "2026-10-01")
    assert dict(found.facts) == {
        "database": "official",
        "database_version": "27700",
        "database_date": "2026-10-01",
    }


def test_other_signatures_are_custom(tmp_path: Path) -> None:
    container(tmp_path, "bytecode.cvd", 335, 1_700_000_000)
    database.write_test_only(tmp_path)
    assert database.read(tmp_path).kind == "custom"


def test_test_only_signatures_are_called_that(tmp_path: Path) -> None:
    database.write_test_only(tmp_path)
    database.write_test_only(tmp_path)
    assert database.read(tmp_path).facts == (("database", "test-only"),)
    assert [path.name for path in tmp_path.iterdir()] == ["test-only.ndb"]


def test_the_fingerprint_is_of_names_and_content(tmp_path: Path) -> None:
    container(tmp_path, "daily.cvd", 27700, 1_790_856_000)
    first = database.read(tmp_path).fingerprint
    assert database.read(tmp_path).fingerprint == first
    container(tmp_path, "daily.cvd", 27700, 1_790_856_000, b"other")
    second = database.read(tmp_path).fingerprint
    (tmp_path / "own.hsb").write_text("0" * 64 + ":5:Other:73\n")
    third = database.read(tmp_path).fingerprint
    (tmp_path / "own.hsb").rename(tmp_path / "own2.hsb")
    assert len({first, second, third, database.read(tmp_path).fingerprint}) == 4


def test_what_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    folder, cache = tmp_path / "signatures", tmp_path / "home" / "digests.json"
    database.write_test_only(folder)
    path = folder / "test-only.ndb"
    stamp = path.stat()
    first = database.read(folder, cache).fingerprint
    path.write_text(path.read_text().swapcase())
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert database.read(folder, cache).fingerprint == first
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert database.read(folder, cache).fingerprint not in (first, "")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "null", "\0"])
def test_a_broken_memory_is_forgotten(tmp_path: Path, content: str) -> None:
    folder, cache = tmp_path / "signatures", tmp_path / "digests.json"
    database.write_test_only(folder)
    cache.write_text(content.replace("x", str(folder / "test-only.ndb")))
    assert database.read(folder, cache).fingerprint == database.read(folder).fingerprint


@pytest.mark.parametrize(
    ("said", "kind", "version", "built"),
    [
        ("ClamAV 1.4.6/27700/Thu Oct  1 12:00:00 2026", "official", "27700", "2026-10-01"),
        ("ClamAV 1.4.6/27700/nonsense", "official", "27700", ""),
        ("ClamAV 1.4.6", "unknown", "", ""),
        ("ClamAV 1.4.6/x/Thu Oct  1 12:00:00 2026", "unknown", "", ""),
    ],
)
def test_a_clamd_elsewhere_says_what_it_has(said: str, kind: str, version: str, built: str) -> None:
    found = database.from_version(said)
    assert (found.kind, found.version, found.built) == (kind, version, built)
    assert found.fingerprint != database.from_version(said + " ").fingerprint


def test_a_configured_folder_without_signatures_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScannerUnavailable, match="holds no ClamAV signatures"):
        database.find(tmp_path)
    assert database.find(None) is None or database.files(database.find(None) or tmp_path)
