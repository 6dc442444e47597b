"""What a gated model asks of a person: the page, the account, and who approves."""

from __future__ import annotations

import pytest

from weighbridge.domain.gated_access import FOR_A_SERVER, demand_of, way_in
from weighbridge.domain.hub_models import Gated

PAGE = "https://hub.example/org/name"


@pytest.mark.parametrize("gated", Gated)
def test_the_page_and_the_account_are_named(gated: Gated) -> None:
    with_token, without = (way_in(gated, "org/name", PAGE, has_token=has) for has in (True, False))
    assert PAGE in with_token
    assert PAGE in without
    assert "the account whose token is in use" in with_token
    assert "--token-env HF_TOKEN" in without


def test_a_token_may_lack_what_its_account_has() -> None:
    """As huggingface_hub#2844: access was granted, and the fine-grained token was made without that right."""
    with_token, without = (way_in(Gated.AUTO, "org/name", PAGE, has_token=has) for has in (True, False))
    assert "the token lacks the right to read the contents of public gated repositories" in with_token
    assert "lacks the right" not in without


def test_who_approves() -> None:
    assert "without anybody's approval" in way_in(Gated.AUTO, "org/name", PAGE, has_token=True)
    assert "people of org approve or reject it" in way_in(Gated.MANUAL, "org/name", PAGE, has_token=True)
    assert demand_of(Gated.MANUAL, "org/name").endswith("accounts that org has approved")


def test_a_model_without_an_organisation_has_an_owner_nevertheless() -> None:
    assert "people of its owner" in way_in(Gated.MANUAL, "gpt2", PAGE, has_token=True)
    assert demand_of(Gated.MANUAL, "gpt2").endswith("its owner has approved")


def test_callers_of_a_server_cannot_name_options() -> None:
    text = way_in(Gated.AUTO, "org/name", PAGE, has_token=False, name_token=FOR_A_SERVER)
    assert "--token-env" not in text
    assert "the operator" in text
