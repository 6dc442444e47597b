"""Receiving and locking: a model's files in the store, each with its sha256, before anything has judged them.

Not here: the file models.lock (lockfile), and what follows once the files are here (ingesting).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.manifest import Manifest
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import IntegrityError
from weighbridge.intake import steps
from weighbridge.intake.chain import Runner
from weighbridge.intake.steps import Job


def lock(job: Job, runner: Runner) -> Manifest:
    """Return a model's computed manifest at its present pinned revision.

    Bytes whose sha256 the source does not promise are fetched, and all of them for a NAR hash, which is taken over
    bytes; nothing is scanned or published.

    Raises:
        WeighbridgeError: the model cannot be had, or is not what `hash` says.
    """
    declared = runner.call(steps.resolve, job)
    promised = not declared.archive and all(
        entry.digest is not None and entry.digest.algorithm == "sha256" and entry.size is not None
        for entry in declared.files
    )
    if promised and job.request.nar is None:
        manifest, _ = runner.call(steps.verify, job, declared, [steps.Received(declared.files)])
        return manifest
    return receive(job, runner, declared).manifest


@dataclass(frozen=True)
class Arrival:
    """A model that is in the store and is what was promised; nothing has judged it yet.

    Attributes:
        manifest: computed: every file with size and sha256.
        unverified: files for which the source promised no digest.
        unchanged: whether nothing was fetched.
    """

    manifest: Manifest
    unverified: tuple[str, ...] = ()
    unchanged: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "pinned": self.manifest.ref.uri,
            "manifest_digest": str(self.manifest.digest),
            "size": self.manifest.size,
            "files": [entry.to_json() for entry in self.manifest.files],
            "unverified": list(self.unverified),
            "unchanged": self.unchanged,
        }


def receive(job: Job, runner: Runner, declared: Manifest) -> Arrival:
    """Bring a declared model into the store and hold it to every promise; nothing is scanned or published.

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
    return Arrival(manifest, comparison.unverified, known is not None)


def locked_manifest(request: IngestRequest, locks: Mapping[str, tuple[str, Manifest]]) -> Manifest:
    """Return what models.lock holds for a request.

    Raises:
        IntegrityError: the lock does not hold it, or holds it for another URI.
    """
    uri, manifest = locks.get(request.model, ("", None))
    if manifest is None:
        raise IntegrityError(
            f"models.lock does not hold {request.model}.", "Run `weighbridge lock` and commit the lock."
        )
    if uri != request.ref.uri:
        raise IntegrityError(
            f"models.lock holds {request.model} from {uri}, but {request.ref.uri} is wanted.",
            "Run `weighbridge lock` and commit the lock.",
            expected=uri,
            actual=request.ref.uri,
        )
    return manifest
