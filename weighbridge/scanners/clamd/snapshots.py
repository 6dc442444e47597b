"""Snapshots: every database that a private clamd loads, kept unchanged below the home folder under its fingerprint.

A folder that freshclam updates may change while a clamd reads it, and a report must name the signatures that it was
made with. So a private clamd loads a copy, which stays for rescans. Not here: who brings new signatures
(intake.signatures), and what a database is (scanners.clamd.database).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from weighbridge.domain.signatures import SignatureDatabase
from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners.clamd import database
from weighbridge.system import whole_files
from weighbridge.system.claimed_folders import claimed

_FINGERPRINT = re.compile("[0-9a-f]{64}")
#: The hexadecimal digits of a fingerprint that a report names at least (in its rules).
SHORT = 16
#: How many snapshots stay that nothing needs: a process that began days ago may have to start its clamd again.
NEWEST = 3
_COPYING = ".copying-"
#: How often a folder is copied again that changed meanwhile.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Snapshot:
    """A database that no longer changes: its folder and its description."""

    folder: Path
    database: SignatureDatabase


def folder(home: Path) -> Path:
    """Return the folder of all snapshots."""
    return home / "clamav" / "databases"


def digests(home: Path) -> Path:
    """Return the file with the digests of unchanged files."""
    return home / "clamav" / "digests.json"


def find(home: Path, fingerprint: str) -> Path | None:
    """Return the folder of the snapshot with that fingerprint, or None; also where its files are no longer the same.

    Args:
        home: the home folder.
        fingerprint: whole, or its first 16 digits or more, as reports name it in their rules.
    """
    snapshot = _found(home, fingerprint)
    return snapshot.folder if snapshot else None


def installed(home: Path) -> Snapshot | None:
    """Return the database that an update installed last, or None."""
    with suppress(OSError, UnicodeError):
        return _found(home, _pointer(home).read_text().strip())
    return None


def install(home: Path, snapshot: Snapshot) -> None:
    """Make a snapshot the one that private clamds load from now on. Raises ScannerUnavailable."""
    try:
        whole_files.write(_pointer(home), f"{snapshot.database.fingerprint}\n", durable=True)
    except OSError as error:
        raise _not_written(home, error) from error


def sources(home: Path, configured: Path | None) -> tuple[Path, SignatureDatabase] | None:
    """Return the folder that a private clamd takes its signatures from, with its description, or None for no folder.

    It is the configured one; else the strongest of the installed one and the machine's, as `rank` says, and the
    installed one where both are as strong.

    Raises:
        ScannerUnavailable: the configured folder has no signatures, or they cannot be read.
    """
    machine, ours = database.find(configured), None if configured else installed(home)
    found = None if machine is None else database.read(machine, digests(home))
    if ours is not None and (found is None or ours.database.rank >= found.rank):
        return ours.folder, ours.database
    return None if machine is None or found is None else (machine, found)


def chosen(home: Path, configured: Path | None) -> Snapshot:
    """Return a snapshot of today's signatures; test-only ones where the machine has none.

    Raises:
        ScannerUnavailable: the configured folder has none, or they cannot be read or written.
    """
    found = sources(home, configured)
    if found is None:
        path = home / "clamav" / "test-only"
        try:
            database.write_test_only(path)
        except OSError as error:
            raise _not_written(path, error) from error
        found = path, database.read(path, digests(home))
    return keep(home, *found)


def keep(home: Path, source: Path, description: SignatureDatabase) -> Snapshot:
    """Return the snapshot of a folder; it is copied unless there is one with its fingerprint.

    Raises:
        ScannerUnavailable: it cannot be read or written, or never stays the same for long enough.
    """
    known = _found(home, description.fingerprint)
    if known is not None:
        return known
    try:
        folder(home).mkdir(parents=True, exist_ok=True)
        for _ in range(_ATTEMPTS):
            snapshot = _copied(home, source)
            if snapshot is not None:
                return snapshot
    except OSError as error:
        raise _not_written(folder(home), error) from error
    raise ScannerUnavailable(f"The signatures in {source} change while they are copied.", "Run it again in a minute.")


def prune(home: Path, needed: Collection[str], newest: int = NEWEST) -> tuple[str, ...]:
    """Remove the snapshots that nothing needs, and return their fingerprints.

    Args:
        home: the home folder.
        needed: fingerprints, or their first 16 digits or more, of those that stay.
        newest: how many of the others stay too, the newest first.
    """
    current = installed(home)
    stay = {*needed} | ({current.database.fingerprint} if current else set())
    others = [path for path in _kept(home) if not any(path.name.startswith(one) for one in stay)]
    gone = others[max(0, newest) :]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return tuple(path.name for path in gone)


def _copied(home: Path, source: Path) -> Snapshot | None:
    """Copy a folder; return None where it changed meanwhile."""
    with claimed(folder(home), _COPYING) as stage:
        try:
            before = _states(source)
            for path in database.files(source):
                shutil.copyfile(path, stage / path.name)
        except FileNotFoundError:
            return None
        found = database.read(stage)
        if _states(source) != before:
            return None
        place = folder(home) / found.fingerprint
        stage.chmod(0o755)
        if _found(home, found.fingerprint) is None:
            shutil.rmtree(place, ignore_errors=True)  # What is there is damaged.
            with suppress(FileExistsError):  # Another process was faster.
                _rename(stage, place)
    return _found(home, found.fingerprint)


def _rename(stage: Path, place: Path) -> None:
    try:
        os.rename(stage, place)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise FileExistsError(str(place)) from error
        raise


def _found(home: Path, fingerprint: str) -> Snapshot | None:
    """Return the snapshot of a fingerprint, or of its first digits, if its files are still the same."""
    if len(fingerprint) < SHORT:
        return None
    with suppress(ScannerUnavailable):
        for path in _kept(home):
            if path.name.startswith(fingerprint):
                found = database.read(path, digests(home))
                return Snapshot(path, found) if found.fingerprint == path.name else None
    return None


def _states(source: Path) -> list[tuple[str, int, int]]:
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in database.files(source)]


def _kept(home: Path) -> list[Path]:
    """Return the folders of all snapshots, the newest first."""
    found: list[tuple[int, Path]] = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder(home)) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if _FINGERPRINT.fullmatch(entry.name):
                    found.append((entry.stat().st_mtime_ns, Path(entry.path)))
    return [path for _, path in sorted(found, reverse=True)]


def _pointer(home: Path) -> Path:
    return home / "clamav" / "installed"


def _not_written(path: Path, error: OSError) -> ScannerUnavailable:
    return ScannerUnavailable(
        f"The scanner cannot write to {path}: {error.strerror}.", "Free some space there, or set WEIGHBRIDGE_HOME."
    )
