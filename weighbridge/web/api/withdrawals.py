"""What takes versions away and gives them back, and what chooses the default one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from weighbridge.catalog import ModelSummary
from weighbridge.domain.access import Caller
from weighbridge.domain.decision import VersionStatus
from weighbridge.errors import NotPermitted
from weighbridge.intake import lookup, publishing
from weighbridge.intake.job_orders import order_purge
from weighbridge.intake.withdrawing import Withdrawal, withdraw
from weighbridge.web.answers import answer, refuse_changed
from weighbridge.web.api import documents
from weighbridge.web.api.job_documents import JobDocument
from weighbridge.web.api.names import Name, Number
from weighbridge.web.api.orders import Key, queued, slip_of
from weighbridge.web.authentication import Publisher
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedResources, acting
from weighbridge.web.routes import Router

router = Router(prefix="/models/{id}", responses=documented(400, 404, 409, 412, 413, 415, 422, 502, 503))
Reason = Annotated[
    str, Query(min_length=1, max_length=1000, description="Why; the catalog and the registries show it.")
]


class DefaultVersion(BaseModel):
    """The version that people get who name none."""

    model_config = ConfigDict(extra="forbid")

    version: str | None = Field(
        max_length=255, description="Its number; null for the newest that passed.", examples=["2.0.0"]
    )


class DefaultNow(BaseModel):
    """The default version after a change."""

    name: str
    default_version: str | None = Field(description="Null where no version passed.")
    fixed: bool = Field(description="Whether it stays when a newer version passes.")


Purge = Annotated[
    bool,
    Query(
        description="Whether the bytes that nothing else needs are deleted, too. For admins: the versions are "
        "withdrawn at once, and the answer is the job that deletes."
    ),
]
_PURGE: dict[int | str, dict[str, Any]] = {
    202: {"model": JobDocument, "description": "With `purge`: the versions are withdrawn, and the job is queued."}
}


class Withdrawn(BaseModel):
    """What was withdrawn: nobody is given it any more; files, reports and verdicts are kept."""

    name: str
    withdrawn: list[str] = Field(description="The numbers of the versions, the latest first.")
    default_version: str | None
    kept: str = Field(examples=["No byte was deleted."])


class Reinstated(BaseModel):
    """A version after its withdrawal was taken back: it has the verdict of its last decision again."""

    name: str
    version: str
    status: VersionStatus = Field(description="People are given it again only where it is `PASSED`.")
    default_version: str | None


@router.put("/default-version", response_model=DefaultNow, tags=["versions"])
def set_default_version(
    request: Request, resources: SharedResources, caller: Publisher, name: Name, wanted: DefaultVersion
) -> Response:
    """Choose the default version, here and in every registry; `If-Match` takes the ETag of the model."""
    lookup.exact(resources.catalog, name, wanted.version or "")

    def check(model: ModelSummary) -> None:
        refuse_changed(request, documents.whole_model(model))

    with acting(resources, caller) as workspace:
        now = publishing.set_default(name, wanted.version, workspace, check)
    content = {"name": name, "default_version": now.version if now else None, "fixed": wanted.version is not None}
    return answer(request, content)


@router.delete("", response_model=Withdrawn, responses=_PURGE, tags=["models"])
def withdraw_model(
    request: Request,
    resources: SharedResources,
    caller: Publisher,
    name: Name,
    reason: Reason = "It was withdrawn through the API.",
    purge: Purge = False,
    key: Key = "",
) -> Response:
    """Withdraw every version of a model from every registry. Without `purge` nothing is deleted."""
    if purge:
        return _purged(request, caller, name, "", reason, key)
    _refuse_changed(request, name)
    with acting(resources, caller) as workspace:
        return answer(request, _withdrawn(withdraw(name, "", reason, workspace)))


@router.delete("/versions/{version}", response_model=Withdrawn, responses=_PURGE, tags=["versions"])
def withdraw_version(
    request: Request,
    resources: SharedResources,
    caller: Publisher,
    name: Name,
    number: Number,
    reason: Reason = "It was withdrawn through the API.",
    purge: Purge = False,
    key: Key = "",
) -> Response:
    """Withdraw one version from every registry. Without `purge` nothing is deleted, and it can be reinstated."""
    if purge:
        return _purged(request, caller, name, number, reason, key)
    _refuse_changed(request, name)
    with acting(resources, caller) as workspace:
        return answer(request, _withdrawn(withdraw(name, number, reason, workspace)))


@router.post("/versions/{version}/reinstate", response_model=Reinstated, tags=["versions"])
def reinstate_version(
    request: Request,
    resources: SharedResources,
    caller: Publisher,
    name: Name,
    number: Number,
    reason: Annotated[str, Query(max_length=1000, description="Why; the audit log has it.")] = "",
) -> Response:
    """Take a withdrawal back: the version has its last verdict again, and is published where that is `PASSED`.

    It takes the role of whoever withdrew it, or a higher one.
    """
    lookup.exact(resources.catalog, name, number)
    _refuse_changed(request, name)
    with acting(resources, caller) as workspace:
        now = publishing.reinstate(name, number, workspace, reason)
        default = workspace.catalog.lists.model(name)
    content = {"name": name, "version": now.version, "status": now.status}
    return answer(request, {**content, "default_version": default.version if default and default.default else None})


def _purged(request: Request, caller: Caller, name: str, number: str, reason: str, key: str) -> Response:
    if not caller.may("admin", name):
        raise NotPermitted("Deleting bytes needs the role admin.", "Leave `purge` out to withdraw only.", name=name)
    slip = slip_of(caller, key)
    if not (key and request.app.state.resources.catalog.jobs.sent(caller.actor, key)):
        _refuse_changed(request, name)
    return queued(request, caller, name, lambda workspace: order_purge(name, number, reason, slip, workspace))


def _refuse_changed(request: Request, name: str) -> None:
    """Refuse a request that names another state of the model than there is as it begins. Raises ChangedMeanwhile."""
    if "if-match" in request.headers or "if-none-match" in request.headers:
        model = request.app.state.resources.catalog.lists.model(name)
        if model is not None:
            refuse_changed(request, documents.whole_model(model))


def _withdrawn(done: Withdrawal) -> dict[str, Any]:
    return {
        "name": done.name,
        "withdrawn": list(done.withdrawn),
        "default_version": done.default or None,
        "kept": "No byte was deleted: files, reports and verdicts stay, and `weighbridge reinstate` undoes this.",
    }
