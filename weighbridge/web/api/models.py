"""The resource `/models`: the list of models, one model, and what is declared of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response

from weighbridge.catalog import Catalog, ModelSummary
from weighbridge.intake.declaring import declare
from weighbridge.intake.lookup import not_there
from weighbridge.web.answers import answer, refuse_changed
from weighbridge.web.api import documents
from weighbridge.web.api.listing import Listing
from weighbridge.web.api.names import Name
from weighbridge.web.api.order_documents import MetadataChange
from weighbridge.web.authentication import Publisher, Reader
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedAnswers, SharedCatalog
from weighbridge.web.routes import Router

router = Router(prefix="/models", tags=["models"])


@router.get("", response_model=documents.Models, responses=documented(400, 422, 503))
async def list_models(
    request: Request, answers: SharedAnswers, caller: Reader, wanted: Annotated[Listing, Query()]
) -> Response:
    """List models: those that fit every filter, sorted, in parts."""
    query = wanted.query(caller.models)

    def document(catalog: Catalog) -> dict[str, Any]:
        found = catalog.lists.models(query)
        shown = found[: wanted.limit]
        following = wanted.cursor_after(query.key(shown[-1])) if len(found) > wanted.limit else None
        items = [documents.model(one) for one in shown if caller.may("reader", one.name)]
        return {"items": items, "next": following}

    return await answers.of(request, caller.models, document)


@router.get("/{id}", response_model=documents.WholeModel, responses=documented(404, 422, 503))
async def get_model(request: Request, answers: SharedAnswers, name: Name) -> Response:
    """Return a model as its default version, or the latest where none is the default, describes it."""

    def document(catalog: Catalog) -> dict[str, Any]:
        summary = catalog.lists.model(name)
        if summary is None:
            raise not_there(name)
        return documents.whole_model(summary)

    return await answers.of(request, None, document)


@router.put("/{id}", response_model=documents.WholeModel, responses=documented(400, 404, 412, 413, 415, 422, 503))
def update_model(
    request: Request, catalog: SharedCatalog, caller: Publisher, name: Name, wanted: MetadataChange
) -> Response:
    """Change what is declared of a model; `If-Match` takes the ETag of the model.

    Fields that are not named stay, and null takes one back. What was read from the files never changes.
    """

    def check(model: ModelSummary) -> None:
        refuse_changed(request, documents.whole_model(model))

    changed = declare(catalog.acting(caller.actor), name, wanted.changes(name), check)
    return answer(request, documents.whole_model(changed))
