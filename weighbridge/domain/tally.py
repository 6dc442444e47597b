"""The tally: the progress that steps report, and what follows from it: speed, time left, time passed.

Not here: how it is shown (views.progress_bars, flows.artifact_progress).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from weighbridge.domain.progress import BYTES

#: The shortest time in seconds over which speed is measured; the speed of a stalled step is zero after it.
WINDOW_S = 10.0
#: Seconds between two marks that are kept.
_GRAIN_S = 0.25


@dataclass(frozen=True)
class Reading:
    """How far one step is at a moment.

    Attributes:
        step: its name.
        unit: of what is counted.
        done, total: amounts; `total` is None where it is unknown, and then `done` may stay 0.
        at: what it is working on.
        speed: recent amount a second; None while it is unknown.
        passed_s: seconds since the step began; once it is done, its whole duration.
    """

    step: str
    unit: str
    done: int
    total: int | None
    at: str
    speed: float | None
    passed_s: float

    @property
    def finished(self) -> bool:
        """Return whether all that is expected so far is done."""
        return self.total is not None and self.done >= self.total

    @property
    def share(self) -> float | None:
        """The part of it that is done, 0 to 1; None where the total is unknown."""
        return None if self.total is None else min(1.0, self.done / self.total) if self.total else 1.0

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest takes at this speed; None where speed or total is unknown."""
        if self.total is None or not self.speed:
            return None
        return max(0.0, (self.total - self.done) / self.speed)


@dataclass
class _Step:
    began: float
    unit: str = BYTES
    expected: int = 0
    done: int = 0
    worked: int = 0
    at: str = ""
    changed: float = 0.0
    longest_gap_s: float = 0.0
    marks: deque[tuple[float, int]] = field(default_factory=deque)

    def work(self, amount: int, now: float) -> None:
        self.done += amount
        self.worked += amount
        self.longest_gap_s = max(self.longest_gap_s, now - self.changed)
        self.changed = now
        if len(self.marks) > 1 and now - self.marks[-2][0] < _GRAIN_S:
            self.marks[-1] = (now, self.worked)
        else:
            self.marks.append((now, self.worked))
        while len(self.marks) > 2 and now - self.marks[1][0] > self.window_s:
            self.marks.popleft()

    @property
    def window_s(self) -> float:
        """Seconds over which speed is measured; longer for a step that jumps, such as one that counts files."""
        return max(WINDOW_S, 2 * self.longest_gap_s)

    def speed(self, now: float) -> float | None:
        if not self.worked:
            return None
        start, before = self.marks[0]
        for mark, worked in self.marks:
            if now - mark < self.window_s:
                break
            start, before = mark, worked
        start = max(start, now - self.window_s)
        return (self.worked - before) / (now - start) if now > start else None

    def reading(self, name: str, now: float) -> Reading:
        total = self.expected if self.expected and self.expected >= self.done else None
        ended = total is not None and self.done >= total
        passed_s = (self.changed if ended else now) - self.began
        return Reading(name, self.unit, self.done, total, self.at, self.speed(now), max(0.0, passed_s))


class Tally:
    """Sums up what steps report; satisfies `progress.Progress`.

    Args:
        clock: returns seconds that never decrease.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._steps: dict[str, _Step] = {}

    def _step(self, name: str) -> _Step:
        if name not in self._steps:
            now = self._clock()
            self._steps[name] = _Step(now, changed=now, marks=deque([(now, 0)]))
        return self._steps[name]

    def expect(self, step: str, amount: int, unit: str = BYTES) -> None:
        """Add what a step has to do."""
        with self._lock:
            found = self._step(step)
            found.expected, found.unit = found.expected + amount, unit

    def advance(self, step: str, amount: int) -> None:
        """Add what a step has done."""
        with self._lock:
            self._step(step).work(amount, self._clock())

    def skip(self, step: str, amount: int) -> None:
        """Add what needed no work; it makes a step no faster."""
        with self._lock:
            found = self._step(step)
            found.done, found.changed = max(0, found.done + amount), self._clock()

    def say(self, step: str, text: str) -> None:
        """Report what a step is working on now."""
        with self._lock:
            self._step(step).at = text

    def readings(self) -> list[Reading]:
        """Return the reading of every step, in the order in which they began."""
        with self._lock:
            now = self._clock()
            return [step.reading(name, now) for name, step in self._steps.items()]
