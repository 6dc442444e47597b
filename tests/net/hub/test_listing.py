"""A Hub's list of models, asked of a simulated Hub that fails as the real one does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.simulators import hub_list
from tests.simulators.hub import Fault, Hub
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import FIELDS, GeneratedModels
from weighbridge.domain.hub_models import Gated, HubModel, HubQuery, PassKind
from weighbridge.errors import (
    AccessDenied,
    InvalidReference,
    ModelNotFound,
    SourceMisbehaved,
    SourceUnavailable,
)
from weighbridge.net.auth import Auth
from weighbridge.net.hub.listing import ModelListing
from weighbridge.net.hub.request_budget import RequestBudget
from weighbridge.net.retrying import Retrying
from weighbridge.net.settings import SourceSettings

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
_PAUSE = Retrying.pause


@pytest.fixture
def hub() -> Iterator[HubList]:
    with HubList(GeneratedModels(400)) as hub:
        yield hub


@pytest.fixture
def _real_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retrying, "pause", _PAUSE)


def listing_of(hub: HubList, page_size: int = 100, **settings: Any) -> ModelListing:
    return ModelListing(SourceSettings(endpoint=hub.url, timeout_s=5, **settings), page_size)


def gone_through(listing: ModelListing, kind: PassKind = PassKind.FULL, **selection: Any) -> list[HubModel]:
    found: list[HubModel] = []
    address = listing.first_address(kind, **selection)
    while address:
        page = listing.page(address)
        found += page.models
        address = page.next_address
    return found


def names(models: list[HubModel]) -> list[str]:
    return [one.id for one in models]


def assert_whole(found: list[HubModel], hub: HubList) -> None:
    """Assert that every model was listed, and each once."""
    assert len(found) == len(set(names(found)))
    assert set(names(found)) == hub.models.ids()


def test_everything_is_listed_once_in_an_order_that_stays(hub: HubList) -> None:
    found = gone_through(listing_of(hub))
    assert_whole(found, hub)
    assert [one.created_at for one in found] == sorted(one.created_at for one in found if one.created_at)
    assert hub.pages == 4


def test_a_model_has_all_that_a_list_says(hub: HubList) -> None:
    model = next(one for one in gone_through(listing_of(hub)) if one.id == LLAMA)
    said = hub.models.document(0)
    assert (model.object_id, model.sha, model.gated) == (said["_id"], said["sha"], Gated.AUTO)
    assert (model.downloads, model.likes, model.library) == (said["downloads"], said["likes"], "transformers")
    assert (model.licence, model.pipeline_tag, model.tags) == ("llama3.1", "text-generation", tuple(said["tags"]))
    assert (model.parameters, model.parameters_from) == (8_030_261_248, "safetensors")


def test_only_what_changed_lately_comes_first(hub: HubList) -> None:
    for number, index in enumerate((7, 300, 20)):
        hub.models.change(index, at_ms=1_793_600_000_000 + number)
    listing = listing_of(hub, page_size=5)
    page = listing.page(listing.first_address(PassKind.RECENT))
    assert names(list(page.models))[:3] == [hub.models.id(index) for index in (20, 300, 7)]


def test_the_most_downloaded_of_a_selection(hub: HubList) -> None:
    listing = listing_of(hub)
    page = listing.page(listing.first_address(PassKind.PARTIAL, ("text-generation",), 10), 10)
    downloads = [one.downloads or 0 for one in page.models]
    assert len(downloads) == 10
    assert downloads == sorted(downloads, reverse=True)
    assert all("text-generation" in one.tags for one in page.models)


@pytest.mark.usefixtures("_real_waits")
def test_the_pace_is_that_of_the_hub_and_nothing_is_refused(hub: HubList) -> None:
    hub.rules.quota, hub.rules.window_s = 15, 1.5
    begun = time.monotonic()
    assert_whole(gone_through(listing_of(hub, page_size=10)), hub)
    assert (hub.limited, hub.pages) == (0, 40)
    assert time.monotonic() - begun > 2  # Three windows: the first two have passed.


@pytest.mark.usefixtures("_real_waits")
def test_a_quota_that_others_use_up_is_waited_for(hub: HubList) -> None:
    hub.rules.quota, hub.rules.window_s = 30, 1.0
    other = listing_of(hub, page_size=1)
    address = other.first_address(PassKind.FULL)

    def also_ask(number: int) -> None:
        if number == 3:
            hub.on_page = None
            hub._windows[""].used = 30

    hub.on_page = also_ask
    assert other.page(address).models
    assert_whole(gone_through(listing_of(hub, page_size=100)), hub)
    assert hub.limited == 1


@pytest.mark.parametrize("retry_after", ["", "7"])
def test_429_is_waited_for_as_long_as_the_hub_says(hub: HubList, waited: list[float], retry_after: str) -> None:
    header = {"RateLimit": '"api";r=0;t=41', "Retry-After": retry_after}
    hub.at[2] = Fault(status=429, headers=header)
    assert_whole(gone_through(listing_of(hub)), hub)
    assert waited == [8.0 if retry_after else 42.0]
    assert hub.pages == 5


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_hub_that_fails_at_times_is_asked_again(hub: HubList, status: int) -> None:
    hub.at = {number: Fault(status=status) for number in (1, 3, 4, 7)}
    assert_whole(gone_through(listing_of(hub)), hub)


def test_a_depth_that_is_slow_is_asked_for_fewer_models(hub: HubList) -> None:
    """huggingface_hub#2581: 504 from the second thousand on, at any patience."""
    hub.rules.slow_from, hub.rules.slow_limit = 150, 60
    assert_whole(gone_through(listing_of(hub, page_size=200)), hub)
    assert hub.pages == 1 + 2 + 4  # 200; twice refused; then 50 a page


def test_after_a_slow_depth_pages_grow_again(hub: HubList) -> None:
    hub.models.add(2600)
    hub.models.capacity *= 8
    hub.at = {number: Fault(status=504) for number in (2, 3)}
    found = gone_through(listing_of(hub, page_size=200))
    assert_whole(found, hub)
    assert hub.pages < 3000 / 50


def test_a_hub_that_goes_on_failing_is_given_up(hub: HubList, waited: list[float]) -> None:
    hub.rules.slow_from, hub.rules.slow_limit = 0, 0
    listing = listing_of(hub)
    with pytest.raises(SourceUnavailable) as error:
        listing.page(listing.first_address(PassKind.FULL))
    assert error.value.retryable
    assert hub.pages == 10
    assert waited == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_hub_that_is_not_there_is_given_up_sooner(waited: list[float]) -> None:
    listing = ModelListing(SourceSettings(endpoint="http://127.0.0.1:1"))
    with pytest.raises(SourceUnavailable):
        listing.page(listing.first_address(PassKind.FULL))
    assert waited == [0.5, 1, 2]


def test_smaller_pages_than_were_asked_for_are_taken(hub: HubList) -> None:
    hub.rules.largest = 37
    assert_whole(gone_through(listing_of(hub)), hub)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_after=300),
        Fault(content=b'[{"id": "org/na'),
        Fault(content=b"<html>Sign in</html>"),
        Fault(content=b'{"error": "x"}'),
        Fault(content=b"[" * 100_000),
        Fault(content=b""),
    ],
)
def test_a_cut_or_wrong_answer_is_asked_for_again(hub: HubList, fault: Fault) -> None:
    hub.at[2] = hub.at[3] = fault
    assert_whole(gone_through(listing_of(hub)), hub)


def test_what_is_never_a_list_ends_with_an_error(hub: HubList) -> None:
    hub.at = dict.fromkeys(range(1, 20), Fault(content=b"<html>Sign in</html>"))
    listing = listing_of(hub)
    with pytest.raises(SourceMisbehaved, match="not JSON"):
        listing.page(listing.first_address(PassKind.FULL))
    assert hub.pages == 3


def test_a_list_without_end_ends_with_an_error(hub: HubList) -> None:
    hub.rules.standing = True
    with pytest.raises(SourceMisbehaved, match="same page"):
        gone_through(listing_of(hub))
    assert hub.pages <= 3


def test_a_page_that_is_too_large_is_asked_for_in_parts(hub: HubList) -> None:
    hub.models.change(0, cardData=None)
    for index in range(200):
        hub.models.raw[index] = json.dumps({"id": f"large/{index}", "tags": ["x" * 250_000]}).encode()
    found = gone_through(listing_of(hub, page_size=200))
    assert len(set(names(found))) == len(found) == 400


def test_the_token_goes_to_its_own_hub_alone(hub: HubList) -> None:
    hub.tokens["secret"] = frozenset()
    with Hub() as other:
        hub.rules.link_base = other.url
        listing = listing_of(hub, auth=Auth("secret"))
        assert_whole(gone_through(listing), hub)
        assert other.requests == []
    assert {one.token for one in hub.requests} == {"secret"}
    assert "secret" not in repr(listing.__dict__["_settings"])


def test_a_token_that_is_not_accepted(hub: HubList) -> None:
    listing = listing_of(hub, auth=Auth("wrong"))
    with pytest.raises(AccessDenied):
        listing.page(listing.first_address(PassKind.FULL))
    assert hub.pages == 1


def test_a_refused_cursor_is_said_to_be_one_and_can_be_replaced(hub: HubList) -> None:
    listing = listing_of(hub)
    page = listing.page(listing.first_address(PassKind.FULL))
    hub.rules.refused_cursors = 1
    with pytest.raises(SourceMisbehaved) as error:
        listing.page(page.next_address)
    assert error.value.facts["cursor_refused"]
    address = listing.continued_address(page.next_address, page.models[-1].created_at)
    found = list(page.models)
    while address:
        page = listing.page(address)
        found += page.models
        address = page.next_address
    assert set(names(found)) == hub.models.ids()
    assert len(found) <= 402  # two of one moment come again


def test_a_hub_that_does_not_know_a_field_is_asked_for_the_essential_ones(
    hub: HubList, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tuple(name for name in FIELDS if name != "downloadsAllTime")
    monkeypatch.setattr(hub_list, "FIELDS", known)
    found = gone_through(listing_of(hub))
    assert_whole(found, hub)
    assert all(one.sha and one.gated is not Gated.UNKNOWN for one in found)
    assert hub.pages == 5


def test_private_models_are_left_out(hub: HubList) -> None:
    hub.models.change(9, private=True)
    found = names(gone_through(listing_of(hub)))
    assert set(found) == hub.models.ids() - {hub.models.id(9)}
    with pytest.raises(ModelNotFound):
        listing_of(hub).model(hub.models.id(9))


class TestOneModel:
    def test_it_is_described_with_its_configuration(self, hub: HubList) -> None:
        model = listing_of(hub).model(LLAMA)
        assert (model.gated, model.downloads) == (Gated.AUTO, hub.models.document(0)["downloads"])
        assert "expand=config" in hub.requests[-1].path
        assert "%2F" not in hub.requests[-1].path  # ecosyste-ms/packages#1805: the Hub refuses it

    def test_a_renamed_one_has_its_new_name(self, hub: HubList) -> None:
        before = hub.models.id(50)
        hub.models.change(50, id="elsewhere/now")
        assert listing_of(hub).model(before).id == "elsewhere/now"

    def test_a_hub_whose_configurations_are_slow(self, hub: HubList) -> None:
        hub.fault(f"/api/models/{LLAMA}", status=504, times=4)
        assert listing_of(hub).model(LLAMA).id == LLAMA
        assert "expand=config" not in hub.requests[-1].path

    def test_one_that_is_not_there(self, hub: HubList) -> None:
        with pytest.raises((ModelNotFound, AccessDenied)):
            listing_of(hub).model("nobody/nothing")

    @pytest.mark.parametrize("name", ["", "..", "a/..", "a/b/c", "a b", "a\nb", "a/b?x=1", "é/b", "x" * 200])
    def test_what_is_no_name_is_not_asked_for(self, hub: HubList, name: str) -> None:
        with pytest.raises(InvalidReference):
            listing_of(hub).model(name)
        assert hub.requests == []


@pytest.mark.parametrize(
    "query",
    [
        HubQuery(search="llama-3.1-8b"),
        HubQuery(filters=("text-generation",), gated=(Gated.NO,), limit=5),
        HubQuery(gated=(Gated.MANUAL,), limit=3),
        HubQuery(author="meta-llama", sort="likes"),
        HubQuery(licence="apache-2.0", library="transformers", sort="createdAt", descending=False),
        HubQuery(min_parameters=10**9, max_parameters=10**10),
        HubQuery(max_memory_size=40 * 10**9, limit=4),
        HubQuery(sort="memory", limit=2),
    ],
)
def test_a_search_finds_what_fits(hub: HubList, query: HubQuery) -> None:
    found = listing_of(hub).search(query)
    assert 0 < len(found) <= query.limit
    for one in found:
        assert query.search in one.id.lower()
        assert set(query.filters) <= set(one.tags)
        assert not query.gated or one.gated in query.gated
        assert not query.author or one.author == query.author
        assert not query.licence or one.licence == query.licence
        assert query.max_memory_size is None or (one.memory_size or 10**15) <= query.max_memory_size
        assert query.min_parameters is None or (one.parameters or 0) >= query.min_parameters


@pytest.mark.parametrize(
    ("headers", "budget"),
    [
        ({}, None),
        ({"ratelimit": '"api";r=7;t=300'}, RequestBudget(7, 300)),
        (
            {"ratelimit": '"api";r=7;t=300', "ratelimit-policy": '"fixed window";"api";q=500;w=300'},
            RequestBudget(7, 300, 500),
        ),
        ({"ratelimit": '"pages";r=90;t=3, "api";r=7; t=300'}, RequestBudget(7, 300)),
        ({"ratelimit": '"api";r=-1;t=x'}, None),
        ({"ratelimit": "r=7"}, None),
        ({"ratelimit": "x" * 10_000}, None),
    ],
)
def test_what_the_hub_grants(headers: dict[str, str], budget: RequestBudget | None) -> None:
    assert RequestBudget.of(headers) == budget


def test_half_of_a_quota_is_used_at_once_and_a_little_is_left_to_others() -> None:
    whole = RequestBudget(499, 300, 500)
    assert whole.interval_s == 0
    assert replace(whole, left=250).interval_s == pytest.approx(300 / 240)
    assert replace(whole, left=10).interval_s == 301
    assert replace(whole, left=0).interval_s == 301
    assert RequestBudget(5, 10).interval_s == 2
