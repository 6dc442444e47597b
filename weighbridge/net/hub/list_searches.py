"""A search for models as a question to a Hub, and what is chosen of its answer because the Hub cannot choose by it."""

from __future__ import annotations

from urllib.parse import urlencode

from weighbridge.domain.hub_models import Gated, HubModel, HubQuery
from weighbridge.domain.hub_queries import is_within
from weighbridge.net.hub.list_addresses import FIELDS, expanded

#: The orders that a Hub knows; others are asked for by downloads.
_ORDERS = frozenset({"downloads", "likes", "trendingScore", "createdAt", "lastModified"})
#: How many times the wanted models are asked for where some are left out here, and the most of a page.
_SPARE, _MOST = 5, 1000


def search_query(query: HubQuery) -> str:
    """Return the query of a Hub's list that finds what a search wants, and perhaps more."""
    pairs = [(name, value) for name, value in (("search", query.search), ("author", query.author)) if value]
    pairs += [("filter", one) for one in query.filters]
    pairs += [("filter", f"license:{query.licence}")] if query.licence else []
    pairs += [("filter", query.library)] if query.library else []
    if query.gated:
        gates = {one is not Gated.NO for one in query.gated}
        pairs += [("gated", str(gates.pop()).lower())] if len(gates) == 1 else []
    pairs += [("sort", query.sort if query.sort in _ORDERS else "downloads")]
    pairs += [("direction", "-1" if query.descending or query.sort not in _ORDERS else "1")]
    limit = min(_MOST, query.limit * (_SPARE if _chooses(query) else 1))
    return urlencode([*pairs, ("limit", str(limit)), *expanded(FIELDS)])


def _chooses(query: HubQuery) -> bool:
    bounds = (query.min_parameters, query.max_parameters, query.max_memory_size)
    return bool(query.gated or query.library or any(bound is not None for bound in bounds))


def fits(model: HubModel, query: HubQuery) -> bool:
    """Return whether a model is one that a search wants, by what a Hub does not choose by."""
    if query.gated and model.gated not in query.gated:
        return False
    if query.library and model.library.lower() != query.library.lower():
        return False
    return is_within(query, model)
