"""Progress: what a step reports while it runs. The command line draws bars from it, Prefect keeps artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
#: The unit of a step that counts bytes; any other one is a plural: `models`, `benchmarks`.
BYTES = "bytes"
#: Receives the number of bytes that one step has done.
Heard = Callable[[int], None]


def unheard(amount: int) -> None:
    """Ignore the amount."""


class Progress(Protocol):
    """Receives the progress of each step; called from several threads."""

    def expect(self, step: str, amount: int, unit: str = BYTES) -> None:
        """Add what a step has to do."""
        ...

    def advance(self, step: str, amount: int) -> None:
        """Add what a step has done."""
        ...

    def skip(self, step: str, amount: int) -> None:
        """Add what needed no work, such as bytes already stored; a negative amount for what has to be done again."""
        ...

    def say(self, step: str, text: str) -> None:
        """Report what a step is working on now."""
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
    """Passes progress on to several receivers, such as a terminal and a Prefect server."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = listeners

    def expect(self, step: str, amount: int, unit: str = BYTES) -> None:
        """Pass it on."""
        for listener in self._listeners:
            listener.expect(step, amount, unit)

    def advance(self, step: str, amount: int) -> None:
        """Pass it on."""
        for listener in self._listeners:
            listener.advance(step, amount)

    def skip(self, step: str, amount: int) -> None:
        """Pass it on."""
        for listener in self._listeners:
            listener.skip(step, amount)

    def say(self, step: str, text: str) -> None:
        """Pass it on."""
        for listener in self._listeners:
            listener.say(step, text)


@contextmanager
def one_of(progress: Progress, step: str, unit: str, text: str) -> Iterator[None]:
    """Add one item to a step, report its name, and count it as done when the block ends."""
    progress.expect(step, 1, unit)
    progress.say(step, text)
    yield
    progress.advance(step, 1)


def counted(progress: Progress, step: str, unit: str, things: Iterable[tuple[str, T]], total: int) -> Iterator[T]:
    """Yield the items of (name, item) pairs, report each name, and count an item as done when the next is requested."""
    progress.expect(step, total, unit)
    for name, thing in things:
        progress.say(step, name)
        yield thing
        progress.advance(step, 1)
