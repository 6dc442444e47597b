"""Signatures of ClamAV: brought by freshclam or from a folder, tried, and only then those that private clamds load.

A database that is broken, older or test-only changes nothing. Running processes see the new ones at their next piece of
work (intake.engine_pool). Not here: freshclam (scanners.clamd.freshclam), and which folder a clamd loads
(scanners.clamd.snapshots).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.signatures import (
    UPDATED,
    SignatureDatabase,
    SignatureStatus,
    SignatureUpdate,
    age_days,
    refusal,
)
from weighbridge.errors import InvalidConfiguration, NotConfigured, ScannerUnavailable, SignaturesRefused
from weighbridge.scanners.clamd import database, freshclam, snapshots
from weighbridge.scanners.clamd.connection import Address, Connection
from weighbridge.scanners.clamd.daemon import Daemon
from weighbridge.scanners.clamd.freshclam import Origins
from weighbridge.scanners.clamd.snapshots import Snapshot

#: The step of an update in its progress.
STEP = "signatures"
#: How many databases stay at most because reports of versions that passed name them.
NAMED = 6
#: Seconds after which a machine without signatures tries again to fetch them by itself.
_AGAIN_S = 24 * 3600.0


def status(settings: Settings, clock: Callable[[], datetime] = utc_now) -> SignatureStatus:
    """Return the signatures in use; a foreign clamd is asked for its own. It changes nothing.

    Raises:
        ScannerUnavailable: clamd is not installed or cannot be reached, or the signatures cannot be read.
    """
    today = clock().date()
    if settings.clamd:
        said = Connection(Address.parse(settings.clamd)).version()
        found, engine = database.from_version(said), said.split("/")[0].removeprefix("ClamAV ").strip()
        return SignatureStatus(engine, found, settings.clamd, age_days(found.built, today))
    engine, source = Daemon(settings.folder).version, snapshots.sources(settings.folder, settings.clamav_database)
    if source is None:
        return SignatureStatus(engine, SignatureDatabase("test-only", ""), "", None)
    folder, found = source
    return SignatureStatus(engine, found, str(folder), age_days(found.built, today))


def update(
    settings: Settings, catalog: Catalog, source: Path | None = None, progress: Progress | None = None
) -> SignatureUpdate:
    """Bring new signatures, try them, and put them in the place of those in use; of two updates at once, one waits.

    1. freshclam brings them from the mirrors of the settings, or they are read from a folder.
    2. They are copied, and a clamd of their own loads the copy, must name it, and must call harmless bytes clean.
    3. They become those in use, which the audit log records; what a killed update did not record, the next one does.
    4. Copies that nothing needs any more are removed.

    Args:
        settings: where state lives, and the mirrors.
        catalog: the catalog, for changes of the one who asks.
        source: a folder with databases; None for the mirrors.
        progress: receives the bytes of freshclam's downloads.

    Raises:
        NotConfigured, InvalidConfiguration: the signatures in use belong to somebody else, or no mirror is set.
        ScannerUnavailable: none could be brought, or there is no room for them.
        SignaturesRefused: they are broken, older or weaker than those in use, which stay.
    """
    _refuse_others(settings, source)
    with _one_at_a_time(settings.folder) as lock:
        before = _in_use(settings)
        if source is None:
            origins = Origins.parse(settings.clamav_mirrors)
            folder, where = settings.folder / "clamav" / "fetched", str(origins)
            freshclam.fetch(folder, origins, lock, _Received(progress or Silent()).heard)
        else:
            folder, where = source, str(source)
        after = _install(settings.folder, folder, before, where)
        _record(catalog, before, after)
        named = [rules.partition("/")[0] for rules in catalog.signatures.named(NAMED)]
        snapshots.prune(settings.folder, [name for name in named if len(name) >= snapshots.SHORT])
    return SignatureUpdate(before, after, where)


def _refuse_others(settings: Settings, source: Path | None) -> None:
    if settings.clamd:
        raise NotConfigured(
            f"WEIGHBRIDGE_CLAMD names a clamd ({settings.clamd}) whose operator gives it its signatures.",
            "Run freshclam where it runs; `weighbridge signatures status` says what it has.",
        )
    if settings.clamav_database:
        raise InvalidConfiguration(
            f"WEIGHBRIDGE_CLAMAV_DATABASE names a folder of signatures ({settings.clamav_database}), which is used as "
            "it is.",
            "Put new signatures there, or unset it to have Weighbridge keep its own.",
        )
    if source is not None and not database.files(source):
        raise InvalidConfiguration(
            f"{source} holds no ClamAV signatures.", "It needs main.cvd, daily.cvd and bytecode.cvd, or files of yours."
        )
    if source is None and not settings.clamav_mirrors:
        raise NotConfigured(
            "WEIGHBRIDGE_CLAMAV_MIRRORS is empty: nobody is asked for signatures.",
            "Unset it, name a mirror, or write --from FOLDER.",
        )


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[int]:
    """Wait for another update, and yield the descriptor whose lock this one holds."""
    try:
        (home / "clamav").mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / "clamav" / "update.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ScannerUnavailable(
            f"Signatures cannot be written to {home / 'clamav'}: {error.strerror}.",
            "Mend the folder's owner, or set WEIGHBRIDGE_HOME to one that you can write.",
        ) from error
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor


def _in_use(settings: Settings) -> SignatureDatabase | None:
    found = snapshots.sources(settings.folder, settings.clamav_database)
    return found and found[1]


def _install(home: Path, source: Path, before: SignatureDatabase | None, where: str) -> SignatureDatabase:
    """Put a folder's database in the place of the one in use, unless it is the same. Raises as `update` does."""
    found = database.read(source)
    if before is not None and found.fingerprint == before.fingerprint:
        return before
    if why := refusal(found, before):
        raise _refused(where, why, before)
    snapshot = snapshots.keep(home, source, found)
    try:
        _try(home, snapshot)
    except ScannerUnavailable as error:
        shutil.rmtree(snapshot.folder, ignore_errors=True)
        raise _refused(where, error.problem, before) from error
    snapshots.install(home, snapshot)
    return snapshot.database


def _try(home: Path, snapshot: Snapshot) -> None:
    """Load a database into a clamd of its own. Raises ScannerUnavailable."""
    daemon = Daemon(home, snapshot.folder, threads=1)
    try:
        reply = daemon.connection().scan_stream([secrets.token_bytes(64)])
        if reply.kind != "ok":
            raise ScannerUnavailable(f"It takes random bytes for {reply.text}.")
    finally:
        daemon.stop()


def _refused(where: str, why: str, before: SignatureDatabase | None) -> SignaturesRefused:
    stays = f"Those in use stay: {before.title}." if before else "There are none in use."
    return SignaturesRefused(f"The signatures of {where} are not used. {why} {stays}", "Ask their source for others.")


def _record(catalog: Catalog, before: SignatureDatabase | None, after: SignatureDatabase) -> None:
    """Write the audit log's row of what is in use, unless the newest row has it."""
    last = catalog.audit.last("signatures", UPDATED)
    known = dict(last.after or {}) if last else {}
    if known.get("fingerprint") == after.fingerprint:
        return
    if last is None and before == after:  # They are the machine's own, or a killed update installed them.
        before = None
    elif before == after:  # A killed update installed them: what was there before is in the last row.
        before = replace(
            after,
            kind=known["kind"],
            version=known["version"],
            built=known["date"],
            fingerprint=known["fingerprint"],
        )
    catalog.signatures.record(before, after)


class _Received:
    """Passes on what freshclam receives of one file after the other."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done, self._total = progress, 0, 0

    def heard(self, done: int, total: int) -> None:
        """Report what a file has and will have."""
        if total != self._total or done < self._done:
            self._progress.expect(STEP, total)
            self._done, self._total = 0, total
        self._progress.advance(STEP, done - self._done)
        self._done = done


def are_missing(settings: Settings) -> bool:
    """Return whether this machine has no signatures, and it is worth a try to fetch them now.

    It is not where they belong to somebody else, no mirror is set or answers, freshclam is missing, or a first try has
    failed within a day; a try is noted here.
    """
    if settings.clamd or settings.clamav_database or not settings.clamav_mirrors:
        return False
    try:
        if snapshots.sources(settings.folder, None) is not None:
            return False
        freshclam.executable()
        asked = settings.folder / "clamav" / "asked"
        if asked.exists() and time.time() - asked.stat().st_mtime < _AGAIN_S:
            return False
        asked.parent.mkdir(parents=True, exist_ok=True)
        asked.touch()
    except (OSError, ScannerUnavailable):
        return False
    return _answers(first_source(settings))


def first_source(settings: Settings) -> str:
    """Return where a first update asks. Raises InvalidConfiguration."""
    return str(Origins.parse(settings.clamav_mirrors))


def _answers(addresses: str) -> bool:
    """Return whether a connection to the first of some addresses can be made, where no proxy makes it."""
    if any(os.environ.get(name) for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy")):
        return True
    first = addresses.split(", ")[0]
    parts = urlsplit(first if "://" in first else f"https://{first}")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)), 3):
            return True
    except OSError:
        return False
