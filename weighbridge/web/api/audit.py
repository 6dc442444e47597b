"""The resource `/audit`: the log of all changes, for admins, with what it takes to prove it elsewhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from weighbridge.catalog.column_types import storable
from weighbridge.web.answers import answer
from weighbridge.web.api.cursors import MAX_LIMIT, checked_cursor, cursor_of, place_of
from weighbridge.web.api.documents import Page
from weighbridge.web.authentication import FullAdmin
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedCatalog
from weighbridge.web.routes import Router

router = Router(prefix="/audit", tags=["audit"])
Text = Annotated[str, Field(max_length=1000), AfterValidator(storable)]
_NUMBER = re.compile(r"[-+]?[0-9._]+(e[-+]?[0-9]+)?", re.IGNORECASE)


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("write a time of this age") from error


def _iso(moment: object) -> object:
    """Return what may be a time; refuse a number, which would be taken for seconds or milliseconds by its size."""
    if isinstance(moment, str) and _NUMBER.fullmatch(moment.strip()):
        raise ValueError("write ISO 8601 with a time zone: 2026-11-01T00:00:00Z")
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_iso), AfterValidator(_utc)]


class AuditQuery(BaseModel):
    """Which changes, and which part of the list."""

    model_config = ConfigDict(extra="forbid")

    actor: Text = Field("", description="Only this one's.", examples=["key:ci"])
    action: Text = Field("", description="Only of this kind.", examples=["version.settled"])
    object: Text = Field("", description="Only of this.", examples=["org/name@1.0.0"])
    since: Moment | None = Field(None, description="Only from this time on; ISO 8601 with a time zone.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="Changes in one part.")
    cursor: str = Field("", max_length=4096, description="`next` of the part before; empty for the first part.")

    _check = field_validator("cursor")(checked_cursor)

    def filters(self) -> dict[str, Any]:
        """Return the parameters of `AuditLog.rows`; None for any."""
        return {
            "actor": self.actor or None,
            "action": self.action or None,
            "object_": self.object or None,
            "since": self.since,
        }


class AuditEntry(BaseModel):
    """One change of the catalog."""

    number: int = Field(description="Counts the rows from 1, in the order of the commits.")
    at: str = Field(description="ISO 8601, UTC.")
    actor: str = Field(examples=["key:ci"])
    action: str = Field(examples=["version.settled"])
    object: str = Field(examples=["org/name@1.0.0"])
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    hash: str = Field(description="Binds the row to all rows before it.")


class AuditHead(BaseModel):
    """The newest row: with both kept elsewhere, a log written anew is found."""

    number: int
    hash: str


class AuditRows(Page):
    """Changes, the oldest first."""

    items: list[AuditEntry]
    head: AuditHead


@router.get("", response_model=AuditRows, responses=documented(400, 422, 503))
def list_changes(
    request: Request, catalog: SharedCatalog, caller: FullAdmin, wanted: Annotated[AuditQuery, Query()]
) -> Response:
    """List changes, the oldest first. `weighbridge audit verify --kept NUMBER:HASH` proves the log with a `head`."""
    head = catalog.audit.head()
    found = catalog.audit.rows(after=place_of(wanted.cursor, 0), limit=wanted.limit + 1, **wanted.filters())
    shown = found[: wanted.limit]
    following = cursor_of([shown[-1].number]) if len(found) > wanted.limit else None
    return answer(request, {"items": [row.to_json() for row in shown], "next": following, "head": vars(head)})
