"""The resource `/recalls`: versions that were taken back, and who was given files of one; for admins."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, Field

from weighbridge.domain.access import Caller
from weighbridge.intake.recall_records import recall_record, recalls
from weighbridge.web.answers import answer
from weighbridge.web.api.cursors import MAX_LIMIT
from weighbridge.web.api.names import Name, Number
from weighbridge.web.authentication import FullAdmin, needs
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedCatalog
from weighbridge.web.routes import Router

router = Router(tags=["recalls"])
Admin = Annotated[Caller, Depends(needs("admin"))]


class RecallDocument(BaseModel):
    """A version that was taken back, by a verdict or by a person."""

    name: str
    version: str
    status: str = Field(description="That it has now; `REMOVED` where it is not in the catalog any more.")
    cause: Literal["", "verdict", "person"] = Field(description="Empty where it was never taken back.")
    recalled_at: str = Field(description="ISO 8601, UTC; empty where it was never taken back.")
    actor: str = Field(description="By whose work, as the audit log names callers.", examples=["flow:apply_policy"])
    reasons: list[str] = Field(description="Why it does not pass, a sentence each.")
    policy: str = Field(description="Of the newest decision.")
    default: str = Field(description="The model's default version now; empty where there is none.")
    withdrawn_from: list[str] = Field(description="Registries that took it back.")
    left: list[str] = Field(description="Registries that still have it, and are asked again.")
    ended_at: str = Field(description="When it passed again; empty where it does not.")


class RecallDocuments(BaseModel):
    """Recalls, the newest first."""

    items: list[RecallDocument]


class RecipientDocument(BaseModel):
    """Who was given files of a version, at one address."""

    actor: str = Field(examples=["key:ci"])
    address: str
    first_at: str = Field(description="ISO 8601, UTC.")
    last_at: str
    before_verdict: bool = Field(description="Whether it was handed on before there was a verdict.")
    whole: list[str] = Field(description="Files that they got all of.")
    parts: list[str] = Field(description="Files that they got a part of, or that were only begun.")
    paths_known: bool = Field(description="False where transfers were not recorded: any file may have been given out.")


class RecallRecordDocument(RecallDocument):
    """A recall, and who has files of the version."""

    recipients: list[RecipientDocument]


@router.get("/recalls", response_model=RecallDocuments, responses=documented(400, 422, 503))
def list_recalls(
    request: Request,
    catalog: SharedCatalog,
    _caller: FullAdmin,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many, the newest.")] = 50,
) -> Response:
    """List the versions that were taken back, the newest first, each once."""
    return answer(request, {"items": [one.to_json() for one in recalls(catalog, limit)]})


@router.get(
    "/models/{id}/versions/{version}/recall",
    response_model=RecallRecordDocument,
    responses=documented(400, 404, 422, 503),
)
def get_recall(request: Request, catalog: SharedCatalog, _caller: Admin, name: Name, number: Number) -> Response:
    """Return who was given files of a version, and where it was taken back, removed versions included."""
    return answer(request, recall_record(name, number, catalog).to_json())
