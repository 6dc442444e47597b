"""What a refresh of the Hub's catalogue may be asked for."""

from __future__ import annotations

from typing import Any

import pytest

from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.hub_models import PassKind
from weighbridge.domain.refresh_request import RefreshRequest
from weighbridge.errors import InvalidConfiguration


@pytest.mark.parametrize(
    "request_",
    [
        RefreshRequest(),
        RefreshRequest(PassKind.RECENT, page_size=100),
        RefreshRequest(PassKind.PARTIAL, ("text-generation", "gguf"), 10_000, auth=AuthPlace(token_env="HF_TOKEN")),
    ],
)
def test_a_request_survives_json(request_: RefreshRequest) -> None:
    assert RefreshRequest.from_json(request_.to_json()) == request_


def test_a_request_of_nothing_is_the_full_one() -> None:
    assert RefreshRequest.from_json({}) == RefreshRequest(PassKind.FULL)


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "half"},
        {"kind": "partial"},
        {"kind": "full", "limit": 5},
        {"kind": "recent", "filters": ["gguf"]},
        {"kind": "partial", "limit": -1},
        {"kind": "partial", "limit": "many"},
        {"page_size": 5000},
        {"token_env": "A", "token_file": "b"},
    ],
)
def test_what_makes_no_sense_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration):
        RefreshRequest.from_json(content)


def test_a_selection_is_the_same_in_any_order() -> None:
    one, other = (RefreshRequest(PassKind.PARTIAL, filters, 10) for filters in (("a", "b"), ("b", "a", "a")))
    assert one.selection == other.selection == "a b limit=10"
    assert RefreshRequest().selection == ""
