"""Snapshots: what a clamd loads stays as it was, whatever becomes of the folder that it was taken from."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.services.clamd import numbered
from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners.clamd import database, snapshots


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weighbridge.scanners.clamd.database.FOLDERS", ())


def custom(folder: Path, text: str = "Some.Thing:0:*:6162636465666768\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.ndb").write_text(text)
    return folder


def test_a_snapshot_stays_when_its_folder_changes(tmp_path: Path) -> None:
    source = custom(tmp_path / "source")
    first = snapshots.chosen(tmp_path / "home", source)
    custom(source, "Other.Thing:0:*:6162636465666768\n")
    second = snapshots.chosen(tmp_path / "home", source)
    assert first.database.fingerprint != second.database.fingerprint
    for snapshot in (first, second):
        assert snapshots.find(tmp_path / "home", snapshot.database.fingerprint) == snapshot.folder
        assert snapshots.find(tmp_path / "home", snapshot.database.fingerprint[:16]) == snapshot.folder
        assert database.read(snapshot.folder).fingerprint == snapshot.folder.name
    assert snapshots.find(tmp_path / "home", "") is None
    assert snapshots.find(tmp_path / "home", "0" * 64) is None


def test_a_damaged_snapshot_is_none_and_is_taken_again(tmp_path: Path) -> None:
    source, home = custom(tmp_path / "source"), tmp_path / "home"
    snapshot = snapshots.chosen(home, source)
    snapshots.install(home, snapshot)
    (snapshot.folder / "own.ndb").write_text("")
    assert snapshots.find(home, snapshot.database.fingerprint) is None
    assert snapshots.installed(home) is None
    assert snapshots.chosen(home, source) == snapshot
    assert snapshots.installed(home) == snapshot


def test_threads_and_killed_processes_leave_one_whole_snapshot(tmp_path: Path) -> None:
    source, home = custom(tmp_path / "source"), tmp_path / "home"
    left = snapshots.folder(home) / ".copying-killed"
    left.mkdir(parents=True)
    (left / "own.ndb").write_text("half")
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: snapshots.chosen(home, source), range(16)))
    assert [path.name for path in snapshots.folder(home).iterdir()] == [found.pop().database.fingerprint]
    assert not found


def test_the_installed_database_gives_way_to_a_newer_one_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, machine = tmp_path / "home", numbered(tmp_path / "machine", 100)
    found = snapshots.keep(home, ours := numbered(tmp_path / "ours", 101), database.read(ours))
    snapshots.install(home, found)
    monkeypatch.setattr("weighbridge.scanners.clamd.database.FOLDERS", (str(machine),))
    assert snapshots.chosen(home, None) == found
    numbered(machine, 102)
    assert snapshots.chosen(home, None).database.version == "102"
    assert snapshots.chosen(home, custom(tmp_path / "configured")).database.kind == "custom"


def test_what_nothing_needs_is_removed(tmp_path: Path) -> None:
    home, kept = tmp_path / "home", []
    for number in range(6):
        source = custom(tmp_path / "source", f"Some.Thing{number}:0:*:6162636465666768\n")
        kept.append(snapshots.chosen(home, source))
        os.utime(kept[-1].folder, (number, number))
    snapshots.install(home, kept[0])
    names = [snapshot.database.fingerprint for snapshot in kept]
    assert set(snapshots.prune(home, {names[1][:16]}, newest=2)) == {names[2], names[3]}
    assert {path.name for path in snapshots.folder(home).iterdir()} == {names[0], names[1], names[4], names[5]}


def test_a_disk_without_space_is_told(tmp_path: Path) -> None:
    source, home = custom(tmp_path / "source"), tmp_path / "home"
    (home / "clamav").mkdir(parents=True)
    snapshots.folder(home).write_text("a file where a folder should be")
    with pytest.raises(ScannerUnavailable, match="cannot write"):
        snapshots.chosen(home, source)
