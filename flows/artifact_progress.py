"""Progress as Prefect artifacts: one bar a step, written in a separate thread so that no step waits for the server.

Not here: the artifacts that stay after a run (artifact_report).
"""

from __future__ import annotations

import logging
from contextvars import copy_context
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Self, cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from flows.artifact_keys import key
from weighbridge.domain.progress import BYTES
from weighbridge.domain.tally import Reading, Tally
from weighbridge.domain.text import markdown_text
from weighbridge.views.text import progress_text

_log = logging.getLogger(__name__)
#: Seconds between two writes: people watch the bars, and each write is a request.
INTERVAL_S = 2.0


@dataclass
class _Written:
    """The server's state of a step."""

    artifact: UUID
    text: str


class ArtifactProgress(Tally):
    """Keeps a progress artifact for each step of one run; satisfies `weighbridge.domain.progress.Progress`.

    Enter it inside a flow run: the artifacts belong to that run.

    Args:
        model: the name of the model, or of the run's subject; part of the artifacts' keys.
        interval_s: seconds between two writes.
    """

    def __init__(self, model: str, interval_s: float = INTERVAL_S) -> None:
        super().__init__()
        self._model, self._interval_s = model, interval_s
        self._written: dict[str, _Written] = {}
        self._ended = Event()

    def __enter__(self) -> Self:
        # The copied context has the flow run that the artifacts belong to.
        self._thread = Thread(target=copy_context().run, args=(self._write_until_ended,), name="progress", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _write_until_ended(self) -> None:
        while not self._ended.wait(self._interval_s):
            self._write()
        self._write()

    def _write(self) -> None:
        for reading in self.readings():
            text = f"{reading.step} {self._model}: {progress_text(reading)}"
            written = self._written.get(reading.step)
            short = (
                written is None and reading.unit != BYTES and reading.finished
            )  # A single request that has ended needs no bar.
            if short or (written is not None and written.text == text):
                continue
            try:
                self._written[reading.step] = self._write_step(reading, text, written)
            except (PrefectException, httpx.HTTPError):
                # A failed write must not stop the ingest; the next write tries again.
                extra = {"model": self._model, "step": reading.step}
                _log.warning("progress was not written", extra=extra, exc_info=True)

    def _write_step(self, reading: Reading, text: str, written: _Written | None) -> _Written:
        percent, described = 100.0 * (reading.share or 0.0), markdown_text(text)
        if written is None:
            created = create_progress_artifact(percent, key=key(reading.step, self._model), description=described)
            return _Written(cast(UUID, created), text)
        update_progress_artifact(written.artifact, progress=percent, description=described)
        return _Written(written.artifact, text)
