"""Progress as Prefect artifacts: one bar a step, written by a thread of its own so that no step waits for the server.

Not here: what is kept after a run (artifact_report).
"""

from __future__ import annotations

import logging
from contextvars import copy_context
from dataclasses import dataclass
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self, cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from flows.artifact_keys import key
from weighbridge.views.text import bytes_text

_log = logging.getLogger(__name__)
#: Seconds between two writes: a person watches them, and each is a request.
INTERVAL_S = 2.0


@dataclass
class _Step:
    expected: int = 0
    done: int = 0
    at: str = ""
    written: tuple[int, int] = (0, 0)
    artifact: UUID | None = None

    @property
    def percent(self) -> float:
        return min(100.0, 100.0 * self.done / self.expected) if self.expected else 0.0


class ArtifactProgress:
    """Keeps a progress artifact for each step of one model; satisfies `weighbridge.domain.progress.Progress`.

    Enter it inside a flow run: the artifacts belong to that run.

    Args:
        model: the model's name; part of the artifacts' keys.
        interval_s: seconds between two writes.
    """

    def __init__(self, model: str, interval_s: float = INTERVAL_S) -> None:
        self._model, self._interval_s = model, interval_s
        self._steps: dict[str, _Step] = {}
        self._lock, self._ended = Lock(), Event()

    def __enter__(self) -> Self:
        # The copied context carries the flow run, to which artifacts attach themselves.
        self._thread = Thread(target=copy_context().run, args=(self._write_until_ended,), name="progress", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def expect(self, step: str, amount: int) -> None:
        """Make a step's bar longer."""
        with self._lock:
            self._steps.setdefault(step, _Step()).expected += amount

    def advance(self, step: str, amount: int) -> None:
        """Fill a step's bar."""
        with self._lock:
            self._steps.setdefault(step, _Step()).done += amount

    def say(self, step: str, text: str) -> None:
        """Tell what a step is at."""
        with self._lock:
            self._steps.setdefault(step, _Step()).at = text

    def _write_until_ended(self) -> None:
        while not self._ended.wait(self._interval_s):
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            changed = [
                (name, step)
                for name, step in self._steps.items()
                if step.expected and (step.done, step.expected) != step.written
            ]
        for name, step in changed:
            try:
                self._write_step(name, step)
            except (PrefectException, httpx.HTTPError):
                # A bar that cannot be drawn must not stop the model; the next write tries again.
                _log.warning("progress was not written", extra={"model": self._model, "step": name}, exc_info=True)

    def _write_step(self, name: str, step: _Step) -> None:
        with self._lock:
            now, percent, at = (step.done, step.expected), step.percent, step.at
        done = f"{bytes_text(now[0])} of {bytes_text(now[1])}"
        description = f"{name} {self._model}: {done}" + (f", at {at}" if at else "")
        if step.artifact is None:
            created = create_progress_artifact(percent, key=key(name, self._model), description=description)
            step.artifact = cast(UUID, created)
        else:
            update_progress_artifact(step.artifact, progress=percent, description=description)
        step.written = now
