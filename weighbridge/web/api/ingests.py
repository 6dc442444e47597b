"""The resource `/ingests`: jobs that were asked for, how far each is, and the end of it.

Not here: asking for one (web.api.orders).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from threading import Event
from typing import Annotated, Any

import anyio
from anyio.to_thread import run_sync
from fastapi import Path, Query, Request, Response

from weighbridge.catalog import Catalog, JobState, StoredJob
from weighbridge.domain.access import Caller, Role
from weighbridge.errors import CatalogUnavailable, NotInCatalog, NotPermitted, WeighbridgeError
from weighbridge.web.answers import answer
from weighbridge.web.api.cursors import Cursor, Limit, cursor_of, moment_of
from weighbridge.web.api.job_documents import JobDocument, Jobs, job_document
from weighbridge.web.authentication import CallerAgain, Publisher, Reader
from weighbridge.web.peers import address_of
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedCatalog, SharedStreams
from weighbridge.web.routes import Router
from weighbridge.web.streams import EVENT_STREAM, EventStream

router = Router(prefix="/ingests", tags=["ingests"])

JobId = Annotated[
    str, Path(alias="job", description="The job's id, as the answer that accepted it has it.", max_length=64)
]
#: Seconds between two looks at a job that is watched, between two at whether its watcher's key or token is still valid,
#: and after which a silent stream says that it lives.
_LOOK_S, _CHECK_S, _ALIVE_S = 0.5, 2.0, 15.0
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events; the data of each is the job.", "content": {EVENT_STREAM: {}}}
}


@router.get("", response_model=Jobs, responses=documented(400, 422, 503))
def list_jobs(
    request: Request,
    catalog: SharedCatalog,
    caller: Publisher,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Response:
    """List jobs, the newest first."""
    found = catalog.jobs.listed(state=state, names=caller.models, before=moment_of(cursor), limit=limit + 1)
    shown = found[:limit]
    following = cursor_of([shown[-1].created_at.isoformat(), shown[-1].id]) if len(found) > limit else None
    items = [job_document(job, caller) for job in shown if caller.may("reader", job.order.name)]
    return answer(request, {"items": items, "next": following})


@router.get("/{job}", response_model=JobDocument, responses=documented(404, 422, 503))
def get_job(request: Request, catalog: SharedCatalog, caller: Reader, id_: JobId) -> Response:
    """Return a job: its steps with their progress, and at the end the verdict with its reasons."""
    return answer(request, job_document(own_job(catalog, id_, caller), caller))


@router.delete("/{job}", response_model=JobDocument, responses=documented(404, 409, 422, 503))
def cancel_job(request: Request, catalog: SharedCatalog, caller: Publisher, id_: JobId) -> Response:
    """Cancel a job. One that runs stops soon: watch its state; what it received stays for the next attempt.

    A purge is an admin's order, and an admin's to cancel.
    """
    job = own_job(catalog, id_, caller)
    if job.order.kind == "purge" and not caller.may("admin", job.order.name):
        raise NotPermitted("Deleting bytes was ordered by an admin, so that an admin cancels it.", "Ask one.", id=id_)
    return answer(request, job_document(catalog.acting(caller.actor).jobs.cancel(id_), caller))


@router.get("/{job}/events", response_class=Response, responses=_EVENTS | documented(404, 422, 503))
async def watch_job(
    request: Request, catalog: SharedCatalog, streams: SharedStreams, caller: Reader, again: CallerAgain, id_: JobId
) -> Response:
    """Watch a job: server-sent events `progress` with its document at each change, and `end` with the last one.

    Without an `end`, ask again: the server stops, or the key or token is no longer valid.
    """
    job = await run_sync(own_job, catalog, id_, caller)
    events = _events(job, catalog, caller, again, request.app.state.stopping)
    return EventStream(events, streams.open(address_of(request) if caller.kind == "anonymous" else caller.actor))


async def _events(
    job: StoredJob, catalog: Catalog, caller: Caller, again: Callable[[], Caller], stopping: Event
) -> AsyncIterator[str]:
    sent, silent_s, unchecked_s = "", 0.0, 0.0
    while True:
        text = json.dumps(job_document(job, caller), separators=(",", ":"))
        if text != sent:
            yield f"event: {'end' if job.ended else 'progress'}\ndata: {text}\n\n"
            sent, silent_s = text, 0.0
        elif silent_s >= _ALIVE_S:
            yield ": still there\n\n"
            silent_s = 0.0
        if job.ended or stopping.is_set():
            return
        await anyio.sleep(_LOOK_S)
        silent_s, unchecked_s = silent_s + _LOOK_S, unchecked_s + _LOOK_S
        try:
            if unchecked_s >= _CHECK_S:
                caller, unchecked_s = await run_sync(again), 0.0
            job = await run_sync(own_job, catalog, job.id, caller)
        except CatalogUnavailable:
            continue
        except WeighbridgeError:  # The caller may not watch it any more, or it was deleted.
            return


def own_job(catalog: Catalog, id_: str, caller: Caller, role: Role = "reader") -> StoredJob:
    """Return a job of a model for which a caller has a role; to others there is none. Raises NotInCatalog."""
    job = catalog.jobs.get(id_)
    if not caller.may(role, job.order.name):
        raise NotInCatalog(f"There is no job {id_}.", "Its id is in the answer that accepted it.", id=id_)
    return job
