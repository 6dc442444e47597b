"""The addresses of a Hub's list: orders that do not move, and the next page as headers have it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest

from weighbridge.domain.hub_models import PassKind
from weighbridge.net.hub.list_addresses import (
    continued_query,
    first_query,
    has_cursor,
    limit_of,
    next_query,
    with_fields,
    with_limit,
)

NEXT = '<https://hub/api/models?limit=2&cursor=eyJ9>; rel="next"'


@pytest.mark.parametrize("kind", PassKind)
@pytest.mark.parametrize(("filters", "most"), [((), 0), (("gguf", "license:mit"), 0), (("gguf",), 50)])
def test_no_listing_relies_on_an_order_that_moves_or_on_an_offset(
    kind: PassKind, filters: tuple[str, ...], most: int
) -> None:
    """ecosyste-ms/packages#1805: trendingScore moves; llmfit PR#537, huggingface_hub#4257: offset is ignored."""
    query = parse_qs(first_query(kind, filters, most, 1000))
    assert query["sort"][0] in ("createdAt", "lastModified", "downloads")
    assert not {"offset", "skip", "p"} & set(query)
    assert query.get("filter", []) == list(filters)
    if kind is PassKind.FULL and not most:
        assert (query["sort"], query["direction"]) == (["createdAt"], ["1"])
    assert "config" not in query["expand"]  # huggingface_hub#2460: 504


@pytest.mark.parametrize(
    "link",
    [
        NEXT,
        f'<https://hub/api/models?limit=2>; rel="first", {NEXT}',
        f'{NEXT}, <https://hub/api/models?p=9>; rel="last"',
        "<https://hub/api/models?limit=2&cursor=eyJ9>;rel=next",
        '<https://hub/api/models?limit=2&cursor=eyJ9>; title="x"; rel="next"',
    ],
)
def test_the_next_page_among_other_links(link: str) -> None:
    """huggingface_hub PR#1176, review: the header may come to hold other links too."""
    assert next_query({"link": link}) == "limit=2&cursor=eyJ9"


@pytest.mark.parametrize("headers", [{}, {"link": ""}, {"link": '<https://hub/x?p=1>; rel="prev"'}, {"link": "next"}])
def test_the_end(headers: dict[str, str]) -> None:
    """tobocop2/lilbee PR#115: a page shorter than was asked for is not the end; one without a link is."""
    assert next_query(headers) == ""


@pytest.mark.parametrize("address", ["https://hub/api/models", "https://hub/?" + "x" * 9000, "https://hub/?a=\u202e"])
def test_a_link_that_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        next_query({"link": f'<{address}>; rel="next"'})


def test_a_cursor_of_our_own_is_one_of_the_hub() -> None:
    query = continued_query("sort=createdAt&limit=5&cursor=old&expand=sha", datetime(2022, 3, 2, 23, 29, 4, tzinfo=UTC))
    pairs = parse_qs(query)
    assert (pairs["sort"], pairs["limit"], pairs["expand"]) == (["createdAt"], ["5"], ["sha"])
    condition = json.loads(base64.b64decode(pairs["cursor"][0]))
    assert condition == {"$or": [{"createdAt": {"$gt": "2022-03-02T23:29:03.999Z"}}]}
    assert not has_cursor(continued_query("limit=5&cursor=old", None))


@pytest.mark.parametrize(("query", "limit"), [("limit=5", 5), ("limit=x", 0), ("", 0), ("limit=99999999", 0)])
def test_limits(query: str, limit: int) -> None:
    assert limit_of(query) == limit
    assert limit_of(with_limit(query, 7)) == 7


def test_other_fields() -> None:
    assert parse_qs(with_fields("limit=5&expand=a&expand=b&cursor=c", ("x", "y"))) == {
        "limit": ["5"],
        "cursor": ["c"],
        "expand": ["x", "y"],
    }
