"""Locking: what the wanted models are now, every file with its sha256, ready to be written to models.lock."""

from __future__ import annotations

from collections.abc import Mapping

from weighbridge import pipeline
from weighbridge.errors import IntegrityError
from weighbridge.ingesting import Runner
from weighbridge.manifest import Manifest
from weighbridge.pipeline import Job
from weighbridge.request import IngestRequest


def lock(job: Job, runner: Runner) -> Manifest:
    """Return a model's computed manifest at its present pinned revision.

    Bytes whose sha256 the source does not promise are fetched; nothing is scanned or published.

    Raises:
        WeighbridgeError: the model cannot be had, or is not what `hash` says.
    """
    declared = runner.call(pipeline.resolve, job)
    promised = not declared.archive and all(
        entry.digest is not None and entry.digest.algorithm == "sha256" and entry.size is not None
        for entry in declared.files
    )
    if promised:
        received = [pipeline.Received(declared.files)]
    elif known := pipeline.recall(job, declared):
        received = [known]
    else:
        fetches = [runner.submit(pipeline.fetch, job, declared, group) for group in pipeline.groups(declared)]
        received = [fetched.result() for fetched in fetches]
    manifest, _ = runner.call(pipeline.verify, job, declared, received)
    if not promised:
        pipeline.remember(job, declared, manifest, received)
    return manifest


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
