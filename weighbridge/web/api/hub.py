"""The resource `/hub`: the Hub's models as the local catalogue lists them, and what changed of them.

The answers are about what the Hub shows everybody; what is here of a model is for those only who may read it. Not here:
taking a model in (web.api.orders), and the Hugging Face protocol (web.mirror).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Path as PathParameter
from fastapi import Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.domain.hub_models import HubField
from weighbridge.domain.names import MAX_NAME_BYTES
from weighbridge.domain.request import MODELS_FILE
from weighbridge.intake.hub_answers import change_json
from weighbridge.intake.hub_curated import curated_in
from weighbridge.intake.hub_lookup import HubLookup
from weighbridge.intake.hub_questions import HubQuestions
from weighbridge.intake.resources import Resources
from weighbridge.web.answers import answer
from weighbridge.web.api import hub_documents as documents
from weighbridge.web.api.audit import Moment
from weighbridge.web.api.cursors import MAX_LIMIT, checked_cursor, cursor_of, place_of
from weighbridge.web.api.names import read_escaped
from weighbridge.web.authentication import Reader
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedResources, acting
from weighbridge.web.routes import Router

router = Router(prefix="/hub", tags=["hub"])
#: The path that ids of the Hub's models are below.
MODELS_PATH = "/hub/models"
RepoId = Annotated[
    str,
    PathParameter(
        description="`organisation/name`; the slash may be written `/` or `%2F`.",
        json_schema_extra={"maxLength": MAX_NAME_BYTES},
        examples=["meta-llama/Llama-3.1-8B-Instruct"],
    ),
    AfterValidator(read_escaped),
]
Live = Annotated[bool, Query(description="Ask the Hub itself, though the catalogue has the model; it needs a key.")]


class ChangesWanted(BaseModel):
    """Which changes, and which part of the list."""

    model_config = ConfigDict(extra="forbid")

    since: Moment = Field(
        description="From this time on; ISO 8601 with a time zone.", examples=["2026-11-28T00:00:00Z"]
    )
    field: list[HubField] = Field([], max_length=10, description="Only changes of this; repeated for several.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="Changes in one part.")
    cursor: str = Field("", max_length=4096, description="`next` of the part before; empty for the first part.")

    _check = field_validator("cursor")(checked_cursor)


@router.get("/models", response_model=documents.HubModels, responses=documented(400, 422, 503))
def list_hub_models(
    request: Request, resources: SharedResources, caller: Reader, wanted: Annotated[documents.HubListing, Query()]
) -> Response:
    """List the Hub's models that fit, from the local catalogue: at once, and without the Hub.

    With a key, the Hub itself is asked where `live` says so, where the catalogue was never filled, and for an
    `org/name` in `search` that it lacks; what comes is remembered.
    """
    with _lookup(resources, caller) as lookup:
        found = lookup.search(wanted.query(), live=wanted.live, curated=wanted.curated)
    items = [_for(caller, one.to_json()) for one in found.findings]
    return answer(request, {"items": items, "next": found.cursor or None, "catalogue": found.catalogue_json()})


@router.get("/models/{repo_id}", response_model=documents.WholeHubModel, responses=documented(400, 404, 422, 503))
def get_hub_model(
    request: Request, resources: SharedResources, caller: Reader, repo_id: RepoId, live: Live = False
) -> Response:
    """Return a model of the Hub: gated or not, what to do about that, whether it is here, and how it is taken in.

    With a key, the Hub is asked for a model that the catalogue lacks, and whether the server's token has access to a
    gated one: once, and then remembered for a while.
    """
    with _lookup(resources, caller) as lookup:
        found = lookup.show(repo_id, live=live)
    return answer(request, _for(caller, found.to_json()))


@router.get("/changes", response_model=documents.HubChanges, responses=documented(400, 422, 503))
def list_hub_changes(
    request: Request, resources: SharedResources, _caller: Reader, wanted: Annotated[ChangesWanted, Query()]
) -> Response:
    """List what refreshes noticed of the Hub's models: gated status, licence, owner, downloads, what vanished."""
    found = resources.hub_catalog.changes(
        wanted.since, tuple(wanted.field), limit=wanted.limit + 1, after=place_of(wanted.cursor, 0)
    )
    shown = found[: wanted.limit]
    following = cursor_of([shown[-1][0]]) if len(found) > wanted.limit else None
    return answer(request, {"items": [change_json(one) for _, one in shown], "next": following})


@contextmanager
def _lookup(resources: Resources, caller: Caller) -> Iterator[HubLookup]:
    """Yield what answers a caller; only one that is known may have the Hub asked, with the server's token."""
    with acting(resources, caller) as workspace:
        yield HubLookup(
            catalog=resources.catalog,
            hub=resources.hub_catalog,
            endpoint=resources.settings.endpoint("huggingface"),
            curated=curated_in(Path(MODELS_FILE)),
            questions=None if caller is ANONYMOUS else partial(HubQuestions, workspace),
            may_read=partial(caller.may, "reader"),
            clock=resources.clock,
        )


def _for(caller: Caller, document: dict[str, Any]) -> dict[str, Any]:
    return documents.for_caller(document, is_admin=caller.may_everywhere("admin"))
