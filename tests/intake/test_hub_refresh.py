"""Refreshes of the Hub's catalogue: everything is there once, whatever happens meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.intake.hub_passes import Side
from tests.simulators.hub import Fault
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import LAST_MS, GeneratedModels
from weighbridge.catalog import hub_passes
from weighbridge.domain.hub_models import HubChange, HubField, HubPass, HubQuery, PassKind
from weighbridge.domain.tally import Tally
from weighbridge.errors import (
    CatalogUnavailable,
    SourceMisbehaved,
    SourceUnavailable,
    StateConflict,
    WeighbridgeError,
)

LATER_MS = LAST_MS + 90 * 24 * 3600 * 1000


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Side]:
    with HubList(GeneratedModels(1000)) as hub:
        yield Side(tmp_path, hub)


def test_a_full_refresh_takes_each_model_once_with_a_request_a_page(side: Side) -> None:
    done = side.refresh()
    side.assert_whole()
    assert (done.pages, done.models, done.added, done.vanished) == (10, 1000, 1000, 0)
    assert done.ended_at is not None
    assert side.hub.pages == 10


def test_a_second_one_finds_what_is_new_changed_renamed_and_gone(side: Side) -> None:
    side.refresh()
    models = side.hub.models
    gated, renamed, gone = 400, 500, 600
    before, old_name, lost = models.document(gated)["gated"], models.id(renamed), models.id(gone)
    after = "manual" if before is False else False
    models.change(gated, gated=after)
    models.change(renamed, id="elsewhere/renamed")
    models.deleted.add(gone)
    models.add(7)
    heard: list[HubChange] = []

    done = side.refresh(on_changes=heard.extend)

    side.assert_whole()
    assert (done.added, done.vanished) == (7, 1)
    changed = {(one.id, one.field) for one in heard}
    assert (models.id(gated), HubField.GATED) in changed
    assert ("elsewhere/renamed", HubField.OWNER) in changed
    with side.catalog() as catalog:
        entry = catalog.find(lost)
        assert entry
        assert entry.vanished_at is not None
        assert catalog.find(old_name) is None or catalog.find(old_name).model.id == "elsewhere/renamed"  # type: ignore[union-attr]


def test_models_that_come_go_and_move_while_one_pages(side: Side) -> None:
    models = side.hub.models
    first = set(range(models.count))

    def move(page: int) -> None:
        models.add(3)
        models.change(page * 20, gated="auto", at_ms=LATER_MS + page, downloads=10**9 + page)
        models.change(990 - page, id=f"moved/while-paging-{page}")
        models.deleted.add(995 - 7 * page)  # before it is reached, or after
        first.discard(995 - 7 * page)

    side.hub.on_page = move
    side.refresh()
    side.hub.on_page = None
    names = side.names()
    assert len(names) == len(set(names))
    for index in sorted(first):
        assert {models.id(index), models._id(index)} & set(names), index
    side.refresh()
    side.assert_whole()


@pytest.mark.parametrize(
    "rules",
    [
        {"largest": 37},
        {"slow_from": 300, "slow_limit": 60},
        {"doubled": 10},
        {"known_cursors": False},
        {"link_base": "http://hub.invalid"},
    ],
    ids=str,
)
def test_how_a_hub_lists_makes_no_difference(side: Side, rules: dict[str, Any]) -> None:
    for name, value in rules.items():
        setattr(side.hub.rules, name, value)
    side.refresh()
    side.assert_whole()


@pytest.mark.parametrize("fault", [Fault(status=504), Fault(status=429), Fault(cut_after=900), Fault(content=b"[{")])
def test_failures_at_any_page_lose_nothing(side: Side, fault: Fault) -> None:
    side.hub.at = dict.fromkeys((1, 3, 4, 7, 12, 13), fault)
    side.refresh()
    side.assert_whole()


def test_what_names_no_model_is_left_out_and_everything_else_is_kept(side: Side) -> None:
    hostile = [
        *("null", "5", '"text"', "[]", "{}", '{"id":null}', '{"id":"../../etc/passwd"}', '{"id":"<script>x</script>"}'),
        *('{"id":"a\\u0000b"}', '{"id":"org/\\u202ename"}', json.dumps({"id": "x" * 10_000}), '{"id":"a/b/c"}'),
        *('{"id":"a/b","likes":' + "9" * 5000 + "}", '{"id":"c/d","trendingScore":NaN,"tags":{"a":1}}'),
    ]
    for number, row in enumerate(hostile):
        side.hub.models.raw[40 * number + 3] = row.encode()
    side.refresh()
    assert set(side.names()) == side.hub.models.ids() | {"a/b", "c/d"}


def test_a_hub_that_fails_for_good_keeps_what_was_listed_and_the_next_refresh_goes_on(side: Side) -> None:
    side.hub.at = dict.fromkeys(range(6, 16), Fault(status=503))
    with pytest.raises(SourceUnavailable):
        side.refresh()
    assert len(side.names()) == 500
    side.hub.at = {}
    asked = side.hub.pages
    done = side.refresh()
    side.assert_whole()
    assert (done.models, done.added) == (1000, 1000)
    assert side.hub.pages - asked <= 10  # what failed was asked for in small pages; it goes on with whole ones


def test_a_refused_cursor_is_replaced_by_the_moment_of_the_last_model(side: Side) -> None:
    def refuse(page: int) -> None:
        side.hub.rules.refused_cursors = int(page in (4, 9))

    side.hub.on_page = refuse
    done = side.refresh()
    side.assert_whole()
    assert done.models <= 1000 + 2 * 2


def test_a_hub_that_knows_only_its_own_cursors_and_forgets_them_is_gone_through_again(side: Side) -> None:
    side.hub.rules.known_cursors = False

    def forget(page: int) -> None:
        if page == 5:
            side.hub._given.clear()

    side.hub.on_page = forget
    side.refresh()
    side.assert_whole()
    assert side.hub.pages <= 4 + 2 + 10


def test_a_hub_that_refuses_every_cursor_ends_with_an_error(side: Side) -> None:
    side.hub.rules.refused_cursors = 1000
    with pytest.raises(SourceMisbehaved):
        side.refresh()
    assert side.hub.pages < 10


@pytest.mark.parametrize("kind", [PassKind.FULL, PassKind.RECENT])
def test_a_list_without_end_ends_with_an_error(side: Side, kind: PassKind) -> None:
    side.refresh()
    for index in range(300):
        side.hub.models.change(index, at_ms=LATER_MS + index)
    side.hub.rules.standing = True
    with pytest.raises(SourceMisbehaved):
        side.refresh(kind)
    assert side.hub.pages < 20


def test_a_list_that_ends_too_early_marks_nothing(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_passes, "_MANY", 100)
    side.refresh()
    side.hub.at[side.hub.pages + 3] = Fault(content=b"[]", headers={"Link": ""})
    with pytest.raises(WeighbridgeError):
        side.refresh()
    side.assert_whole()
    side.refresh()  # The list goes on behind its last model.
    side.assert_whole()
    assert side.hub.pages <= 10 + 3 + 9


class TestRecent:
    def test_it_takes_a_few_pages_and_finds_what_changed(self, side: Side) -> None:
        side.refresh()
        asked = side.hub.pages
        for index in (3, 501, 77):
            side.hub.models.change(index, at_ms=LATER_MS + index, sha="a" * 40)
        done = side.refresh(PassKind.RECENT)
        assert done.ended_at is not None
        assert side.hub.pages - asked == 1
        with side.catalog() as catalog:
            assert [catalog.find(side.hub.models.id(index)).model.sha for index in (3, 501, 77)] == ["a" * 40] * 3  # type: ignore[union-attr]

    def test_it_goes_on_until_it_meets_what_the_last_one_saw(self, side: Side) -> None:
        side.refresh()
        asked = side.hub.pages
        for index in range(250):
            side.hub.models.change(index, at_ms=LATER_MS + index)
        assert side.refresh(PassKind.RECENT).models == 300
        assert side.hub.pages - asked == 3

    def test_it_needs_a_full_one(self, side: Side) -> None:
        with pytest.raises(StateConflict, match="Refresh it in full first"):
            side.refresh(PassKind.RECENT)
        side.refresh(PassKind.PARTIAL, ("text-generation",), 10)
        with pytest.raises(StateConflict):
            side.refresh(PassKind.RECENT)
        assert side.hub.pages == 1


class TestPartial:
    def test_it_takes_the_most_downloaded_of_a_selection(self, side: Side) -> None:
        done = side.refresh(PassKind.PARTIAL, ("text-generation",), 150)
        assert (done.models, side.hub.pages) == (150, 2)
        with side.catalog() as catalog:
            found = catalog.search(HubQuery(limit=1000)).entries
        assert len(found) == 150
        assert all("text-generation" in entry.model.tags for entry in found)
        assert min(entry.model.downloads or 0 for entry in found) > 0

    def test_all_of_a_selection(self, side: Side) -> None:
        side.refresh(PassKind.PARTIAL, ("text-generation", "safetensors"))
        documents = (side.hub.models.document(index) for index in range(1000))
        assert set(side.names()) == {one["id"] for one in documents if "text-generation" in one["tags"]}

    def test_nothing_is_marked_that_it_does_not_list(self, side: Side) -> None:
        side.refresh()
        side.refresh(PassKind.PARTIAL, ("text-generation",), 50)
        side.assert_whole()

    def test_another_selection_is_another_pass(self, side: Side) -> None:
        """bandersnatch#97, #1297: what was added to the selection after the first run was never taken."""
        first = side.refresh(PassKind.PARTIAL, ("text-generation",), 20)
        second = side.refresh(PassKind.PARTIAL, ("license:mit",), 20)
        assert first.number != second.number
        with side.catalog() as catalog:
            assert len(catalog.search(HubQuery(filters=("license:mit",), limit=100)).entries) >= 20


def test_an_interrupt_stops_at_once_and_can_be_gone_on_from_at_once(side: Side) -> None:
    """bandersnatch#362: what Ctrl-C left behind was not resumed from."""
    pages = 0

    def interrupt(page: int) -> None:
        nonlocal pages
        pages = page

    class Impatient(Tally):
        def advance(self, step: str, amount: int) -> None:
            super().advance(step, amount)
            if self.readings()[0].done >= 400:
                raise KeyboardInterrupt

    side.hub.on_page = interrupt
    with pytest.raises(KeyboardInterrupt):
        side.refresh(progress=Impatient())
    assert pages <= 6
    assert side.refresh().models == 1000
    side.assert_whole()


def test_two_at_once_are_one(side: Side) -> None:
    """The second is told of the first; the first loses nothing by it."""
    refused: list[CatalogUnavailable] = []
    second = Side(side.folder, side.hub)

    def begin_another(page: int) -> None:
        if page == 4:
            with pytest.raises(CatalogUnavailable) as error:
                second.refresh()
            refused.append(error.value)

    side.hub.on_page = begin_another
    done = side.refresh()
    side.assert_whole()
    assert refused
    assert refused[0].retryable
    assert (done.models, side.hub.pages) == (1000, 10)


def test_a_full_and_a_recent_one_may_run_together(side: Side) -> None:
    side.refresh()
    side.hub.models.change(5, at_ms=LATER_MS, gated="manual")
    ended: list[HubPass] = []
    full = Thread(target=lambda: ended.append(side.refresh()))
    full.start()
    ended.append(side.refresh(PassKind.RECENT))
    full.join()
    assert {one.kind for one in ended} == {PassKind.FULL, PassKind.RECENT}
    side.assert_whole()


def test_readers_see_whole_rows_while_it_runs(side: Side) -> None:
    side.refresh()
    for index in range(1000):
        side.hub.models.change(index, gated="manual", tags=["license:new"])
    halves: list[tuple[str, str]] = []

    def look(page: int) -> None:
        with side.catalog() as catalog:
            entries = catalog.search(HubQuery(limit=1000)).entries
        assert len(entries) == 1000
        halves.extend((one.model.gated, one.model.licence) for one in entries)

    side.hub.on_page = look
    side.refresh()
    assert {gated == "manual" for gated, licence in halves if licence == "new"} == {True}
    assert {licence for gated, licence in halves if licence == "new"} == {"new"}


def test_progress_counts_models_up_to_what_is_known(side: Side) -> None:
    first, second = Tally(), Tally()
    side.refresh(progress=first)
    side.refresh(progress=second)
    for tally in (first, second):
        (reading,) = tally.readings()
        assert (reading.step, reading.unit, reading.done, reading.finished) == ("refresh", "models", 1000, True)
    assert second.readings()[0].at.startswith("to 20")  # models created until then


def test_changes_are_announced_once_they_are_stored(side: Side) -> None:
    side.refresh()
    for index in range(0, 1000, 100):
        side.hub.models.change(index, disabled=True)
    seen: list[bool] = []

    def heard(changes: Sequence[HubChange]) -> None:
        with side.catalog() as catalog:
            seen.extend(catalog.find(one.id).model.disabled for one in changes if one.field is HubField.DISABLED)  # type: ignore[union-attr]

    side.refresh(on_changes=heard)
    assert seen == [True] * 10


def test_the_token_of_the_usual_place_is_used(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    side.hub.tokens["hf_x"] = frozenset()
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    side.refresh()
    assert {one.token for one in side.hub.requests} == {"hf_x"}


def test_many_pages_of_the_size_that_the_hub_gives(tmp_path: Path) -> None:
    """A request too many, or a row lost at a page's end, shows; bench.hub does the same with 2.5 million."""
    with HubList(GeneratedModels(25_000)) as hub:
        side = Side(tmp_path, hub, page_size=1000)
        hub.rules.quota = 1000
        done = side.refresh()
        assert (done.models, done.pages, hub.pages, hub.limited) == (25_000, 25, 25, 0)
        side.assert_whole()
