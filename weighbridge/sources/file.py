"""The source `file`: a model in a file or folder of this machine, `file:/path`.

Every regular file below the folder is part of the model, except what tools leave behind (`litter`), which the manifest
names as left out, or takes as files with the option `litter=keep`. Links: the path itself may be one; a link inside is
read as its target when that is in the folder, in the blobs of the Hugging Face cache that the folder is a snapshot of,
or below the folder named by the option `root`; a link to anywhere else, or to a folder, is refused, and so are devices,
pipes and sockets. Where the settings name `file_roots`, nothing outside of them is read.

Not here: checking what the files are (scanners), and copying them (intake.fetching).
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar

from weighbridge.content.litter import LEFT_BEHIND, is_litter
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.paths import safe_path
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.selection import Selection
from weighbridge.errors import (
    AccessDenied,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    UnsafePath,
)
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options

OPTIONS = frozenset({"root", "litter"})
#: The one value of the option `litter`.
_KEEP = "keep"
#: Seconds within which a file system may give two writes the same time stamp.
_CLOCK_TICK_S = 0.02
_CHUNK_SIZE = 4 * 1024 * 1024


class FileSource:
    """A file or folder of this machine; see the module. Options: `root`, a folder for targets of links; `litter`."""

    kind: ClassVar[str] = "file"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    def resolve(self, ref: ModelRef) -> Manifest:
        """List the files; reads none of them.

        The revision is a digest of every name and identity (`_identity`), so that a folder in which nothing was
        written resolves to the same reference and a changed one never does.

        Raises:
            ModelNotFound: there is no such path, or nothing in it.
            AccessDenied: this user may not read it, or it is outside of the settings' `file_roots`.
            UnsafePath: a name that is not safe everywhere, a link that leads outside, or something that is not a file.
        """
        refuse_unknown_options(ref, OPTIONS)
        keep = _keeps_litter(ref)
        top = self._top(ref)
        left_out: list[str] = []
        with _foreign_errors(top):
            roots = self._roots(ref, top)
            entries = (
                tuple(self._walk(top, roots, Selection.of(ref), None if keep else left_out))
                if top.is_dir()
                else (_entry(top.name, _regular(top, roots)),)
            )
        _let_the_clock_tick(entries)
        if not entries:
            raise ModelNotFound(f"The folder {top} holds no files.", "Name the folder of the model.")
        lines = "\n".join(f"{entry.version} {entry.path}" for entry in sorted(entries))
        pinned = ModelRef(self.kind, str(top), hashlib.sha256(lines.encode()).hexdigest(), ref.options)
        return refuse_oversize(Manifest(pinned, entries, left_out=tuple(sorted(left_out))), self._settings)

    def _walk(
        self, top: Path, roots: tuple[Path, ...], selection: Selection, left_out: list[str] | None
    ) -> Iterator[FileEntry]:
        """Yield the files; add litter to `left_out`, or yield it as well when that is None."""
        pending, count = [""], 0
        while pending:
            folder = pending.pop()
            with os.scandir(top / folder) as listing:
                for item in listing:
                    if left_out is not None and is_litter(item.name):
                        inside = f"{folder}/{item.name}" if folder else item.name
                        left_out.append(f"{ascii(inside)[1:-1]}: {LEFT_BEHIND}")
                        continue
                    path = f"{folder}/{item.name}" if folder else item.name
                    is_folder = item.is_dir(follow_symlinks=False)
                    if selection.excludes(f"{path}/") if is_folder else not selection.takes(path):
                        continue
                    safe_path(path)
                    count += 1
                    if count > self._settings.max_files:
                        raise SourceError(
                            f"The folder {top} holds more than {self._settings.max_files:,} files.",
                            "Name the folder of one model.",
                        )
                    if is_folder:
                        pending.append(path)
                    else:
                        yield _entry(path, _regular(top / path, roots))

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open a file from `offset`.

        Raises:
            SourceMisbehaved: it changed after it was resolved, or changes while the chunks are read.
            ModelNotFound: it was removed.
        """
        top = self._top(ref)
        with _foreign_errors(top):
            path = top / entry.path if top.is_dir() else top
            status = _regular(path, self._roots(ref, top))
            # This open never waits for a writer if a pipe took the file's place after the check.
            file = os.fdopen(
                os.open(path.resolve(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", 0
            )
        with file:
            expected = entry.version or _identity(status)
            _refuse_change(file, path, expected)
            file.seek(offset)
            # The rest of a small file, and one byte to see its end, need no larger buffer.
            chunk_size = min(_CHUNK_SIZE, max(status.st_size - offset, 0) + 1)
            yield ByteStream(offset, _chunks(file, path, expected, chunk_size), status.st_size)

    def _top(self, ref: ModelRef) -> Path:
        """Return the absolute path of a model; its errors do not reveal what exists outside of `file_roots`."""
        top, allowed = _local(ref, ref.id), self._settings.file_roots
        with _foreign_errors(top):
            if allowed is not None and not _below(top.resolve(), allowed):
                raise AccessDenied(
                    f"{top} may not be read here.",
                    "Runs on behalf of others read only folders in WEIGHBRIDGE_FILE_ROOTS: ask the operator of "
                    "this machine to add it.",
                    path=str(top),
                )
        return top

    def _roots(self, ref: ModelRef, top: Path) -> tuple[Path, ...]:
        """Return the resolved folders that links may lead into: the model's, its Hugging Face cache's, the option's."""
        if not top.is_dir():
            return (top.resolve().parent,)
        roots = [top.resolve()]
        snapshot = top.resolve()
        for parent in (snapshot, *snapshot.parents):
            if parent.parent.name == "snapshots" and parent.parent.parent.name.startswith(("models--", "datasets--")):
                roots.append(parent.parent.parent / "blobs")
                break
        roots += [_local(ref, root).resolve() for root in ref.option("root")]
        allowed = self._settings.file_roots
        return tuple(root for root in roots if allowed is None or _below(root, allowed))


def _keeps_litter(ref: ModelRef) -> bool:
    """Return whether litter counts as part of the model. Raises InvalidReference."""
    wanted = ref.option("litter")
    if any(value != _KEEP for value in wanted):
        raise InvalidReference(
            f"The option litter is {wanted[0]!r}.", "Write litter=keep, or leave it out.", uri=ref.uri
        )
    return bool(wanted)


def _below(path: Path, folders: Collection[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _local(ref: ModelRef, path: str) -> Path:
    """Return the user's path as an absolute one; `~` is a home folder."""
    try:
        if "\0" in path:
            raise ValueError("it holds NUL")
        return Path(path).expanduser().absolute()
    except (ValueError, RuntimeError) as error:  # RuntimeError: `~name` of an unknown user
        raise InvalidReference(
            f"“{path}” is not a path: {error}.", "Write file:/path/to/model.", uri=ref.uri
        ) from error


def _regular(path: Path, roots: tuple[Path, ...]) -> os.stat_result:
    """Return the status of a regular file, links followed when they stay below `roots`.

    Raises:
        UnsafePath: a link leads elsewhere, or it is not a regular file.
    """
    if path.is_symlink():
        target = _target(path)
        if not _below(target, roots):
            raise UnsafePath(
                f"{path} is a link that leads out of the model, to {target}.",
                "Put the file itself there, name the folder that links may lead into (file:/path?root=/folder), or "
                "leave it out (file:/path?exclude=name).",
                path=str(path),
                target=str(target),
            )
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        what = "a link to a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise UnsafePath(
            f"{path} is {what}, not a file.",
            "Put the files themselves there, or leave it out: file:/path?exclude=name.",
            path=str(path),
        )
    return status


def _target(link: Path) -> Path:
    """Return the target of a link. Raises UnsafePath when it does not exist."""
    try:
        return link.resolve(strict=True)
    except FileNotFoundError as error:
        raise UnsafePath(
            f"{link} is a link to {os.readlink(link)}, which does not exist.",
            "Put the file itself there, or leave it out: file:/path?exclude=name.",
            path=str(link),
        ) from error


def _identity(status: os.stat_result) -> str:
    """Return what changes whenever a file is written: ctime too, as any program can set mtime back."""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_dev}-{status.st_ino}"


def _let_the_clock_tick(entries: tuple[FileEntry, ...]) -> None:
    """Wait until a further write to any of the files would get a different time stamp."""
    newest_ns = max((int(entry.version.split("-")[2]) for entry in entries), default=0)
    wait_s = newest_ns / 1e9 + _CLOCK_TICK_S - time.time()
    if 0 < wait_s <= _CLOCK_TICK_S:
        time.sleep(wait_s)


def _entry(path: str, status: os.stat_result) -> FileEntry:
    return FileEntry(path, status.st_size, version=_identity(status))


def _refuse_change(file: BinaryIO, path: Path, expected: str) -> None:
    if _identity(os.fstat(file.fileno())) != expected:
        raise SourceMisbehaved(
            f"{path} was changed while it was being read.",
            "Wait until the program that writes it has finished, then run the same command again.",
            path=str(path),
        )


def _chunks(file: BinaryIO, path: Path, expected: str, chunk_size: int) -> Iterator[bytes]:
    with _foreign_errors(path):
        while chunk := file.read(chunk_size):
            yield chunk
        _refuse_change(file, path, expected)


@contextmanager
def _foreign_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = error.filename or path
        raise ModelNotFound(f"There is no {missing}.", "Check the path.", path=str(missing)) from error
    except PermissionError as error:
        refused = error.filename or path
        raise AccessDenied(
            f"This user may not read {refused}.", "Change its permissions, or run as its owner.", path=str(refused)
        ) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise SourceUnavailable(
            f"{path} cannot be read: {error}.", "Check the disk it is on.", path=str(path)
        ) from error
