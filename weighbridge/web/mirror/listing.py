"""The list and the search of models, as clients of the Hub ask for them.

Not here: the filters of our own API (web.api.listing).
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.requests import Request

from weighbridge.domain.access import Caller
from weighbridge.errors import UsageError
from weighbridge.intake.mirrored_models import REVISION_MARK, RepoKind, kind_of
from weighbridge.intake.resources import Resources
from weighbridge.web.api.cursors import MAX_LIMIT
from weighbridge.web.api.listing import Listing
from weighbridge.web.mirror.documents import summary

#: What clients sort by, and what that is here; everything else is sorted by name.
_SORTS = {
    "lastModified": "updated",
    "last_modified": "updated",
    "createdAt": "created",
    "created_at": "created",
    "num_parameters": "parameters",
}


def models(request: Request, kind: RepoKind, caller: Caller, resources: Resources) -> tuple[list[dict[str, Any]], str]:
    """Return one part of the list of what the mirror serves to a caller, and the cursor of the next part.

    A part may have fewer entries than asked for while others follow, as data sets and models are in one catalog.

    Raises:
        UsageError: a parameter is not valid.
    """
    wanted = _listing(request)
    query = wanted.query(_patterns(request, caller))
    found = resources.catalog.lists.models(query)
    shown = found[: wanted.limit]
    cursor = wanted.cursor_after(query.key(shown[-1])) if len(found) > wanted.limit else ""
    author = request.query_params.get("author", "")
    entries = [
        summary(one)
        for one in shown
        if one.default and kind_of(one.source) == kind and caller.may("reader", one.name)
        if REVISION_MARK not in one.name
        if not author or one.name.startswith(f"{author}/")
    ]
    return entries, cursor


def _listing(request: Request) -> Listing:
    given = request.query_params
    sort = _SORTS.get(given.get("sort", ""), "name")
    limit = given.get("limit", "")
    values = {
        "search": given.get("search", ""),
        "tag": [one for one in given.getlist("filter") if one],
        "task": given.get("pipeline_tag", ""),
        "status": "PASSED",
        "sort": sort,
        "order": "desc" if sort != "name" else "asc",
        "limit": min(int(limit), MAX_LIMIT) if limit.isascii() and limit.isdigit() and int(limit) else MAX_LIMIT,
        "cursor": given.get("cursor", ""),
    }
    try:
        return Listing.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _patterns(request: Request, caller: Caller) -> tuple[str, ...]:
    """Return patterns of names among which all wanted ones are; those of the key where it has any."""
    author = request.query_params.get("author", "")
    plain = author and not any(sign in author for sign in "*?[")
    return caller.models or ((f"{author}/*",) if plain else ())
