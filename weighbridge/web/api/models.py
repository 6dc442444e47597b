"""The resource `/models`: the list of models, and one model."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from weighbridge.errors import NotInCatalog
from weighbridge.web.answers import answer
from weighbridge.web.api import documents
from weighbridge.web.api.cursors import Cursor, Limit, cursor_of, key_of
from weighbridge.web.api.names import Name
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedCatalog

router = APIRouter(prefix="/models", tags=["models"])


@router.get("", response_model=documents.Models, responses=documented(422, 503))
def list_models(request: Request, catalog: SharedCatalog, cursor: Cursor = "", limit: Limit = 50) -> Response:
    """List models, sorted by name."""
    after = str((key_of(cursor) or [""])[0])
    found = catalog.lists.models(after=after, limit=limit + 1)
    shown = found[:limit]
    following = cursor_of([shown[-1].name]) if len(found) > limit else None
    return answer(request, {"items": [documents.model(one) for one in shown], "next": following})


@router.get("/{id}", response_model=documents.WholeModel, responses=documented(404, 422, 503))
def get_model(request: Request, catalog: SharedCatalog, name: Name) -> Response:
    """Return a model as its default version, or the latest where none is the default, describes it."""
    summary = catalog.lists.model(name)
    if summary is None:
        raise NotInCatalog(f"There is no model {name}.", "GET /models lists those that there are.", name=name)
    return answer(request, documents.whole_model(summary))
