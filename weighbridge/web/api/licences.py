"""The licence of a version: what it allows and who says so, who has acknowledged it, and whether a use is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Query, Request, Response

from weighbridge.intake.licensing import acknowledge, check, demanded, standing
from weighbridge.intake.lookup import exact, not_there
from weighbridge.web.answers import answer
from weighbridge.web.api import licence_documents as documents
from weighbridge.web.api.cursors import MAX_NUMBER, Cursor, Limit, cursor_of, place_of
from weighbridge.web.api.names import Name
from weighbridge.web.authentication import KnownReader, Publisher, Reader
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedCatalog, SharedResources, acting
from weighbridge.web.routes import Router

router = Router(prefix="/models/{id}/license", tags=["licences"])
Version = Annotated[
    str, Query(max_length=255, description="The version's number; empty for the default version, or the latest.")
]


@router.get("", response_model=documents.LicenceDocument, responses=documented(400, 404, 422, 503))
def get_licence(
    request: Request, resources: SharedResources, caller: Reader, name: Name, version: Version = ""
) -> Response:
    """Return the licence of a version: what it allows, each statement with its source, and the conditions."""
    found = exact(resources.catalog, name, version)
    licence = standing(found, caller, resources.catalog, demanded(resources.settings, Path.cwd()))
    return answer(request, documents.licence(licence))


@router.get("/acknowledgements", response_model=documents.AcknowledgementList, responses=documented(400, 404, 422, 503))
def list_acknowledgements(
    request: Request, catalog: SharedCatalog, _caller: Publisher, name: Name, cursor: Cursor = "", limit: Limit = 50
) -> Response:
    """List who has acknowledged the licence of a model, for which version and with which text, the newest first."""
    if catalog.lists.model(name) is None:
        raise not_there(name)
    found = catalog.acknowledgements.of(name, before=place_of(cursor, MAX_NUMBER), limit=limit + 1)
    following = cursor_of([found[limit - 1].id]) if len(found) > limit else None
    items = [documents.acknowledgement(name, one) for one in found[:limit]]
    return answer(request, {"items": items, "next": following})


@router.post(
    "/acknowledgements",
    status_code=201,
    response_model=documents.AcknowledgementDocument,
    responses=documented(400, 404, 409, 413, 415, 422, 503),
)
def acknowledge_licence(
    request: Request, resources: SharedResources, caller: KnownReader, name: Name, wanted: documents.NewAcknowledgement
) -> Response:
    """Store that a person has read the licence of a version; it counts for the key that sends it.

    Sent again, it is answered with what is stored already.
    """
    with acting(resources, caller) as workspace:
        given = acknowledge(name, wanted.version, wanted.person, caller, workspace, text=wanted.text_sha256)
    return answer(request, documents.acknowledgement(name, given), 201)


@router.post("/check", response_model=documents.Checked, responses=documented(400, 404, 413, 415, 422, 503))
def check_licence(
    request: Request, resources: SharedResources, caller: Reader, name: Name, wanted: documents.UseToCheck
) -> Response:
    """Judge a planned use of a version: allowed, allowed with conditions, or refused, and because of which clause."""
    found = exact(resources.catalog, name, wanted.version)
    licence = standing(found, caller, resources.catalog, demanded(resources.settings, Path.cwd()))
    return answer(request, documents.checked(licence, check(licence, wanted.use())))
