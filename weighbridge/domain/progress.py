"""Progress: how far a step is, told to whoever shows it. The command line draws bars, Prefect keeps artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
#: The unit of a step that counts bytes; any other one is a plural: `models`, `benchmarks`.
BYTES = "bytes"
#: Hears of bytes that were done, of one step.
Heard = Callable[[int], None]


def unheard(amount: int) -> None:
    """Ignore how much was done."""


class Progress(Protocol):
    """Hears how far each step is; called from several threads."""

    def expect(self, step: str, amount: int, unit: str = BYTES) -> None:
        """Add what a step has to do."""
        ...

    def advance(self, step: str, amount: int) -> None:
        """Add what a step has done."""
        ...

    def skip(self, step: str, amount: int) -> None:
        """Add what needed no work, such as bytes that were here; less than nothing for what has to be done again."""
        ...

    def say(self, step: str, text: str) -> None:
        """Tell what a step is at now."""
        ...


class Silent:
    """Shows nothing."""

    def expect(self, step: str, amount: int, unit: str = BYTES) -> None:
        """Ignore."""

    def advance(self, step: str, amount: int) -> None:
        """Ignore."""

    def skip(self, step: str, amount: int) -> None:
        """Ignore."""

    def say(self, step: str, text: str) -> None:
        """Ignore."""


class Several:
    """Tells several listeners, such as a terminal and a Prefect server."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = listeners

    def expect(self, step: str, amount: int, unit: str = BYTES) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.expect(step, amount, unit)

    def advance(self, step: str, amount: int) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.advance(step, amount)

    def skip(self, step: str, amount: int) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.skip(step, amount)

    def say(self, step: str, text: str) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.say(step, text)


@contextmanager
def one_of(progress: Progress, step: str, unit: str, text: str) -> Iterator[None]:
    """Count one more of what a step has to do, say which, and count it as done when the block ends."""
    progress.expect(step, 1, unit)
    progress.say(step, text)
    yield
    progress.advance(step, 1)


def counted(progress: Progress, step: str, unit: str, things: Iterable[tuple[str, T]], total: int) -> Iterator[T]:
    """Yield things of which each has a name to show, and count each as done when the next one is asked for."""
    progress.expect(step, total, unit)
    for name, thing in things:
        progress.say(step, name)
        yield thing
        progress.advance(step, 1)
