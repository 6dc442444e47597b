"""Progress bars in a terminal while a run works."""

from __future__ import annotations

from threading import Lock
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Bars:
    """Progress bars on a terminal, or one line a step where there is none. Satisfies `progress.Progress`."""

    def __init__(self, console: Console) -> None:
        self._console, self._lock = console, Lock()
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            SpinnerColumn(),  # A scan of gigabytes moves no bar for a while, but it is alive.
            TextColumn("[bold]{task.description:>8}"),
            BarColumn(bar_width=32),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[at]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def _task(self, step: str) -> TaskID:
        with self._lock:
            if step not in self._tasks:
                self._tasks[step] = self._bars.add_task(step, total=0, at="")
                if not self._console.is_terminal:
                    self._console.print(f"{step} …", style="dim")
            return self._tasks[step]

    def expect(self, step: str, amount: int) -> None:
        """Make a step's bar longer."""
        task = self._task(step)
        with self._lock:
            self._bars.update(task, total=(self._bars.tasks[task].total or 0) + amount)

    def advance(self, step: str, amount: int) -> None:
        """Fill a step's bar."""
        self._bars.advance(self._task(step), amount)

    def say(self, step: str, text: str) -> None:
        """Show what a step is at."""
        self._bars.update(self._task(step), at=escape(text[-48:]))
