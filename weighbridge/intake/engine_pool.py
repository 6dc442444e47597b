"""The scanners of a process: opened when first needed, and again when their signatures have changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from weighbridge.config.settings import Settings
from weighbridge.scanners import open_scanners
from weighbridge.scanners.interface import Scanner

if TYPE_CHECKING:
    from weighbridge.intake.scanning import Engines


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
    newly opened scanners if the signatures have changed by then. Old ones are closed after their last user.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._current: OpenEngines | None = None

    def borrow(self) -> OpenEngines:
        """Return open scanners, which `give_back` takes. Raises ScannerUnavailable."""
        with self._lock:
            if self._current is None or _is_outdated(self._current):
                opened = self._open()
                self._retire()
                self._current = opened
            self._current.users += 1
            return self._current

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

    def _open(self) -> OpenEngines:
        with ExitStack() as stack:
            engines = _engines_of(stack.enter_context(open_scanners(self._settings)))
            return OpenEngines(engines, _closing=stack.pop_all())

    def _retire(self) -> None:
        retired, self._current = self._current, None
        if retired is not None and not retired.users:
            retired.close()


def _is_outdated(opened: OpenEngines) -> bool:
    return _engines_of(opened.engines.scanners).engines != opened.engines.engines


def _engines_of(scanners: Sequence[Scanner]) -> Engines:
    # A server answers before it has imported what reads models; the pool's lock is held, so that one thread does.
    from weighbridge.intake.scanning import Engines

    return Engines.of(scanners)
