"""Progress: how far a step is, told to whoever shows it. The command line draws bars, Prefect keeps an artifact."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears how far each step is; called from several threads."""

    def expect(self, step: str, amount: int) -> None:
        """Add bytes that a step has to do."""
        ...

    def advance(self, step: str, amount: int) -> None:
        """Add bytes that a step has done."""
        ...

    def say(self, step: str, text: str) -> None:
        """Tell what a step is at now."""
        ...


class Silent:
    """Shows nothing."""

    def expect(self, step: str, amount: int) -> None:
        """Ignore."""

    def advance(self, step: str, amount: int) -> None:
        """Ignore."""

    def say(self, step: str, text: str) -> None:
        """Ignore."""
