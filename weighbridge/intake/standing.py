"""A version's standing: whether what the catalog says of it still holds under today's policy, engines and registries.

Nothing is read but facts of the catalog and what registries say; no blob is opened. Not here: asking the source
(intake.syncing), or doing what is due (intake.chain).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.domain import gate
from weighbridge.domain.decision import Decision
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import publishing, scanning
from weighbridge.intake.job import Job

#: The rule of the reason that a person's withdrawal adds to a decision.
_WITHDRAWN = "withdrawn"


def due(job: Job, version: ModelVersion) -> tuple[str, ...]:
    """Return what an ingest of unchanged files would change, in words; nothing where all of it still holds.

    1. The files are what a pin or the lock says, and the number what models.yaml says.
    2. Every engine of today has said its word on every file.
       Where its bytes were purged, what they said before counts.
    3. The policy of today decides the same for the same reasons: a new rule, an expired waiver, signatures too old.
    4. Registries hold what passed, at their address and whole, and nothing of what did not.
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
        now = gate.decide(version.manifest, reports, version.card, job.policy, job.workspace.clock())
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
    return replace(decision, reasons=tuple(reason for reason in decision.reasons if reason.rule != _WITHDRAWN))


def _same_but_verdict(version: ModelVersion, now: Decision) -> bool:
    """Whether only a person's withdrawal tells the stored decision from today's."""
    stored = _without_withdrawal(version.decision)
    return stored != version.decision and replace(stored, verdict=now.verdict) == now


def _change(version: ModelVersion, now: Decision) -> str:
    stored = version.decision
    if stored.policy_digest != now.policy_digest:
        return f"the policy {now.policy} is not the {stored.policy} that it was judged under"
    if stored.verdict != now.verdict:
        return f"it is {stored.verdict}, and would be {now.verdict} today"
    return "the reasons are others today"
