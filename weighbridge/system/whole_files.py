"""Files that appear whole: written beside their place and renamed to it, so that nobody sees half of one.

A kill leaves at most the file beside; the next writer into the same folder removes it, as a lock says that it is being
written only while its process lives. Not here: folders that appear whole (registries.folder_writer), and blobs
(store.incoming).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: How the name of a file begins that is being written.
WRITING = ".writing-"
_UNFINISHED = re.compile(re.escape(WRITING) + "[0-9a-f]{16}")


@contextmanager
def replacing(path: Path, *, mode: int | None = None, durable: bool = False) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of `path` when the block ends well; else `path` stays as it is.

    Args:
        path: the place; its folder exists.
        mode: the file's permissions; what the umask leaves when None.
        durable: whether the file outlives a crash of the machine from then on, which costs two waits for the disk.
    """
    remove_unfinished(path.parent)
    stage, file = _locked_stage(path.parent)
    with file:
        try:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
            os.replace(stage, path)
        except BaseException:
            stage.unlink(missing_ok=True)
            raise
    if durable:
        _flush_folder(path.parent)


def write(path: Path, content: str | bytes, *, mode: int | None = None, durable: bool = False) -> None:
    """Write a small file as `replacing` does; a text as UTF-8."""
    with replacing(path, mode=mode, durable=durable) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def replace_link(path: Path, aim: str, stage: Path) -> None:
    """Make a symbolic link lead to `aim`, in one step; the caller is the only one who uses the name `stage`."""
    stage.unlink(missing_ok=True)
    stage.symlink_to(aim)
    os.replace(stage, path)


def is_unfinished(name: str) -> bool:
    """Return whether a file of this name is being written, or was when its writer was killed."""
    return bool(_UNFINISHED.fullmatch(name))


def remove_unfinished(folder: Path) -> None:
    """Remove from a folder what processes that have ended were writing there."""
    with os.scandir(folder) as entries:
        left = [entry.path for entry in entries if is_unfinished(entry.name)]
    for path in left:
        with suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)


def _locked_stage(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        path = folder / f"{WRITING}{secrets.token_hex(8)}"
        file = open(path, "xb")  # noqa: SIM115 (closed by the caller)
        with suppress(OSError):  # On a file system without locks, nothing is removed.
            fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():
            return path, file
        file.close()  # Another process removed the file before it was locked.


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # Some file systems cannot flush a folder.
            raise
    finally:
        os.close(descriptor)
