"""What takes versions away, and what chooses the default one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from weighbridge.catalog import ModelSummary
from weighbridge.intake import lookup, publishing
from weighbridge.intake.withdrawing import Withdrawal, withdraw
from weighbridge.web.answers import answer, refuse_changed
from weighbridge.web.api import documents
from weighbridge.web.api.names import Name, Number
from weighbridge.web.authentication import Publisher
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedResources, acting

router = APIRouter(prefix="/models/{id}", responses=documented(400, 404, 409, 412, 413, 422, 502, 503))
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


class Withdrawn(BaseModel):
    """What was withdrawn: nobody is given it any more; files, reports and verdicts are kept."""

    name: str
    withdrawn: list[str] = Field(description="The numbers of the versions, the latest first.")
    default_version: str | None
    kept: str = Field(examples=["No byte was deleted."])


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


@router.delete("", response_model=Withdrawn, tags=["models"])
def withdraw_model(
    request: Request,
    resources: SharedResources,
    caller: Publisher,
    name: Name,
    reason: Reason = "It was withdrawn through the API.",
) -> Response:
    """Withdraw every version of a model from every registry. Nothing is deleted, and each can be reinstated."""
    with acting(resources, caller) as workspace:
        return answer(request, _withdrawn(withdraw(name, "", reason, workspace)))


@router.delete("/versions/{version}", response_model=Withdrawn, tags=["versions"])
def withdraw_version(
    request: Request,
    resources: SharedResources,
    caller: Publisher,
    name: Name,
    number: Number,
    reason: Reason = "It was withdrawn through the API.",
) -> Response:
    """Withdraw one version from every registry. Nothing is deleted, and it can be reinstated."""
    with acting(resources, caller) as workspace:
        return answer(request, _withdrawn(withdraw(name, number, reason, workspace)))


def _withdrawn(done: Withdrawal) -> dict[str, Any]:
    return {
        "name": done.name,
        "withdrawn": list(done.withdrawn),
        "default_version": done.default or None,
        "kept": "No byte was deleted: files, reports and verdicts stay, and `weighbridge reinstate` undoes this.",
    }
