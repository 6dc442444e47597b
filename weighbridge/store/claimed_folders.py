"""Folders that a process claims while it works in them: what a killed one leaves, the next one removes.

The claim is a lock on the folder itself, which ends with its process. Not here: what the folders are for.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

#: How the folder of a process's temporary files is called.
TEMPORARY = "weighbridge-process-"
_temporary: list[Path] = []


def claim(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder that no `sweep` removes as long as the descriptor that is returned with it is open."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)  # Another process swept it away before it was locked.


def sweep(parent: Path, prefix: str) -> None:
    """Remove the folders of that prefix that nobody claims any more."""
    for path in parent.glob(f"{_escaped(prefix)}*"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
            finally:
                os.close(descriptor)


def gather_temporary_files() -> None:
    """Have this process and its children keep their temporary files in one claimed folder, which ends with the process.

    Where an interrupt or a kill leaves no time to remove each of them, all go together: now or at the next start.
    """
    with suppress(OSError):  # Without room for it, whatever needs a temporary file says so.
        parent = Path(tempfile.gettempdir())
        sweep(parent, TEMPORARY)
        folder, _ = claim(parent, TEMPORARY)  # The descriptor stays open: it ends with the process.
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        _temporary.append(folder)
        atexit.register(remove_temporary_files)


def remove_temporary_files() -> None:
    """Remove what `gather_temporary_files` made, before a process ends without its clean-up."""
    while _temporary:
        shutil.rmtree(_temporary.pop(), ignore_errors=True)


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)
