"""Progress in a terminal while a run works: one line a step, never wider than the terminal.

Where the output is not a terminal that can move the cursor (a pipe, a file), each step is one constant line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from weighbridge.domain.progress import BYTES
from weighbridge.domain.tally import Reading, Tally
from weighbridge.domain.text import shown
from weighbridge.views.text import amount_text, bytes_text, duration_text

_FRAMES, _ASCII_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/"
_FRAMES_A_SECOND = 8
#: Columns of the parts of a line, in order; the rest shows what a step is working on.
_STEP, _BAR, _AMOUNT, _SPEED, _TIME = 9, 10, 17, 13, 11
#: Columns of a terminal below which a line has no bar.
_NARROW = 72


class Bars(Tally):
    """Shows a tally on a console, for as long as its context lasts. Satisfies `progress.Progress`."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console, self._telling = console, Lock()
        self._told: set[str] = set()
        #: With FORCE_COLOR, rich takes a pipe for a terminal; lines that move are of no use in a log.
        self._watched = console.is_interactive and console.file.isatty()
        self._live = Live(
            _Lines(self),
            console=console,
            transient=True,
            refresh_per_second=_FRAMES_A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        if self._watched:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the lines and show the cursor again; a second call is harmless."""
        self._live.stop()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Remove the lines while something else is printed."""
        self.stop()
        yield
        if self._watched:
            self._live.start()

    def expect(self, step: str, amount: int, unit: str = BYTES) -> None:
        """Add to what a step has to do."""
        self._tell(step)
        super().expect(step, amount, unit)

    def say(self, step: str, text: str) -> None:
        """Show what a step is working on."""
        self._tell(step)
        super().say(step, text)

    def _tell(self, step: str) -> None:
        if self._watched:
            return
        with self._telling:
            if step not in self._told:
                self._told.add(step)
                self._console.print(f"{step} …", style="dim")


class _Lines:
    """The lines of a tally, computed each time they are drawn."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for reading in self._tally.readings():
            yield line(reading, options.max_width, ascii_only=options.ascii_only)


def line(reading: Reading, width: int, *, ascii_only: bool = False) -> Text:
    """Return the progress of a step in one line that is never wider than `width` columns."""
    left_s = None if reading.finished else reading.left_s
    clock = duration_text(reading.passed_s) if left_s is None else f"{duration_text(left_s)} left"
    moving = reading.unit == BYTES and not reading.finished and reading.speed is not None
    speed = f"{bytes_text(reading.speed)}/s" if moving and reading.speed is not None else ""
    text = Text(no_wrap=True)
    text.append(f"{_mark(reading, ascii_only)} ", "green" if reading.finished else "cyan")
    text.append(f"{reading.step:<{_STEP}}", "bold")
    if width >= _NARROW:
        text.append_text(_bar(reading.share, ascii_only)).append(" ")
    text.append(f"{amount_text(reading):>{_AMOUNT}}", "green")
    text.append(f"{speed:>{_SPEED}}", "red")
    text.append(f"{clock:>{_TIME}} ", "cyan")
    if not reading.finished:
        text.append(_end_of(shown(reading.at), width - text.cell_len), "dim")
    text.truncate(width)
    return text


def _end_of(name: str, room: int) -> str:
    """Return the end of a name, where the names of a model's files differ, in at most `room` columns."""
    if cell_len(name) <= room:
        return name
    while name and cell_len(name) + 3 > room:
        name = name[1:]
    return f"...{name}"


def _mark(reading: Reading, ascii_only: bool) -> str:
    if reading.finished:
        return "*" if ascii_only else "✓"
    frames = _ASCII_FRAMES if ascii_only else _FRAMES
    return frames[int(time.monotonic() * _FRAMES_A_SECOND) % len(frames)]


def _bar(share: float | None, ascii_only: bool) -> Text:
    done, rest = "#." if ascii_only else "━─"
    full = int((share or 0.0) * _BAR)
    return Text.assemble((done * full, "green"), (rest * (_BAR - full), "bright_black"))
