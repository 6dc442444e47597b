"""The versions of a model: the list, one version, its files, and in what two of them differ.

Not here: what scanners say of them (web.api.scans).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Request, Response

from weighbridge.catalog import Catalog
from weighbridge.config.policy_file import policy_state
from weighbridge.domain.declarations import contradictions
from weighbridge.intake import lookup
from weighbridge.intake.comparing import compare
from weighbridge.intake.licensing import demanded, standing
from weighbridge.web.answers import answer
from weighbridge.web.api import documents
from weighbridge.web.api.cursors import Cursor, Limit, cursor_of, place_of
from weighbridge.web.api.names import Name, Number
from weighbridge.web.authentication import Reader
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedAnswers, SharedCatalog
from weighbridge.web.routes import Router

router = Router(prefix="/models/{id}", tags=["versions"], responses=documented(400, 404, 422, 503))
_NUMBER = Query(max_length=255, description="The number of a version; empty for the default version, or the latest.")


@router.get("/versions", response_model=documents.Versions)
async def list_versions(
    request: Request, answers: SharedAnswers, name: Name, cursor: Cursor = "", limit: Limit = 50
) -> Response:
    """List the versions of a model, the latest first."""

    def document(catalog: Catalog) -> dict[str, Any]:
        before = place_of(cursor, "")
        found = catalog.lists.versions(name, before=before, limit=limit + 1)
        if not found and not catalog.lists.model(name):
            raise lookup.not_there(name)
        following = cursor_of([found[limit - 1].version]) if len(found) > limit else None
        declaration = catalog.declarations.of(name)
        return {"items": [documents.version(one, declaration) for one in found[:limit]], "next": following}

    return await answers.of(request, None, document)


@router.get("/versions/{version}", response_model=documents.WholeVersion)
async def get_version(request: Request, answers: SharedAnswers, caller: Reader, name: Name, number: Number) -> Response:
    """Return a version with its card, the gate's decision and its reasons, and where it can be had."""
    settings = answers.resources.settings

    def document(catalog: Catalog) -> dict[str, Any]:
        found = lookup.exact(catalog, name, number)
        licence = standing(found, caller, catalog, demanded(settings, Path.cwd()))
        warnings = dict.fromkeys((*contradictions(found.card, licence.declaration), *licence.warnings))
        changelog = catalog.declarations.changelog(name, number)
        return documents.whole_version(found, licence.declaration, changelog, list(warnings))

    # A warning says whether this caller has acknowledged what the operator's policy demands.
    return await answers.of(request, (caller, policy_state(settings.policy, Path.cwd())), document)


@router.get("/versions/{version}/files", response_model=documents.Files)
def list_files(
    request: Request, catalog: SharedCatalog, name: Name, number: Number, cursor: Cursor = "", limit: Limit = 50
) -> Response:
    """List the files of a version with size and sha256, sorted by path."""
    if catalog.state(name, number) is None:
        raise lookup.not_there(name, number)
    after = place_of(cursor, "")
    found = catalog.lists.files(name, number, after=after, limit=limit + 1)
    following = cursor_of([found[limit - 1].path]) if len(found) > limit else None
    return answer(request, {"items": [documents.file(one) for one in found[:limit]], "next": following})


@router.get("/diff", response_model=documents.DifferenceDocument)
def diff(
    request: Request,
    catalog: SharedCatalog,
    name: Name,
    before: Annotated[str, _NUMBER],
    after: Annotated[str, _NUMBER] = "",
) -> Response:
    """Compare two versions: files, sizes, card, findings, verdict, results of benchmarks."""
    one, two = (lookup.exact(catalog, name, number) for number in (before, after))
    return answer(request, documents.difference(compare(one, two, catalog)))
