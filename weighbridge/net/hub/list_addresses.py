"""The addresses of a Hub's list of models: which order, which fields, and where the next page is.

The order decides whether a listing is whole: the Hub's default one, and those by downloads and likes, move while one
pages, so that models are skipped and doubled. Not here: requests (net.hub.listing).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from weighbridge.domain.hub_models import PassKind

#: What is asked of each model. `config` costs the Hub most and is asked of one model only.
FIELDS = (
    *("sha", "gated", "private", "disabled", "createdAt", "lastModified", "downloads", "downloadsAllTime", "likes"),
    *("trendingScore", "library_name", "pipeline_tag", "tags", "safetensors", "gguf"),
)
CONFIG = "config"
#: Of `FIELDS`, what a Hub that refuses them is asked for.
ESSENTIAL = ("sha", "gated", "createdAt", "lastModified", "downloads", "likes", "library_name", "pipeline_tag", "tags")
#: The most characters of a query that a Hub may give as the next page.
_MAX_QUERY = 8192
_NEXT = re.compile(r"<([^<>]*)>\s*(?:;[^,<]*)?;\s*rel=\"?next\"?", re.IGNORECASE)

Pairs = Sequence[tuple[str, str]]


def first_query(kind: PassKind, filters: Sequence[str], most: int, page_size: int) -> str:
    """Return the query of a listing's first page.

    Everything is listed by the time of creation, which does not move; recent changes by the last one, newest first;
    the first models of a selection by downloads.

    Args:
        kind: what is gone through.
        filters: tags that a partial listing wants.
        most: models that it wants, 0 for all.
        page_size: models of a page.
    """
    if kind is PassKind.RECENT:
        order = (("sort", "lastModified"), ("direction", "-1"))
    elif kind is PassKind.PARTIAL and most:
        order = (("sort", "downloads"), ("direction", "-1"))
    else:
        order = (("sort", "createdAt"), ("direction", "1"))
    limit = min(page_size, most) if most else page_size
    return urlencode([*(("filter", one) for one in filters), *order, ("limit", str(limit)), *expanded(FIELDS)])


def expanded(fields: Sequence[str]) -> Pairs:
    """Return the parameters that ask for fields."""
    return [("expand", name) for name in fields]


def next_query(headers: Mapping[str, str]) -> str:
    """Return the query of the next page as the header `Link` has it, whatever host it names; empty at the end.

    Raises:
        ValueError: it is no usable address.
    """
    found = _NEXT.search(headers.get("link", ""))
    if not found:
        return ""
    query = urlsplit(found[1]).query
    if not query or len(query) > _MAX_QUERY or not query.isascii() or not query.isprintable():
        raise ValueError("the link to the next page is no address")
    return query


def limit_of(query: str) -> int:
    """Return how many models a query asks for; 0 where it does not say."""
    value = dict(parse_qsl(query)).get("limit", "")
    return int(value) if re.fullmatch(r"\d{1,6}", value) else 0


def with_limit(query: str, limit: int) -> str:
    """Return a query that asks for another number of models."""
    return urlencode([*_without(query, "limit"), ("limit", str(limit))])


def with_fields(query: str, fields: Sequence[str]) -> str:
    """Return a query that asks for other fields."""
    return urlencode([*_without(query, "expand"), *expanded(fields)])


def without_config(query: str) -> str:
    """Return a query that does not ask for configurations."""
    return urlencode([pair for pair in parse_qsl(query) if pair != ("expand", CONFIG)])


def has_cursor(query: str) -> bool:
    """Return whether a query asks for a page behind another."""
    return "cursor" in dict(parse_qsl(query))


def continued_query(query: str, created_at: datetime | None) -> str:
    """Return a query that takes the place of one whose cursor the Hub refuses.

    A cursor is the Hub's own condition on what comes next: everything created since `created_at`, a moment of which
    many models may be. Without a moment it is the first page again.
    """
    pairs = _without(query, "cursor")
    if created_at is None:
        return urlencode(pairs)
    before = (created_at - timedelta(milliseconds=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    condition = json.dumps({"$or": [{"createdAt": {"$gt": before}}]}, separators=(",", ":"))
    return urlencode([*pairs, ("cursor", base64.b64encode(condition.encode()).decode())])


def _without(query: str, name: str) -> Pairs:
    return [pair for pair in parse_qsl(query) if pair[0] != name]
