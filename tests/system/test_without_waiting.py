"""Files that are opened and read without a wait: right where the kernel has them, else nothing, and never an error."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from weighbridge.system import without_waiting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what it has in memory")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "größe ½"
    found.write_bytes(b"0123456789")
    return found


def test_what_was_just_written_is_in_memory(path: Path) -> None:
    file = without_waiting.open_file(path)
    assert file is not None
    with file:
        assert without_waiting.read(file, 2, 3) == b"234"
        assert without_waiting.read(file, 0, 0) == b""
        assert without_waiting.is_there(file, 0, 10)
        assert not os.get_inheritable(file.fileno())


def test_no_more_than_there_is(path: Path) -> None:
    file = without_waiting.open_file(path)
    assert file is not None
    with file:
        assert without_waiting.read(file, 5, 6) is None
        assert not without_waiting.is_there(file, 5, 6)


def test_what_is_not_there_is_not_opened(path: Path) -> None:
    assert without_waiting.open_file(path.with_name("other")) is None
    assert without_waiting.open_file(path / "below") is None


def test_what_is_on_the_disk_alone_is_not_read(path: Path) -> None:
    content = os.urandom(1024**2)
    path.write_bytes(content)
    file = without_waiting.open_file(path)
    assert file is not None
    with file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        found = without_waiting.read(file, 0, len(content))
        assert found is None or found == content  # A file system in memory keeps it.
