"""The resource `/rescans`: other looks at what passed, with newer engines. Asking for one queues a job.

Not here: how far a job is (web.api.ingests), and another scan of one version (web.api.orders).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from weighbridge.domain.rescans import Rescan, RescanRequest, RescanState
from weighbridge.errors import NotInCatalog
from weighbridge.intake.job_orders import order_rescan_of_all
from weighbridge.web.answers import answer
from weighbridge.web.api.cursors import Cursor, Limit, cursor_of, place_of
from weighbridge.web.api.documents import Page
from weighbridge.web.api.job_documents import JobDocument
from weighbridge.web.api.order_documents import Order
from weighbridge.web.api.orders import Key, queued, slip_of
from weighbridge.web.authentication import FullAdmin
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedCatalog
from weighbridge.web.routes import Router

router = Router(prefix="/rescans", tags=["scans"])
Number = Annotated[int, Path(alias="rescan", description="The rescan's number.", ge=1, le=2**31 - 1)]
Named = Annotated[str, Field(min_length=1, max_length=512)]


class RescanOrder(Order):
    """A rescan of what passed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"budget": "2h", "share": "50%"}]})

    models: list[Named] = Field([], max_length=100, description="NAME or NAME@VERSION; empty for all that passed.")
    budget: str = Field("", max_length=20, description="No blob is begun after it.", examples=["2h"])
    share: str = Field("", max_length=20, description="Of the processors at most.", examples=["50%"])
    whole: bool = Field(False, description="Scan with all signatures where the new ones alone would do.")

    def request(self) -> RescanRequest:
        """Return what is asked for. Raises UsageError where a value cannot be read."""
        return RescanRequest.of(tuple(self.models), self.budget, self.share, whole=self.whole)


class GapDocument(BaseModel):
    """What a rescan could not look at; its versions keep their verdicts."""

    subject: str = Field(description="The digest of a blob, or NAME@VERSION.")
    what: str = Field(examples=["lost"], description="lost, damaged, purged or unread.")
    detail: str


class RescanDocument(BaseModel):
    """A rescan, in progress or ended."""

    number: int
    state: RescanState
    models: list[str]
    blobs_due: int
    bytes_due: int
    blobs_done: int
    bytes_done: int
    judged: int = Field(description="Versions that were judged again.")
    changed: list[str] = Field(description="NAME@VERSION of those with another verdict, at most a hundred.")
    gaps: int = Field(description="How much could not be looked at.")
    problem: str = Field(description="Why it failed; empty otherwise.")
    begun_at: str = Field(description="ISO 8601, UTC.")
    updated_at: str = Field(description="ISO 8601, UTC.")
    ended_at: str | None = Field(description="ISO 8601, UTC.")


class RescanWithGaps(RescanDocument):
    """A rescan with what it could not look at."""

    not_looked_at: list[GapDocument] = Field(description="The first thousand.")


class RescansPage(Page):
    """Rescans, the newest first."""

    items: list[RescanDocument]


@router.post("", responses=documented(400, 404, 413, 415, 422, 503), status_code=202, response_model=JobDocument)
def ask_for_rescan(request: Request, caller: FullAdmin, wanted: RescanOrder, key: Key = "") -> Response:
    """Look at what passed with today's engines, each blob once, and judge it again; `{}` is for all of it."""
    order, slip = wanted.request(), slip_of(caller, key, wanted.callback_url)
    return queued(request, caller, "", lambda workspace: order_rescan_of_all(order, slip, workspace))


@router.get("", response_model=RescansPage, responses=documented(400, 422, 503))
def list_rescans(
    request: Request, catalog: SharedCatalog, _caller: FullAdmin, cursor: Cursor = "", limit: Limit = 50
) -> Response:
    """List rescans, the newest first."""
    found = catalog.rescans.newest(limit + 1, max(place_of(cursor, 0), 0))
    shown = found[:limit]
    following = cursor_of([shown[-1].number]) if len(found) > limit else None
    return answer(request, {"items": [_document(one) for one in shown], "next": following})


@router.get("/{rescan}", response_model=RescanWithGaps, responses=documented(404, 422, 503))
def get_rescan(request: Request, catalog: SharedCatalog, _caller: FullAdmin, number: Number) -> Response:
    """Return a rescan: how far it is, whose verdict changed, and what it could not look at."""
    found = catalog.rescans.get(number)
    if found is None:
        raise NotInCatalog(f"There is no rescan {number}.", "GET /rescans lists those that there are.", number=number)
    gaps = [gap.to_json() for gap in catalog.rescans.gaps(number)]
    return answer(request, {**_document(found), "not_looked_at": gaps})


def _document(rescan: Rescan) -> dict[str, Any]:
    content = rescan.to_json()
    names = RescanDocument.model_fields.keys() - {"models"}
    return {**{name: content[name] for name in names}, "models": content["request"]["models"]}
