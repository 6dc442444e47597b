"""The commit that a branch is at upstream: asked now and then, once for all, and known while the Hub is away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.intake.test_mirror_ingests import FILES, Door
from tests.simulators.hub import Hub
from tests.simulators.web import WebServer
from weighbridge.catalog import Catalog
from weighbridge.errors import NotInCatalog, NotPermitted, SourceUnavailable, UnknownRevision
from weighbridge.intake import upstream_branches
from weighbridge.intake.branch_questions import BranchQuestions
from weighbridge.intake.resources import Resources
from weighbridge.intake.upstream_branches import Branch, branch_key, branch_lately, branch_now

ASKED = "/api/models/org/name/revision/main"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Hub() as hub:
        hub.add("org/name", FILES)
        yield Door(tmp_path, hub)


@pytest.fixture
def resources(door: Door) -> Iterator[Resources]:
    with door.open() as found:
        yield found
        found.branch_questions.close()


def now(resources: Resources, revision: str = "", name: str = "org/name") -> Branch:
    return branch_now("models", name, revision, resources)


def head(door: Door) -> str:
    return door.hub.repositories["models", "org/name"].branches["main"]


def later(door: Door, resources: Resources, seconds: float) -> None:
    """Let time pass, also for what this process remembers of Hubs that are away."""
    door.now += timedelta(seconds=seconds)
    resources.branch_questions = BranchQuestions(resources.catalog.branches)


def test_a_branch_is_asked_for_again_when_its_answer_is_old(door: Door, resources: Resources) -> None:
    first = head(door)
    assert now(resources) == Branch(first)
    second = door.hub.repositories["models", "org/name"].commit({**FILES, "more.json": b"{}"})
    later(door, resources, 300)
    assert now(resources, "refs/heads/main") == Branch(first, 300)
    assert len(door.hub.asked()) == 1
    later(door, resources, 1)
    assert now(resources) == Branch(second)
    sent = door.hub.asked()[1].headers
    assert sent["if-none-match"].startswith('W/"')
    assert sent["via"].startswith("1.1 weighbridge-")


def test_an_unchanged_answer_counts_as_a_new_one(door: Door, resources: Resources) -> None:
    """Verdaccio asks again at every request once its first answer is old, as 304 renews nothing (#119, #6115)."""
    now(resources)
    for _ in range(3):
        later(door, resources, 301)
        assert now(resources) == now(resources) == Branch(head(door))
    assert len(door.hub.asked(path=ASKED)) == 4


def test_no_hub_is_asked_for_a_commit(door: Door, resources: Resources) -> None:
    assert now(resources, "a" * 40) == Branch("a" * 40)
    assert door.hub.requests == []


def test_every_request_asks_where_no_age_is_allowed(door: Door) -> None:
    with door.open("mode: gated, max_age: 0") as resources:
        for _ in range(2):
            door.now += timedelta(seconds=1)
            assert now(resources) == Branch(head(door))
        assert len(door.hub.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_hub_is_not_needed(
    door: Door, resources: Resources, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Harbor fails a pull of what it has when its upstream answers with 429 (goharbor/harbor#19257, #19899)."""
    now(resources)
    door.hub.fault(ASKED, status=status)
    later(door, resources, 400)
    with caplog.at_level(logging.WARNING):
        found = now(resources)
    assert (found.commit, found.age_s, found.is_fresh) == (head(door), 400, False)
    assert str(status) in found.problem
    assert "main of org/name is served as it was" in caplog.text
    assert now(resources) == found
    assert len(door.hub.asked(path=ASKED)) == 2, "for a while it is not asked again"
    door.hub.faults.clear()
    later(door, resources, 31)
    assert now(resources).is_fresh


def test_a_hub_says_itself_when_to_ask_again(door: Door, resources: Resources) -> None:
    now(resources)
    door.hub.fault(ASKED, status=429, headers={"Retry-After": "120"})
    later(door, resources, 400)
    now(resources)
    door.hub.add("org/other", FILES)
    with pytest.raises(SourceUnavailable, match="could not be reached") as caught:
        now(resources, name="org/other")
    assert 115 < caught.value.facts["retry_after_s"] <= 120
    assert len(door.hub.requests) == 2, "its limit is one of all repositories"
    for passed, asked in ((119, 2), (2, 3)):
        later(door, resources, passed)
        now(resources)
        assert len(door.hub.asked(path=ASKED)) == asked


def test_a_hub_that_is_down(tmp_path: Path) -> None:
    with Hub() as hub:
        hub.add("org/name", FILES)
        door = Door(tmp_path, hub)
        with door.open() as resources:
            found = now(resources)
    with door.open() as resources:
        later(door, resources, 4000)
        stale = now(resources)
        assert (stale.commit, stale.age_s, stale.is_fresh) == (found.commit, 4000, False)
        assert "failed" in stale.problem
        with pytest.raises(SourceUnavailable, match="could not be reached"):
            now(resources, name="org/other")


def test_a_slow_hub_is_waited_for_briefly_and_its_answer_kept(
    door: Door, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_branches, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(upstream_branches, "_FIRST_PATIENCE_S", 0.05)
    let_go = _slowed(resources, monkeypatch)
    with pytest.raises(SourceUnavailable, match="is being asked") as caught:
        now(resources)
    assert caught.value.facts["retry_after_s"] == 2
    let_go()
    _until(lambda: branch_lately("models", "org/name", "", resources) == Branch(head(door)))
    assert len(door.hub.requests) == 1


def _slowed(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let no answer be stored before the function that is returned is called."""
    gate, store = threading.Event(), resources.catalog.branches.answered

    def answered(*values: object) -> None:
        gate.wait(30)
        store(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(resources.catalog.branches, "answered", answered)
    return gate.set


def _until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_one_question_for_all_who_ask(door: Door) -> None:
    with door.open() as one, door.open() as other, ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(now, resources) for _ in range(6) for resources in (one, other)]
        assert {future.result() for future in asked} == {Branch(head(door))}
        assert len(door.hub.requests) == 1


def test_a_turn_ends_with_its_time(door: Door, resources: Resources) -> None:
    key, branches = branch_key("models", "org/name", "", resources), resources.catalog.branches
    assert branches.begin(key, timedelta(seconds=20))
    assert not branches.begin(key, timedelta(seconds=20))
    door.now += timedelta(seconds=20)
    assert branches.begin(key, timedelta(seconds=20)), "the process that had it has died"


def test_what_a_hub_does_not_have(door: Door, resources: Resources) -> None:
    """Verdaccio keeps a 404 of its upstream until it is started anew (#645): here it counts for a minute."""
    for _ in range(2):
        with pytest.raises(NotInCatalog, match="org/none is not here"):
            now(resources, name="org/none")
        with pytest.raises(UnknownRevision, match="no revision v9"):
            now(resources, "v9")
    assert len(door.hub.requests) == 2
    door.hub.add("org/none", FILES)
    later(door, resources, 61)
    assert now(resources, name="org/none").commit


def test_what_a_hub_has_no_more_stays_what_it_was(door: Door, resources: Resources) -> None:
    found = now(resources)
    del door.hub.repositories["models", "org/name"]
    later(door, resources, 400)
    stale = now(resources)
    assert (stale.commit, stale.is_fresh) == (found.commit, False)
    assert "org/name is not here" in stale.problem


@pytest.mark.parametrize(
    "fault",
    [
        {"content": b"<html>Sign in</html>", "headers": {"Content-Type": "text/html"}},
        {"content": b'{"sha": "main"}'},
        {"content": b'{"sha": null}'},
        {"content": b"[" * 10_000},
        {"status": 302, "headers": {"Location": ASKED}},
        {"status": 302, "headers": {"Location": "http://169.254.169.254/latest"}},
        {"status": 418},
    ],
)
def test_a_hub_that_makes_no_sense(door: Door, resources: Resources, fault: dict[str, object]) -> None:
    door.hub.fault(ASKED, **fault)
    with pytest.raises(NotInCatalog, match="its Hub makes no sense"):
        now(resources)
    door.hub.faults.clear()
    later(door, resources, 61)
    found = now(resources)
    door.hub.fault(ASKED, **fault)
    later(door, resources, 301)
    assert now(resources).commit == found.commit


def test_a_hub_that_refuses_the_mirror(door: Door, resources: Resources) -> None:
    door.hub.fault(ASKED, status=403)
    with pytest.raises(NotPermitted, match="refuses access"):
        now(resources)


def test_names_that_no_hub_ever_had_are_forgotten(door: Door, resources: Resources) -> None:
    for number in range(3):
        with pytest.raises(NotInCatalog):
            now(resources, name=f"org/none-{number}")
    later(door, resources, 2 * 3600)
    now(resources)
    key = branch_key("models", "org/none-0", "", resources)
    assert resources.catalog.branches.of(key) is None


def test_the_catalog_keeps_its_own_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    door = Door(tmp_path, None)  # type: ignore[arg-type]
    names = set()
    for _ in range(2):
        with Catalog.open(url, door.clock) as catalog:
            names.add(catalog.branches.identity())
    assert len(names) == 1


def test_a_hub_whose_certificate_nobody_knows(tmp_path: Path) -> None:
    with WebServer(tmp_path) as server:
        door = Door(tmp_path, SimpleNamespace(url=server.url("", "localhost")))  # type: ignore[arg-type]
        with door.open() as resources, pytest.raises(NotInCatalog, match="certificate of localhost is not trusted"):
            now(resources)
