"""A version's standing: whether its entry in the catalog still holds under today's policy, engines and registries.

Only the catalog and the registries are read; no blob is opened. Not here: asking the source (intake.syncing), or doing
what is due (intake.chain).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.domain import gate
from weighbridge.domain.decision import WITHDRAWN, Decision
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import publishers, publishing, scanning
from weighbridge.intake.job import Job


def due(job: Job, version: ModelVersion) -> tuple[str, ...]:
    """Return what an ingest of unchanged files would change, one phrase each; nothing where the entry still holds.

    1. The files match the pin or the lock, and the number is that of models.yaml.
    2. Every current engine has a report on every file. Where the bytes were purged, older reports count.
    3. Today's policy decides the same for the same reasons; a new rule, an expired waiver or old signatures may not.
    4. Registries hold versions that passed, at their address and whole, and nothing of the others.
    5. With a lock, the locked version is the default one.

    Raises:
        ScannerUnavailable: there is no engine to compare with.
        RegistryError: a registry cannot be asked.
    """
    return tuple(_due(job, version))


def _due(job: Job, version: ModelVersion) -> Iterator[str]:
    yield from _promised(job, version)
    of_today = scanning.recall_version(version, job.workspace.engines, partial=True)
    reports = version.reports if version.purged else of_today
    if reports is None:
        yield "scan: an engine, or its signatures, has not seen these files"
    else:
        signatures = publishers.signatures_of(version.manifest, job.policy, job.workspace)
        now = gate.decide(version.manifest, reports, version.card, job.policy, job.workspace.clock(), signatures)
        if _without_withdrawal(version.decision) != now and not _same_but_verdict(version, now):
            yield f"judge: {_change(version, now)}"
    if job.locked is not None and version.status == "PASSED" and not version.default:
        yield "make it the default version: models.lock holds it"
    yield from publishing.due(version, job.workspace.registries(job.request), job.workspace)


def _promised(job: Job, version: ModelVersion) -> Iterator[str]:
    wanted: IngestRequest = job.request
    if job.locked is not None and job.locked.digest != version.manifest.digest:
        yield "verify: models.lock holds other files"
    if wanted.hash is not None and wanted.hash != version.manifest.digest:
        yield "verify: it is not what `hash` says"
    if wanted.nar is not None:
        proven = job.workspace.catalog.recall_resolution(f"nar:{wanted.nar}")
        if proven is None or proven.digest != version.manifest.digest:
            yield "verify: its NAR hash is not known"
    if wanted.version not in ("", version.version):
        yield f"number: it is {version.version}, and {wanted.version} is wanted"


def _without_withdrawal(decision: Decision) -> Decision:
    return replace(decision, reasons=tuple(reason for reason in decision.reasons if reason.rule != WITHDRAWN))


def _same_but_verdict(version: ModelVersion, now: Decision) -> bool:
    """Return whether the stored decision differs from today's only by a person's withdrawal."""
    stored = _without_withdrawal(version.decision)
    return stored != version.decision and replace(stored, verdict=now.verdict) == now


def _change(version: ModelVersion, now: Decision) -> str:
    stored = version.decision
    if stored.policy_digest != now.policy_digest:
        return f"the policy {now.policy} is not the {stored.policy} that it was judged under"
    if stored.verdict != now.verdict:
        return f"it is {stored.verdict}, and would be {now.verdict} today"
    return "the reasons are others today"
