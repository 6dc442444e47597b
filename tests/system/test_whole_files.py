"""A file is its old content or its new one, whatever ends the writer; what a kill leaves beside it is removed."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from weighbridge.store.local import LocalBlobStore
from weighbridge.system.whole_files import WRITING, remove_unfinished, replace_link, replacing, write

#: Writes half of a file's new content, and waits to be killed.
WRITER = """
import sys, time
from pathlib import Path
from weighbridge.system.whole_files import replacing
with replacing(Path(sys.argv[1]), durable=True) as file:
    file.write(b"half of the n")
    file.flush()
    print("written", flush=True)
    time.sleep(600)
"""


def writer(path: Path) -> subprocess.Popen[bytes]:
    """Start a process that is in the middle of writing."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == b"written\n"
    return process


def fail_in_the_middle(path: Path, durable: bool) -> None:
    with replacing(path, durable=durable) as file:
        file.write(b"half")
        raise ValueError("x")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_writer_that_is_killed_changes_nothing_and_the_next_one_removes_its_rest(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    write(path, "old")
    process = writer(path)
    try:
        write(tmp_path / "other", "x")
        stages = [name for name in names(tmp_path) if name.startswith(WRITING)]
        assert len(stages) == 1  # What is being written stays.
    finally:
        process.kill()
        process.wait()
    assert path.read_text() == "old"
    assert stages[0] in names(tmp_path)
    write(path, "new")
    assert (path.read_text(), names(tmp_path)) == ("new", ["models.lock", "other"])


@pytest.mark.parametrize("durable", [False, True])
def test_an_error_while_writing_leaves_the_old_file(durable: bool, tmp_path: Path) -> None:
    write(path := tmp_path / "file", "old")
    with pytest.raises(ValueError, match="x"):
        fail_in_the_middle(path, durable)
    assert (path.read_text(), names(tmp_path)) == ("old", ["file"])


def test_what_cannot_be_replaced_leaves_no_rest(tmp_path: Path) -> None:
    (path := tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write(path, "x")
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_flush_folders_still_takes_files(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def flush_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", flush_files)
    write(tmp_path / "file", "x", durable=True)
    assert (tmp_path / "file").read_text() == "x"


def test_permissions_are_the_usual_ones_or_the_ones_asked_for(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write(tmp_path / "usual", "x")
        write(tmp_path / "asked", "x", mode=0o644)
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("usual", "asked")] == [0o600, 0o644]


def test_many_writers_of_one_file_leave_the_content_of_one(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [str(number) * 50_000 for number in range(8)]
    threads = [Thread(target=lambda text=text: [write(path, text) for _ in range(20)]) for text in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in contents
    assert names(tmp_path) == ["file"]


def test_a_link_is_replaced_also_after_a_kill_between_two_steps(tmp_path: Path) -> None:
    (tmp_path / "default").symlink_to("1.0.0")
    (tmp_path / ".stage").symlink_to("1.1.0")
    replace_link(tmp_path / "default", "2.0.0", tmp_path / ".stage")
    assert os.readlink(tmp_path / "default") == "2.0.0"
    assert names(tmp_path) == ["default"]


def test_files_of_other_names_and_folders_stay(tmp_path: Path) -> None:
    (tmp_path / f"{WRITING}folder").mkdir()
    (tmp_path / "writing-x").touch()
    (tmp_path / f"{WRITING}x").touch()
    remove_unfinished(tmp_path)
    assert names(tmp_path) == [f"{WRITING}folder", f"{WRITING}x", "writing-x"]


def _alias(store: LocalBlobStore) -> Path:
    (path,) = (store.root / "aliases").glob("??")
    return path


@pytest.mark.parametrize("folder", [_alias, lambda store: store.root / "partial"])
def test_a_sweep_of_the_store_removes_what_a_kill_left(
    folder: Callable[[LocalBlobStore], Path], store: LocalBlobStore
) -> None:
    store.remember("key", store.put([b"weights"]))
    (left := folder(store) / f"{WRITING}0123456789abcdef").write_bytes(b"half")
    assert list(store.foreign()) == []
    assert store.unfinished() == 0
    store.drop_partial(1e9, dry_run=True)
    assert left.exists()
    store.drop_partial(1e9)
    assert not left.exists()
