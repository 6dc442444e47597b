"""Receiving and locking: a model's files in the store, each with its sha256, before anything has judged them.

Not here: the file models.lock (lock_file), and what follows once the files are here (intake.chain).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from weighbridge.domain.manifest import Manifest
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import IntegrityError, WeighbridgeError
from weighbridge.intake import steps
from weighbridge.intake.chain import Runner
from weighbridge.intake.job import Job, Received
from weighbridge.intake.receiving import Arrival, receive
from weighbridge.intake.workspace import Workspace


def lock(job: Job, runner: Runner) -> Arrival:
    """Return what a model is at its present pinned revision, every file with its sha256.

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
        manifest, _ = runner.call(steps.verify, job, declared, [Received(declared.files)])
        return Arrival(manifest, dropped=declared.left_out)
    return receive(job, runner, declared)


@dataclass(frozen=True)
class Locking:
    """What locking several models came to.

    Attributes:
        locked: for each model's name the URI that was asked for and the manifest that it is; or what an earlier lock
            holds, where it could not be asked.
        failed: the names of models that could not be locked, each with the reason.
        left_out: for each model that was asked what its source has and the lock does not hold, each with the reason;
            no model of which nothing is missing.
    """

    locked: Mapping[str, tuple[str, Manifest]]
    failed: tuple[tuple[str, WeighbridgeError], ...]
    left_out: Mapping[str, tuple[str, ...]]


def lock_all(
    requests: Iterable[IngestRequest],
    workspace: Workspace,
    runner: Runner,
    before: Mapping[str, tuple[str, Manifest]],
) -> Locking:
    """Lock models one after the other; one that fails stops no other one.

    Args:
        requests: the wanted models.
        workspace: what it is done with.
        runner: runs the steps.
        before: entries of an earlier lock that stay where nothing takes their place.
    """
    locked, failed, left_out = dict(before), [], {}
    for request in requests:
        try:
            found = lock(Job.of(request, workspace), runner)
        except WeighbridgeError as error:
            failed.append((request.model, error))
            continue
        locked[request.model] = (request.ref.uri, found.manifest)
        if found.dropped:
            left_out[request.model] = found.dropped
    return Locking(locked, tuple(failed), left_out)


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
