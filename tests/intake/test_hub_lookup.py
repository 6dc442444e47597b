"""Questions about the Hub's models: answered by the catalogue, by the Hub where it must, and never failing for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.hub_entries import LARGE, LLAMA, NOW, QWEN, fill, listed
from tests.simulators.hub import Fault
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import GeneratedModels
from weighbridge.catalog import Catalog
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.hub_models import Gated, HubQuery
from weighbridge.errors import NotInCatalog
from weighbridge.intake.hub_access import AccessState
from weighbridge.intake.hub_answers import HubAnswer
from weighbridge.intake.hub_curated import Curated, curated_in
from weighbridge.intake.hub_lookup import HubLookup
from weighbridge.intake.hub_questions import HubQuestions
from weighbridge.intake.workspace import open_workspace

CURATED = Curated(dict.fromkeys(("qwen/qwen2.5-1.5b-instruct", "org/new-7b"), AuthPlace()), (QWEN.id, "org/new-7B"))


@pytest.fixture(scope="module")
def simulator() -> Iterator[HubList]:
    with HubList(GeneratedModels(50)) as running:
        running.add("org/open", {"config.json": b"{}"})
        running.add("org/gated", {"config.json": b"{}"}, gated=True)
        running.tokens = {"hf_in": frozenset({"org/gated"}), "hf_out": frozenset()}
        yield running


@pytest.fixture(autouse=True)
def _forget(simulator: HubList) -> None:
    simulator.faults.clear()
    simulator.requests.clear()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubCatalog]:
    with HubCatalog.open(f"sqlite:///{tmp_path}/catalog.db") as opened:
        yield opened


@pytest.fixture
def lookup(tmp_path: Path, hub: HubCatalog, simulator: HubList, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubLookup]:
    """Yield a lookup of the command line, which may ask the simulated Hub with the token in HF_TOKEN."""
    settings = Settings(home=tmp_path, huggingface_endpoint=simulator.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with (
        Catalog.open(f"sqlite:///{tmp_path}/catalog.db", lambda: NOW) as catalog,
        open_workspace(settings) as workspace,
    ):
        yield HubLookup(catalog, hub, simulator.url, questions=partial(HubQuestions, workspace), clock=lambda: NOW)


def ids(answer: HubAnswer) -> list[str]:
    return [one.entry.model.id for one in answer.findings]


def test_the_catalogue_answers_and_nothing_is_asked(lookup: HubLookup, hub: HubCatalog, simulator: HubList) -> None:
    fill(hub, age=timedelta(hours=21))
    found = lookup.search(HubQuery(search="instruct", max_memory_size=16 * 10**9, gated=(Gated.NO, Gated.AUTO)))
    assert ids(found) == [LLAMA.id, QWEN.id]
    assert (found.answered_by, found.note, found.state.as_of) == ("catalogue", "", NOW - timedelta(hours=21))
    assert simulator.requests == []


def test_pages_follow_each_other(lookup: HubLookup, hub: HubCatalog) -> None:
    fill(hub, [listed(f"org/model-{number}", downloads=number) for number in range(7)])
    first = lookup.search(HubQuery(limit=3))
    assert ids(lookup.search(HubQuery(limit=3, cursor=first.cursor))) == ["org/model-3", "org/model-2", "org/model-1"]
    assert [len(answer.findings) for answer in lookup.pages(HubQuery(), limit=5)] == [5]
    assert sum(len(answer.findings) for answer in lookup.pages(HubQuery(), limit=None)) == 7


def test_an_empty_catalogue_asks_the_hub_and_remembers(lookup: HubLookup, hub: HubCatalog, simulator: HubList) -> None:
    wanted = simulator.models.id(30)
    found = lookup.search(HubQuery(search=wanted))
    assert (ids(found), found.answered_by) == ([wanted], "hub")
    assert hub.find(wanted) is not None


def test_an_empty_catalogue_without_a_network_says_what_to_do(
    lookup: HubLookup, hub: HubCatalog, simulator: HubList
) -> None:
    simulator.faults["/api/models"] = Fault(status=503)
    found = lookup.search(HubQuery(search="instruct"))
    assert (found.findings, found.answered_by) == ((), "catalogue")
    assert "The Hub cannot be asked now" in found.note
    asks_nobody = replace(lookup, questions=None).search(HubQuery(search="instruct"))
    assert "`weighbridge hub refresh` fills it" in asks_nobody.note


def test_a_live_search_asks_though_the_catalogue_has_an_answer(
    lookup: HubLookup, hub: HubCatalog, simulator: HubList
) -> None:
    fill(hub)
    found = lookup.search(HubQuery(limit=5), live=True)
    assert found.answered_by == "hub"
    assert len(found.findings) == 5
    assert LLAMA.id not in ids(found)


def test_a_live_search_without_a_network_has_the_catalogues_answer(
    lookup: HubLookup, hub: HubCatalog, simulator: HubList
) -> None:
    fill(hub)
    simulator.faults["/api/models"] = Fault(hang_after=-1, times=1, status=504)
    found = lookup.search(HubQuery(search="instruct"), live=True)
    assert ids(found) == [LLAMA.id, LARGE.id, QWEN.id]
    assert (found.answered_by, "The Hub cannot be asked now" in found.note) == ("catalogue", True)


def test_a_model_that_the_catalogue_lacks_is_asked_for_once(
    lookup: HubLookup, hub: HubCatalog, simulator: HubList
) -> None:
    fill(hub)
    wanted = simulator.models.id(31)
    assert lookup.show(wanted).answered_by == "hub"
    asked = len(simulator.requests)
    assert lookup.show(wanted).answered_by == "catalogue"
    assert len(simulator.requests) == asked or simulator.requests[-1].path.endswith("/auth-check")


def test_a_search_for_the_id_of_a_model_that_the_catalogue_lacks(
    lookup: HubLookup, hub: HubCatalog, simulator: HubList
) -> None:
    fill(hub)
    wanted = simulator.models.id(32)
    found = lookup.search(HubQuery(search=wanted))
    assert (ids(found), found.answered_by) == ([wanted], "hub")
    assert lookup.search(HubQuery(search="org/never-seen")).findings == ()


def test_what_nobody_has(lookup: HubLookup, hub: HubCatalog, simulator: HubList) -> None:
    fill(hub)
    with pytest.raises(NotInCatalog, match=r"The Hub shows none, either. Check its name"):
        lookup.show("org/none")
    simulator.faults["/api/models/org/none"] = Fault(status=503)
    with pytest.raises(NotInCatalog, match=r"The Hub cannot be asked now.*Try again later"):
        lookup.show("org/none")
    with pytest.raises(NotInCatalog, match=r"has no model org/none. Check"):
        replace(lookup, questions=None).show("org/none")


@pytest.mark.parametrize("id_", ["", "..", "a/b/c", "../../etc/passwd", "org/\x1b[31m", "x y", "-x", "a" * 300])
def test_what_is_no_id_is_asked_of_nobody(lookup: HubLookup, simulator: HubList, id_: str) -> None:
    with pytest.raises(NotInCatalog) as error:
        lookup.show(id_)
    assert "\x1b" not in str(error.value)
    assert simulator.requests == []


def test_a_shown_model_is_known_offline_however_old(lookup: HubLookup, hub: HubCatalog, simulator: HubList) -> None:
    fill(hub, age=timedelta(days=400))
    simulator.faults[""] = Fault(status=503)
    found = lookup.show(QWEN.id.upper(), live=True)
    assert found.finding.entry.model == QWEN
    assert "The Hub cannot be asked now" in found.note
    assert found.access.state is AccessState.PUBLIC


def test_history_and_the_line_that_takes_it_in(lookup: HubLookup, hub: HubCatalog) -> None:
    fill(hub, age=timedelta(days=2))
    fill(hub, [LLAMA, LARGE, replace(QWEN, gated=Gated.MANUAL)])
    found = replace(lookup, questions=None).show(QWEN.id).to_json()
    assert [(one["field"], one["before"], one["after"]) for one in found["history"]] == [("gated", "no", "manual")]
    assert found["import"] == {"uri": f"hf:{QWEN.id}"}
    assert found["access"]["state"] == "unknown"


class TestAccess:
    def test_it_is_asked_once_and_remembered(
        self, lookup: HubLookup, hub: HubCatalog, simulator: HubList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(hub, [listed("org/gated", Gated.MANUAL)])
        monkeypatch.setenv("HF_TOKEN", "hf_in")
        found = [lookup.show("org/gated").access for _ in range(3)]
        assert {one.state for one in found} == {AccessState.GRANTED}
        assert found[0].checked_at == NOW
        assert [one.path for one in simulator.requests] == ["/api/models/org/gated/auth-check"]
        assert "hf_in" not in repr(found)

    def test_a_refusal_is_asked_again_sooner(
        self, lookup: HubLookup, hub: HubCatalog, simulator: HubList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(hub, [listed("org/gated", Gated.MANUAL)])
        monkeypatch.setenv("HF_TOKEN", "hf_out")
        denied = lookup.show("org/gated").access
        assert denied.state is AccessState.DENIED
        assert "people of org approve or reject it" in denied.what_to_do
        assert f"{simulator.url}/org/gated" in denied.what_to_do
        monkeypatch.setitem(simulator.tokens, "hf_out", frozenset({"org/gated"}))
        assert lookup.show("org/gated").access.state is AccessState.DENIED
        later = replace(lookup, clock=lambda: NOW + timedelta(minutes=6))
        assert later.show("org/gated").access.state is AccessState.GRANTED

    def test_live_asks_again(
        self, lookup: HubLookup, hub: HubCatalog, simulator: HubList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", "hf_out")
        fill(hub, [listed("org/gated", Gated.MANUAL)])
        lookup.show("org/gated")
        monkeypatch.setitem(simulator.tokens, "hf_out", frozenset({"org/gated"}))
        assert lookup.show("org/gated", live=True).access.state is AccessState.GRANTED

    def test_another_token_is_another_question(
        self, lookup: HubLookup, hub: HubCatalog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(hub, [listed("org/gated", Gated.MANUAL)])
        states = []
        for token in ("hf_in", "hf_out", "", "hf_in"):
            monkeypatch.setenv("HF_TOKEN", token)
            states.append(lookup.show("org/gated").access.state)
        assert states == ["granted", "denied", "no-token", "granted"]

    def test_a_token_that_is_none_is_told_from_missing_access(
        self, lookup: HubLookup, hub: HubCatalog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(hub, [listed("org/gated", Gated.MANUAL)])
        monkeypatch.setenv("HF_TOKEN", "hf_unknown")
        found = lookup.show("org/gated")
        assert found.access.state is AccessState.UNKNOWN
        assert found.note

    def test_without_a_network_what_is_remembered_counts(
        self, lookup: HubLookup, hub: HubCatalog, simulator: HubList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(hub, [listed("org/gated", Gated.MANUAL)])
        monkeypatch.setenv("HF_TOKEN", "hf_in")
        lookup.show("org/gated")
        simulator.faults["/auth-check"] = Fault(status=503)
        later = replace(lookup, clock=lambda: NOW + timedelta(days=9))
        found = later.show("org/gated")
        assert (found.access.state, found.access.checked_at) == (AccessState.GRANTED, NOW)
        assert "The Hub cannot be asked now" in found.note

    def test_a_request_that_waits_for_its_review_is_told(
        self, lookup: HubLookup, hub: HubCatalog, simulator: HubList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As kernel-ai-assistant#1034: a person who has asked already is not only told to ask."""
        fill(hub, [listed("org/gated", Gated.MANUAL)])
        monkeypatch.setenv("HF_TOKEN", "hf_out")
        words = "Your request to access model org/gated is awaiting a review from the repo authors."
        headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": words}
        simulator.faults["/auth-check"] = Fault(status=403, headers=headers)
        found = lookup.show("org/gated")
        assert found.access.state is AccessState.DENIED
        assert "is awaiting a review" in found.note

    def test_a_public_model_needs_no_question(
        self, lookup: HubLookup, hub: HubCatalog, simulator: HubList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(hub)
        monkeypatch.setenv("HF_TOKEN", "hf_in")
        assert lookup.show(QWEN.id).access.state is AccessState.PUBLIC
        assert simulator.requests == []


class TestCurated:
    def test_models_of_models_yaml_are_listed_though_no_catalogue_has_them(
        self, lookup: HubLookup, hub: HubCatalog
    ) -> None:
        fill(hub)
        offline = replace(lookup, curated=CURATED, questions=None)
        found = offline.search(HubQuery(), curated=True)
        assert ids(found) == [QWEN.id, "org/new-7B"]
        assert found.findings[1].to_json()["label"] == "org/new-7B (14GB, 7B) [Unknown]"
        assert [one.curated for one in offline.search(HubQuery()).findings] == [False, False, True]

    def test_filters_and_order_hold_for_them(self, lookup: HubLookup, hub: HubCatalog) -> None:
        fill(hub)
        offline = replace(lookup, curated=CURATED, questions=None)
        assert ids(offline.search(HubQuery(max_memory_size=8 * 10**9), curated=True)) == [QWEN.id]
        assert ids(offline.search(HubQuery(sort="parameters"), curated=True)) == ["org/new-7B", QWEN.id]

    def test_those_that_the_catalogue_lacks_are_asked_for(
        self, lookup: HubLookup, hub: HubCatalog, simulator: HubList
    ) -> None:
        fill(hub)
        wanted = simulator.models.id(33)
        places = Curated({wanted.casefold(): AuthPlace(), "org/none": AuthPlace()}, ("org/none", wanted))
        found = replace(lookup, curated=places).search(HubQuery(), curated=True)
        assert set(ids(found)) == {wanted, "org/none"}
        assert hub.find(wanted) is not None

    def test_without_a_network_the_hub_is_asked_once_and_not_for_each(
        self, lookup: HubLookup, hub: HubCatalog, simulator: HubList
    ) -> None:
        fill(hub)
        simulator.faults["/api/models/org/a"] = simulator.faults["/api/models/org/b"] = Fault(status=503)
        places = Curated({"org/a": AuthPlace(), "org/b": AuthPlace()}, ("org/a", "org/b"))
        found = replace(lookup, curated=places).search(HubQuery(), curated=True)
        assert len(found.findings) == 2
        assert "The Hub cannot be asked now" in found.note
        assert {one.path.partition("?")[0] for one in simulator.requests} == {"/api/models/org/a"}

    def test_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "models.yaml"
        assert curated_in(path) == Curated()
        path.write_text(
            "models:\n- hf_repo_id: Qwen/Qwen3-4B\n- {hf_repo_id: org/gated, auth: {tokenEnvVar: MY_TOKEN}}\n"
            "- {name: x, source: {pypi: {package: x, version: '1'}}}\n"
        )
        found = curated_in(path)
        assert found.ids == ("Qwen/Qwen3-4B", "org/gated")
        assert "QWEN/qwen3-4b" in found
        assert found.place("org/gated") == AuthPlace("MY_TOKEN")
        (tmp_path / "models.local.yaml").write_text("models:\n- hf_repo_id: org/local\n")
        assert "org/local" in curated_in(path)
        path.write_text("models: 3\n")
        assert curated_in(path) == Curated(), "sync reports the mistake; a search goes on"
