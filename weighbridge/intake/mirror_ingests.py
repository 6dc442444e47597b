"""Ingests of the mirror: a model that is asked for and not here is taken in, once, and who asks hears how far it is.

A job of the ordinary queue does it, on behalf of the caller. Its row is the memory, too: of a model that its Hub does
not have, so that asking again starts no further job for a while. Not here: what is served (intake.mirroring).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from weighbridge.catalog import StoredJob
from weighbridge.domain.access import Caller
from weighbridge.domain.mirror import Upstream
from weighbridge.domain.names import checked_name
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import (
    BeingWeighed,
    InvalidName,
    NotAuthenticated,
    NotInCatalog,
    SourceUnavailable,
)
from weighbridge.intake.asker import Asker
from weighbridge.intake.job_orders import OrderSlip, order_ingest
from weighbridge.intake.mirrored_models import MAIN, REVISION_MARK, SOURCE_KINDS, RepoKind, unqualified
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import workspace_of

#: Jobs that were asked for longer ago say nothing about a new request.
_MEMORY = timedelta(days=1)
#: For how long a failure counts: asking again within it starts no further job.
_FAILED_FOR = timedelta(minutes=10)
#: The same where the Hub could not be reached, which may pass by itself.
_AWAY_FOR = timedelta(seconds=30)
#: Seconds after which a client may ask again: at the least, at the most, and where nothing is known of the speed.
_SOONEST_S, _LATEST_S, _UNKNOWN_S = 2, 60, 5


def revision_name(name: str, revision: str) -> str:
    """Return the catalog's name for one revision of a model, which is a model of its own there.

    `main` is the model itself. Whatever else a client asks for, such as an old tag or a proposed change, never becomes
    the default version of the model that all others load.
    """
    revision = unqualified(revision)
    return name if revision in ("", MAIN) else f"{name}{REVISION_MARK}{revision}"


def taken_in(
    kind: RepoKind, name: str, revision: str, caller: Caller, resources: Resources, missing: NotInCatalog
) -> str:
    """Return the name under which a revision of a model was taken in; where it was not, have it taken in.

    1. Where the mode of the name is `catalog`, nothing is taken in.
    2. A name that belongs to another source here is not continued with what a Hub has under it.
    3. Of a job that has not ended, the caller hears how far it is; for any number of callers there is one.
    4. A job that failed is not begun anew for some minutes; where the Hub was away, for half a minute.
    5. Otherwise one is begun, where the caller may do so.

    Args:
        kind: what the client takes it for.
        name: the name of its repository.
        revision: branch, tag or commit; empty for `main`.
        caller: who asks, and may read models of that name.
        resources: those of the process.
        missing: what the catalog says of it; raised where nothing is taken in.

    Raises:
        BeingWeighed: it is being taken in; `facts` have `retry_after_s`, and the message how far it is.
        NotInCatalog: it is not taken in, or its Hub does not have it, or it could not be taken in.
        NotAuthenticated: only known callers may have it taken in.
        SourceUnavailable: its Hub could not be reached.
        TooManyAtOnce: too many jobs of the caller wait.
    """
    upstream, ref = resources.mirror.upstream(name), reference(kind, name, revision)
    if ref is None or upstream.mode_of(name) == "catalog":
        raise missing
    wanted = revision_name(name, revision)
    origins = resources.catalog.origins(name) | resources.catalog.origins(wanted)
    if origins - {ref.origin}:
        raise missing
    if wanted != name and resources.kept.model(wanted) is not None:
        return wanted
    now = resources.clock()
    job = resources.catalog.jobs.newest_ingest(wanted, ref.uri, now - _MEMORY)
    if job is not None and job.state == "done" and resources.kept.model(wanted) is not None:
        return wanted
    if job is not None and job.state != "done":  # One that is done led to a model that was removed meanwhile.
        _refuse_meanwhile(job, name, now)
    refuse_starter(upstream, name, caller, missing)
    raise being_weighed(begun(ref, wanted, caller, resources), name)


def begun(ref: ModelRef, name: str, caller: Caller, resources: Resources) -> StoredJob:
    """Return the job that takes a model in for the mirror; it is the one that does so already, where there is one.

    Raises:
        TooManyAtOnce: too many jobs of the caller wait.
    """
    with workspace_of(resources, Asker(on_behalf=True, actor=caller.actor)) as workspace:
        slip = OrderSlip(caller, for_mirror=True)
        return order_ingest(IngestRequest(ref, name=name), slip, workspace, once=True)


def reference(kind: RepoKind, name: str, revision: str) -> ModelRef | None:
    """Return the reference to a revision upstream; None where there can be none."""
    if kind not in SOURCE_KINDS:
        return None
    wanted = revision_name(name, revision)
    ref = ModelRef(SOURCE_KINDS[kind], name, wanted.removeprefix(name).removeprefix(REVISION_MARK))
    try:
        checked_name(wanted)
    except InvalidName:
        return None
    return None if ref.mistake else ref


def being_weighed(job: StoredJob, name: str) -> BeingWeighed:
    """Return the error for a model whose job has not ended, with how far it is and when to ask again."""
    steps = {step["name"]: step for step in job.progress.get("steps", ())}
    return BeingWeighed(
        f"{name} is being weighed: {_how_far(job, steps)}.",
        "Ask again in some seconds; it is served once it has passed.",
        retry_after_s=_wait_s(job, steps),
        name=name,
    )


def _refuse_meanwhile(job: StoredJob, name: str, now: datetime) -> None:
    """Refuse a model while its job has not ended, or has failed not long ago."""
    if not job.ended:
        raise being_weighed(job, name)
    refuse_failed(job, name, now)


def refuse_failed(job: StoredJob, name: str, now: datetime) -> None:
    """Refuse a model whose job has failed not long ago.

    Raises:
        NotInCatalog: it could not be taken in, and why.
        SourceUnavailable: its Hub could not be reached.
    """
    end, ended_at = job.end, job.ended_at
    assert end is not None
    assert ended_at is not None
    if end.retryable:
        left_s = (ended_at + _AWAY_FOR - now).total_seconds()
        if left_s > 0:
            raise SourceUnavailable(
                f"{name} is not here, and its Hub could not be reached.",
                "Ask again in some seconds.",
                retry_after_s=max(_SOONEST_S, round(left_s)),
            )
    elif ended_at + _FAILED_FOR > now:
        failure = end.failure(for_admin=False)
        words = f"{failure['problem']} {failure['remedy']}".strip() if failure else "It was cancelled."
        raise NotInCatalog(f"{name} is not here, and could not be taken in. {words}", name=name)


def refuse_starter(upstream: Upstream, name: str, caller: Caller, missing: NotInCatalog) -> None:
    """Refuse a caller who may not have a model taken in by asking for it."""
    if upstream.ingest_by == "reader" and caller.kind in ("anonymous", "hub"):
        raise NotAuthenticated(
            f"{name} is not here, and is taken in for known callers only.",
            "Set HF_TOKEN to a key of this registry; `weighbridge token create NAME --role reader` makes one.",
            name=name,
        )
    if upstream.ingest_by == "publisher" and not caller.may("publisher", name):
        raise NotInCatalog(missing.problem, "Somebody who may publish can have it taken in.", **missing.facts)


def _how_far(job: StoredJob, steps: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the progress of a job in words: `41 % received, 12 % scanned`."""
    if job.state == "queued":
        return "it waits for its turn"
    parts = [
        f"{100 * steps[step]['done'] // steps[step]['total']} % {done}"
        for step, done in (("fetch", "received"), ("scan", "scanned"))
        if step in steps and steps[step]["total"]
    ]
    return ", ".join(parts) or "its files are being listed"


def _wait_s(job: StoredJob, steps: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the seconds after which to ask again: half of what its files take, as clients ask some times only."""
    fetch = steps.get("fetch", {})
    if not fetch.get("speed") or not fetch.get("total"):
        return _SOONEST_S if job.state == "running" and not fetch else _UNKNOWN_S
    left_s: float = (fetch["total"] - fetch["done"]) / fetch["speed"]
    return min(_LATEST_S, max(_SOONEST_S, round(left_s / 2)))
