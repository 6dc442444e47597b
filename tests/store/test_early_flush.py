"""Early flushing: while a file grows, and no failure of the disk is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from weighbridge.store import early_flush
from weighbridge.store.early_flush import EarlyFlush


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of the file at each flush."""
    sizes: list[int] = []
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        real(descriptor)
        sizes.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    monkeypatch.setattr(early_flush, "STEP", 10)
    return sizes


def test_a_growing_file_is_flushed(tmp_path: Path, flushed: list[int]) -> None:
    with open(tmp_path / "x", "wb", buffering=0) as file:
        flush = EarlyFlush(file.fileno())
        for offset in (4, 8):
            file.write(b"four")
            flush.reached(offset)
        assert flushed == []
        file.write(b"four")
        flush.reached(12)
        flush.finish()
        assert flushed == [12]


def test_a_failing_disk_is_told(tmp_path: Path, flushed: list[int]) -> None:
    """A closed descriptor fails as a broken disk does: in the thread, after the write."""
    with open(tmp_path / "x", "wb", buffering=0) as file:
        flush = EarlyFlush(file.fileno())
        flush.reached(0)
    flush.reached(10)
    with pytest.raises(OSError, match="Bad file descriptor"):
        flush.finish()
    assert flushed == []
