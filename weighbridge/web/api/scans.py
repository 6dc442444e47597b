"""What scanners say of a version: engine by engine, report by report, finding by finding."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response

from weighbridge.domain.report import Level
from weighbridge.intake import lookup
from weighbridge.web.answers import answer
from weighbridge.web.api import scan_documents as documents
from weighbridge.web.api.cursors import Cursor, Limit, cursor_of, place_of
from weighbridge.web.api.names import Name, Number
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedCatalog
from weighbridge.web.routes import Router

router = Router(prefix="/models/{id}", tags=["scans"], responses=documented(400, 404, 422, 503))


@router.get("/scan", response_model=documents.Scan)
def get_scan(
    request: Request,
    catalog: SharedCatalog,
    name: Name,
    version: Annotated[str, Query(max_length=255, description="Empty for the default version, or the latest.")] = "",
) -> Response:
    """Return what each engine read of a version and found in it, side by side."""
    return answer(request, documents.scan(lookup.exact(catalog, name, version)))


@router.get("/versions/{version}/reports", response_model=documents.Reports)
def list_reports(
    request: Request, catalog: SharedCatalog, name: Name, number: Number, cursor: Cursor = "", limit: Limit = 50
) -> Response:
    """List the reports that the decision on a version rests on: one a blob and scanner."""
    found = documents.reports(lookup.exact(catalog, name, number))
    return answer(request, _part(found, cursor, limit))


@router.get("/versions/{version}/findings", response_model=documents.LocatedFindings)
def list_findings(
    request: Request,
    catalog: SharedCatalog,
    name: Name,
    number: Number,
    level: Annotated[Level | None, Query(description="Only these.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Response:
    """List what was found in a version, the worst first, each with its file and the place in it."""
    found = documents.findings(lookup.exact(catalog, name, number))
    return answer(request, _part([one for one in found if level in (None, one["level"])], cursor, limit))


def _part(items: list[dict[str, Any]], cursor: str, limit: int) -> dict[str, Any]:
    """Return a part of a list that does not change while its version stays what it is."""
    first = max(place_of(cursor, 0), 0)
    last = first + limit
    return {"items": items[first:last], "next": cursor_of([last]) if last < len(items) else None}
