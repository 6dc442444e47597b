"""A folder on this machine as it is compared with an attestation: every file with its size and sha256, read once.

Files are found by walking the folder, never by a name that an attestation gives. Not here: the comparison
(domain.attestation_checks).
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from weighbridge.domain.digest import Digest
from weighbridge.domain.progress import Progress
from weighbridge.errors import UsageError

_CHUNK = 4 * 1024 * 1024


def files_of(folder: Path, progress: Progress) -> dict[str, tuple[int, Digest] | None]:
    """Return what is below a folder: the POSIX path of each file with its size and sha256.

    Links to files are followed, as a program that loads the model follows them; a link to a folder, and whatever else
    is not a file that can be read, has None.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.", "Name the folder with the model's files.")
    paths: list[Path] = []
    unread: list[Path] = []

    def keep(error: OSError) -> None:
        unread.append(Path(error.filename))

    for root, folders, names in os.walk(folder, onerror=keep):
        here = Path(root)
        paths += [here / name for name in names]
        unread += [here / name for name in folders if (here / name).is_symlink()]
    progress.expect("hash", sum(_size(path) for path in paths))
    found = {_name(path, folder): _read(path, progress) for path in paths}
    return found | {_name(path, folder): None for path in unread}


def _read(path: Path, progress: Progress) -> tuple[int, Digest] | None:
    hash_, size = hashlib.sha256(), 0
    try:
        # A pipe would wait for a writer for ever.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            while chunk := file.read(_CHUNK):
                hash_.update(chunk)
                size += len(chunk)
                progress.advance("hash", len(chunk))
    except OSError:
        return None
    return size, Digest("sha256", hash_.hexdigest())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
