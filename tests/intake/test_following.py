"""`follow`: a branch that moved upstream is taken in beside the version that passed, which is served meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.intake.test_mirror_ingests import FILES, READER, Door, ask, jobs, work
from tests.services.clamd import eicar
from tests.simulators.hub import Hub
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import BeingWeighed, VersionRefused
from weighbridge.intake.asker import Asker
from weighbridge.intake.job_orders import OrderSlip, order_ingest
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import workspace_of

FOLLOW = "mode: gated, follow: true"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Hub() as hub:
        hub.add("org/name", FILES)
        yield Door(tmp_path, hub)


@pytest.fixture
def following(door: Door) -> Iterator[Resources]:
    """The mirror, with org/name taken in."""
    with door.open(FOLLOW) as resources:
        with pytest.raises(BeingWeighed):
            ask(resources)
        work(resources)
        yield resources
        resources.branch_questions.close()


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def looked(door: Door, resources: Resources, asked: int) -> None:
    """Ask for the model, and wait until the Hub has been asked so often, and what follows of it is done."""
    ask(resources)
    until(lambda: len(revalidations(door)) >= asked and not resources.branch_questions._asked)


def revalidations(door: Door) -> list[object]:
    return [request for request in door.hub.requests if "expand=sha" in request.path]


def test_a_branch_that_moved_is_taken_in_beside_what_passed(door: Door, following: Resources) -> None:
    repository = door.hub.repositories["models", "org/name"]
    first = repository.branches["main"]
    looked(door, following, 1)
    assert len(jobs(following)) == 1, "it has not moved"
    second = repository.commit({**FILES, "more.json": b"{}"})
    ask(following)
    assert len(revalidations(door)) == 1, "the first answer counts still"
    door.now += timedelta(seconds=301)
    looked(door, following, 2)
    newest = jobs(following)[0]
    assert (newest.order.asker, newest.order.request["uri"]) == ("mirror:follow", f"hf:org/name@{second}")
    assert ask(following).commit == first, "clients go on getting what passed"
    door.now += timedelta(seconds=301)
    looked(door, following, 3)
    assert len(jobs(following)) == 2
    work(following)
    found = ask(following)
    assert (found.commit, found.version.version) == (second, "1.0.1")
    assert found.branch is not None
    assert found.branch.commit == second


def test_what_did_not_pass_changes_nothing_and_is_not_tried_again(door: Door, following: Resources) -> None:
    repository = door.hub.repositories["models", "org/name"]
    first = repository.branches["main"]
    repository.commit({**FILES, "run.bin": eicar()})
    looked(door, following, 1)
    work(following)
    assert ask(following).commit == first
    for asked in (2, 3):
        door.now += timedelta(hours=7)
        looked(door, following, asked)
    assert len(jobs(following)) == 2


def test_a_version_that_was_refused_is_replaced_by_a_better_one(door: Door) -> None:
    repository = door.hub.add("org/bad", {**FILES, "run.bin": eicar()})
    with door.open(FOLLOW) as resources:
        with pytest.raises(BeingWeighed):
            ask(resources, "org/bad")
        work(resources)
        second = repository.commit({**FILES, "run.bin": b""})
        with pytest.raises(VersionRefused):
            ask(resources, "org/bad")
        until(lambda: len(jobs(resources)) == 2)
        work(resources)
        assert ask(resources, "org/bad").commit == second
        resources.branch_questions.close()


def test_the_hub_being_away_is_said_and_stops_nobody(door: Door, following: Resources) -> None:
    looked(door, following, 1)
    door.hub.fault("/api/models/org/name/revision/main", status=503)
    door.now += timedelta(seconds=400)
    looked(door, following, 2)
    branch = ask(following).branch
    assert branch is not None
    assert (branch.age_s, branch.is_fresh) == (400, False)
    assert "503" in branch.problem


def test_another_branch_is_followed_as_the_model_of_its_own_that_it_is(door: Door, following: Resources) -> None:
    repository = door.hub.repositories["models", "org/name"]
    repository.branches["dev"] = repository.branches["main"]
    with pytest.raises(BeingWeighed):
        ask(following, revision="dev")
    work(following)
    assert ask(following, revision="dev").branch is None
    until(lambda: ask(following, revision="dev").branch is not None)
    commit = repository.branches["main"]
    assert ask(following, revision=commit).branch is None, "a commit is what it is"


def test_nothing_is_asked_where_nothing_is_followed(door: Door, tmp_path: Path) -> None:
    """Nora asked its upstream for images that were pushed to it (getnora-io/nora#868)."""
    folder = tmp_path / "models" / "own"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with door.open(FOLLOW, file_roots=(tmp_path / "models",)) as resources:
        with workspace_of(resources, Asker(on_behalf=True, actor="key:ci")) as workspace:
            request = IngestRequest(ModelRef("file", str(folder)), "org/name")
            order_ingest(request, OrderSlip(READER), workspace)
        work(resources)
        assert ask(resources).branch is None
        assert door.hub.requests == []
    with door.open("mode: gated") as resources:
        assert ask(resources).branch is None
        assert door.hub.requests == []
