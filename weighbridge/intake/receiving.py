"""Receiving: fetches a model's files into the store and verifies them, before anything judges them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weighbridge.domain.manifest import Manifest
from weighbridge.domain.request import IngestRequest
from weighbridge.intake import steps
from weighbridge.intake.chain import Runner
from weighbridge.intake.job import Job
from weighbridge.intake.workspace import Workspace


@dataclass(frozen=True)
class Arrival:
    """A model that is in the store and verified, but not judged yet.

    Attributes:
        manifest: computed: every file with size and sha256.
        unverified: files for which the source promised no digest.
        unchanged: whether nothing was fetched.
        dropped: files of the source and members of an archive that do not belong to the model, each with the reason.
    """

    manifest: Manifest
    unverified: tuple[str, ...] = ()
    unchanged: bool = False
    dropped: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "pinned": self.manifest.ref.uri,
            "manifest_digest": str(self.manifest.digest),
            "size": self.manifest.size,
            "files": [entry.to_json() for entry in self.manifest.files],
            "unverified": list(self.unverified),
            "unchanged": self.unchanged,
            "dropped": list(self.dropped),
        }


def fetch(request: IngestRequest, workspace: Workspace, runner: Runner) -> Arrival:
    """Bring a model into the store, verified, unscanned and unpublished; `ingest` then downloads nothing.

    Raises:
        WeighbridgeError: the model cannot be fetched, or is not what was promised.
    """
    job = Job.of(request, workspace)
    return receive(job, runner, steps.resolve(job))


def receive(job: Job, runner: Runner, declared: Manifest) -> Arrival:
    """Bring a declared model into the store and verify it against every promise; nothing is scanned or published.

    Raises:
        WeighbridgeError: the model cannot be had, or is not what was promised.
    """
    known = steps.recall(job, declared)
    if known is not None:
        received = [known]
    else:
        fetches = [runner.submit(steps.fetch, job, declared, group) for group in steps.groups(declared)]
        received = [fetched.result() for fetched in fetches]
    manifest, comparison = runner.call(steps.verify, job, declared, received)
    steps.remember(job, declared, manifest, received)
    dropped = (*declared.left_out, *(name for part in received for name in part.dropped))
    return Arrival(manifest, comparison.unverified, known is not None, dropped)
