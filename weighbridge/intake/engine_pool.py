"""The scanners of a process: opened when first needed, and again when their signatures have changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from weighbridge.config.settings import Settings
from weighbridge.errors import ScannerUnavailable
from weighbridge.scanners import open_scanners
from weighbridge.scanners.interface import Engine, Scanner, Successor

if TYPE_CHECKING:
    from weighbridge.intake.scanning import Engines

_log = logging.getLogger(__name__)
#: Seconds after which signatures that clamd could not load are tried again, as the machine may have been out of memory.
RETRY_S = 600.0


@dataclass
class OpenEngines:
    """Open scanners, with the engine of each.

    Attributes:
        engines: the scanners; they use the same signatures until they are closed.
        users: how many pieces of work use them.
    """

    engines: Engines
    users: int = 0
    _closing: ExitStack = field(default_factory=ExitStack, repr=False)

    def close(self) -> None:
        """Stop the processes that were started for them, such as a clamd."""
        self._closing.close()


class EnginePool:
    """Lends scanners to pieces of work. Safe for threads.

    A piece of work keeps the scanners that it borrowed, so that all of its reports are of one engine. The next one gets
    newly opened scanners if the signatures have changed by then. Old ones are closed after their last user; where they
    have none, the new ones go on with their clamd. Signatures that clamd cannot load change nothing: the old scanners
    are lent until there are others.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._current: OpenEngines | None = None
        self._refused: Mapping[str, Engine] = {}
        self._refused_until = 0.0

    def borrow(self) -> OpenEngines:
        """Return open scanners with today's signatures, which `give_back` takes. Raises ScannerUnavailable."""
        with self._lock:
            current = self._renewed()
            current.users += 1
            return current

    def give_back(self, opened: OpenEngines) -> None:
        """Take scanners back, and close outdated ones after their last user."""
        with self._lock:
            opened.users -= 1
            if opened is not self._current and not opened.users:
                opened.close()

    def close(self) -> None:
        """Close the scanners that the next piece of work would borrow."""
        with self._lock:
            self._retire()

    def _renewed(self) -> OpenEngines:
        opened, current = self._open(), self._current
        if current is None:
            self._current = opened
            return opened
        engines = opened.engines.engines
        refused = engines == self._refused and time.monotonic() < self._refused_until
        if engines == current.engines.engines or refused:
            opened.close()
            return current
        try:
            _take_over(opened, current)
        except ScannerUnavailable as error:
            opened.close()
            self._refused, self._refused_until = engines, time.monotonic() + RETRY_S
            _log.warning("The new signatures are not used: %s", error)
            return current
        self._retire()
        self._current = opened
        return opened

    def _open(self) -> OpenEngines:
        with ExitStack() as stack:
            engines = _engines_of(stack.enter_context(open_scanners(self._settings)))
            return OpenEngines(engines, _closing=stack.pop_all())

    def _retire(self) -> None:
        retired, self._current = self._current, None
        if retired is not None and not retired.users:
            retired.close()


def _take_over(opened: OpenEngines, current: OpenEngines) -> None:
    previous = {scanner.name: scanner for scanner in current.engines.scanners}
    for scanner in opened.engines.scanners:
        if isinstance(scanner, Successor) and scanner.name in previous:
            scanner.take_over(previous[scanner.name], idle=not current.users)


def _engines_of(scanners: Sequence[Scanner]) -> Engines:
    # A server answers before it has imported what reads models; the pool's lock is held, so that one thread does.
    from weighbridge.intake.scanning import Engines

    return Engines.of(scanners)
