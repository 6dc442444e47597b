"""Requests for work: imports, registrations, new versions and scans; each is queued and answered with its job.

Not here: the jobs themselves (web.api.ingests).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Body, Header, Request, Response

from weighbridge.catalog import StoredJob
from weighbridge.domain.access import Caller
from weighbridge.errors import NotInCatalog, NotPermitted
from weighbridge.intake.job_orders import OrderSlip, order_ingest, order_rescan
from weighbridge.intake.lookup import exact
from weighbridge.intake.workspace import Workspace
from weighbridge.web.answers import answer
from weighbridge.web.api.job_documents import JobDocument, job_document
from weighbridge.web.api.names import Name
from weighbridge.web.api.order_documents import ImportOrder, NewVersion, Registration, ScanOrder
from weighbridge.web.authentication import Publisher
from weighbridge.web.problems import documented
from weighbridge.web.process import acting
from weighbridge.web.routes import Router

router = Router(prefix="/models", tags=["ingests"])

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="A key of your own for this request: sent again with it, the request is answered with its first "
        "job and queued no second time.",
    ),
]


@router.post("/import", responses=documented(400, 413, 415, 422, 503), status_code=202, response_model=JobDocument)
def import_model(request: Request, caller: Publisher, wanted: ImportOrder, key: Key = "") -> Response:
    """Import a model from a source: it is fetched, verified, scanned, judged and, once it passed, published."""
    ref, slip = wanted.request(), slip_of(caller, key, wanted.callback_url)
    return queued(request, caller, ref.model, lambda workspace: order_ingest(ref, slip, workspace))


@router.post("", responses=documented(400, 413, 415, 422, 503), status_code=202, response_model=JobDocument)
def register_model(request: Request, caller: Publisher, wanted: Registration, key: Key = "") -> Response:
    """Register a model that was uploaded to storage of one's own; it passes the same gate as every other one."""
    ref, slip = wanted.request(), slip_of(caller, key, wanted.callback_url, wanted.declared())
    return queued(request, caller, ref.model, lambda workspace: order_ingest(ref, slip, workspace))


@router.post(
    "/{id}/versions", responses=documented(400, 404, 413, 415, 422, 503), status_code=202, response_model=JobDocument
)
def add_version(request: Request, caller: Publisher, name: Name, wanted: NewVersion, key: Key = "") -> Response:
    """Add a version to a model. A number that contradicts what changed is a warning of its job."""
    declared: dict[str, object] | None = {"changelog": wanted.changelog} if wanted.changelog else None
    slip = slip_of(caller, key, wanted.callback_url, declared)

    def ordered(workspace: Workspace) -> StoredJob:
        if workspace.catalog.lists.model(name) is None:
            raise NotInCatalog(f"There is no model {name}.", "POST /models registers one.", name=name)
        return order_ingest(wanted.request(name), slip, workspace)

    return queued(request, caller, name, ordered)


@router.post(
    "/{id}/scan", responses=documented(400, 404, 409, 413, 415, 422, 503), status_code=202, response_model=JobDocument
)
def scan_model(
    request: Request, caller: Publisher, name: Name, wanted: Annotated[ScanOrder | None, Body()] = None, key: Key = ""
) -> Response:
    """Scan a version again, with today's engines, and judge it under today's policy; its source is not asked."""
    wanted = wanted or ScanOrder()
    slip = slip_of(caller, key, wanted.callback_url)

    def ordered(workspace: Workspace) -> StoredJob:
        return order_rescan(exact(workspace.catalog, name, wanted.version), slip, workspace)

    return queued(request, caller, name, ordered)


def slip_of(caller: Caller, key: str, callback_url: str = "", declared: dict[str, object] | None = None) -> OrderSlip:
    """Return what goes with an order of a caller."""
    return OrderSlip(caller, key, declared or {}, callback_url)


def queued(request: Request, caller: Caller, name: str, ordered: Callable[[Workspace], StoredJob]) -> Response:
    """Queue an order of a caller who may publish that model, and answer with its job."""
    if not caller.may("publisher", name):
        raise NotPermitted(
            f"The {caller.credential} is not for the model {name}.",
            f"Use another {caller.credential}, or another name.",
            name=name,
        )
    state = request.app.state
    with acting(state.resources, caller) as workspace:
        job = ordered(workspace)
    state.worker.wake()
    response = answer(request, job_document(job, caller), 202)
    response.headers["location"] = f"{state.prefix}/ingests/{job.id}"
    return response
