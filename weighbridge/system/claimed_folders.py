"""Folders that a process claims while it works in them: the next process removes what a killed one leaves.

The claim is a lock on the folder itself, which ends with its process. Not here: what the folders are for.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: The name of the folder for a process's temporary files.
TEMPORARY = "weighbridge-process-"
_temporary: list[Path] = []


def claim(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder, and return it with a descriptor; while that is open, no `sweep` removes the folder."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)  # Another process removed the folder before it was locked.


def sweep(parent: Path, prefix: str) -> None:
    """Remove the folders with that prefix that no process claims any more."""
    for path in parent.glob(f"{_escaped(prefix)}*"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
            finally:
                os.close(descriptor)


@contextmanager
def claimed(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder that the block may move away; remove it at the end, and first what killed processes left."""
    sweep(parent, prefix)
    folder, descriptor = claim(parent, prefix)
    try:
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def gather_temporary_files() -> None:
    """Make this process and its children keep their temporary files in one claimed folder, removed with the process.

    Where an interrupt or a kill leaves no time to remove each file, the whole folder goes: now or at the next start.
    """
    with suppress(OSError):  # Without room for the folder, the first temporary file raises the error.
        parent = Path(tempfile.gettempdir())
        sweep(parent, TEMPORARY)
        folder, _ = claim(parent, TEMPORARY)  # The descriptor stays open: it ends with the process.
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        _temporary.append(folder)
        atexit.register(remove_temporary_files)


def remove_temporary_files() -> None:
    """Remove the folder that `gather_temporary_files` made, before a process ends without its clean-up."""
    while _temporary:
        shutil.rmtree(_temporary.pop(), ignore_errors=True)


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)
