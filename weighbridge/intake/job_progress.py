"""The progress of a job: its steps in order, with what each has done, as plain JSON that the catalog keeps.

Not here: when it is written (intake.job_run).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weighbridge.domain.progress import BYTES, Heard, unheard
from weighbridge.domain.tally import Reading, Tally
from weighbridge.domain.text import shown

#: The steps of each kind of job, in order.
STEPS = {
    "ingest": ("resolve", "fetch", "scan", "verify", "describe", "decide", "publish"),
    "rescan": ("scan", "describe", "decide", "publish"),
    "purge": ("delete",),
}
#: This step begins while the one before it still runs.
_BESIDE = "scan"
_MOST_TEXT = 300


class JobProgress(Tally):
    """Receives the progress of a job's steps; safe for threads.

    Args:
        steps: the names of its steps, in order.
        received: is called with the bytes that come from a source.
    """

    def __init__(self, steps: Sequence[str], received: Heard = unheard) -> None:
        super().__init__()
        self._received = received
        self._planned = tuple(steps)
        self._begun: tuple[str, ...] = ()

    def advance(self, step: str, amount: int) -> None:
        """Add what a step has done."""
        super().advance(step, amount)
        if step == "fetch":
            self._received(amount)

    def begin(self, step: str) -> None:
        """Note that a step begins: with that, those before it have ended, except `fetch` when `scan` begins."""
        if step not in self._begun:
            self._begun = (*self._begun, step)

    @property
    def status(self) -> str:
        """The status that a version has meanwhile (spec 4); PURGING while its bytes are deleted."""
        if self._planned == STEPS["purge"]:
            return "PURGING"
        return "SCANNING" if any(step not in ("resolve", "fetch") for step in self._running()) else "FETCHING"

    def _running(self) -> tuple[str, ...]:
        begun = self._begun
        return begun[-2:] if begun[-2:] == ("fetch", _BESIDE) and not self._is_finished("fetch") else begun[-1:]

    def _is_finished(self, step: str) -> bool:
        return any(reading.finished for reading in self.readings() if reading.step == step)

    def to_json(self, *, ended: bool = False) -> list[dict[str, Any]]:
        """Return every step in order with its state; those that steps report besides, such as `unpack`, come last.

        Args:
            ended: whether the job has ended, so that no step is running.
        """
        readings = {reading.step: reading for reading in self.readings()}
        running = () if ended else self._running()
        steps = []
        for name in dict.fromkeys((*self._planned, *readings)):
            reading = readings.get(name)
            begun = name in self._begun or (reading is not None and name not in self._planned)
            is_running = name in running or (not ended and name not in self._planned and not _finished(reading))
            state = "running" if is_running else "done" if begun else "waiting"
            steps.append({"name": name, "state": state, **_amounts(reading, is_running)})
        return steps


def _finished(reading: Reading | None) -> bool:
    return reading is not None and reading.finished


def _amounts(reading: Reading | None, is_running: bool) -> dict[str, Any]:
    if reading is None:
        return {"unit": BYTES, "done": 0, "total": None, "speed": None, "working_on": ""}
    return {
        "unit": reading.unit,
        "done": reading.done,
        "total": reading.total,
        "speed": round(reading.speed) if is_running and reading.speed is not None else None,
        "working_on": shown(reading.at, _MOST_TEXT) if is_running else "",
    }
