"""The scanners: one engine or family a file, one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from weighbridge.clamd.connection import Address
from weighbridge.clamd.daemon import Daemon
from weighbridge.scanners.archives import ArchiveScanner
from weighbridge.scanners.clamav import ClamAVScanner, ForeignBackend, PrivateBackend
from weighbridge.scanners.formats import FormatsScanner
from weighbridge.scanners.interface import Scanner
from weighbridge.scanners.pickles import PickleScanner
from weighbridge.settings import Settings


def _clamav(settings: Settings, stack: ExitStack) -> Scanner:
    if settings.clamd:
        return ClamAVScanner(ForeignBackend(Address.parse(settings.clamd), settings.clamd_limit))
    daemon = Daemon(settings.folder, settings.clamav_database, settings.slots)
    stack.callback(daemon.stop)
    return ClamAVScanner(PrivateBackend(daemon))


#: Scanner name to what opens it; what it starts ends with the stack.
SCANNERS: dict[str, Callable[[Settings, ExitStack], Scanner]] = {
    "archives": lambda settings, stack: ArchiveScanner(),
    "clamav": _clamav,
    "formats": lambda settings, stack: FormatsScanner(),
    "pickles": lambda settings, stack: PickleScanner(),
}


@contextmanager
def open_scanners(settings: Settings) -> Iterator[tuple[Scanner, ...]]:
    """Open every scanner; a clamd that is started for them ends with the context."""
    with ExitStack() as stack:
        yield tuple(create(settings, stack) for create in SCANNERS.values())
