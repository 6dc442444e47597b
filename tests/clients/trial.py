"""One client on its way through the situations, and what came of it.

Not here: the situations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.clients.environments import Made
from tests.clients.samples import Files, pipeline
from tests.clients.stage import Run, Stage
from tests.clients.table import Client


@dataclass(frozen=True)
class Outcome:
    """What came of a client in a situation.

    Attributes:
        right: whether that is right; None where the client has no such thing, such as a cache.
        note: what is worth knowing.
    """

    right: bool | None
    note: str = ""


class Trial:
    """One client on its way through the situations, with models of its own.

    Args:
        client: the client.
        made: its environment.
        stage: the served mirrors.
    """

    def __init__(self, client: Client, made: Made, stage: Stage) -> None:
        self.client, self.made, self.stage = client, made, stage
        self.name = f"clients/{re.sub('[^a-z0-9]+', '-', client.name.lower()).strip('-')}"
        self.home = stage.home()
        self.first = ""
        self._files: dict[int, Files] = {}

    def files(self, mark: int) -> Files:
        """Return the files of a version."""
        if mark not in self._files:
            of_diffusers = self.client.sample is pipeline
            self._files[mark] = (
                pipeline(self.made.program("python"), mark) if of_diffusers else self.client.sample(mark)
            )
        return self._files[mark]

    def run(self, name: str = "", home: Path | None = None, *, revision: str = "", **variables: str) -> Run:
        """Run the client on a model, with its cache."""
        place = home or self.home
        return self.stage.run(self.client, self.made, name or self.name, place, revision=revision, **variables)

    def value(self, mark: int) -> str:
        """Return what the client prints of a version."""
        return self.client.value(self.files(mark), mark)

    def loads(self, run: Run, mark: int) -> Outcome:
        """Return that a client loaded a version, or its last words."""
        return Outcome(True) if run.loaded == self.value(mark) else Outcome(False, run.words[-400:] or run.loaded)

    def refuses(self, run: Run, words: str) -> Outcome:
        """Return that a client got nothing and its user reads why."""
        if run.loaded:
            return Outcome(False, "it loaded")
        if run.says(words):
            return Outcome(True)
        return Outcome(not self.client.shows, f"without our words: {run.words[-300:]}")
