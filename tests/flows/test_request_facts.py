"""What the person who decides reads of a model: what the Hub says, how it is gated, and whether it is here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.request_facts import facts_of
from flows.run_workspace import settings_blocks
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import GeneratedModels
from weighbridge.domain.auth_place import AuthPlace

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
BLOCKS = settings_blocks("", "", "", "")


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubList]:
    with HubList(GeneratedModels(30)) as hub:
        monkeypatch.setenv("WEIGHBRIDGE_HUGGINGFACE_ENDPOINT", hub.url)
        monkeypatch.setenv("WEIGHBRIDGE_PRIVATE_NETWORKS", '["127.0.0.1"]')  # A run is on behalf of others.
        monkeypatch.setenv("WEIGHBRIDGE_TIMEOUT_S", "2")
        yield hub


def facts(uri: str) -> dict[str, str]:
    return dict(facts_of(uri, AuthPlace(), BLOCKS, "models.yaml"))


def test_of_a_gated_model_the_page_and_who_approves(hub: HubList) -> None:
    hub.models.change(20, gated="manual")
    model = hub.models.id(20)
    known = facts(f"hf:{model}")
    assert known["Gated"] == "Approval Required"
    assert "[Approval]" in known["The Hub"]
    assert f"{hub.url}/{model}" in known["Access"]
    assert f"people of {model.partition('/')[0]} approve" in known["Access"]
    assert known["Here"] == "absent"


def test_of_what_the_hub_lacks_that(hub: HubList) -> None:
    known = facts("hf:nobody/nothing")
    assert known["From"] == "hf:nobody/nothing"
    assert "has no model nobody/nothing" in known["The Hub"]


def test_a_hub_that_is_away_keeps_nobody_from_deciding(hub: HubList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_HUGGINGFACE_ENDPOINT", "http://127.0.0.1:9")
    assert set(facts("hf:org/name")) == {"From", "The Hub"}


def test_other_sources_are_named_only(home: Path) -> None:
    assert facts_of("ollama:llama2:7b", AuthPlace(), BLOCKS, "models.yaml") == [("From", "ollama:llama2:7b")]
