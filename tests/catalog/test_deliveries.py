"""Subscriptions and messages in the catalog, on SQLite and on PostgreSQL: nothing lost, nothing to others."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from tests.catalog.conftest import Clock
from tests.catalog.test_catalog import settle
from tests.catalog.test_results import result
from weighbridge.catalog import Attempt, Catalog, Delivery, JobEnd, JobOrder, Subscription, messages, subscriptions
from weighbridge.catalog.jobs import MOST_BEGINNINGS
from weighbridge.catalog.subscriptions import MOST
from weighbridge.domain.webhooks import EVENTS, Destination
from weighbridge.errors import CatalogError, NotInCatalog, StateConflict

#: The receiver of the owner of the first key.
HOOK = Destination("https://hooks.example/path?token=1", "mark/name", 1)
WANTED = Subscription(HOOK, EVENTS, (), "key:ci")
ORDER = JobOrder("ingest", "org/name", {"uri": "mock:org/name"}, "key:ci", callback=HOOK)
OK, BROKEN = Attempt("2026", 200, "", 7), Attempt("2026", 500, "HTTP 500.", 7)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def catalog(url: str, clock: Clock, open_catalog: Callable[..., Catalog]) -> Catalog:
    found = open_catalog(url)
    found._changes.clock = clock
    found.keys.add("ci", "hash", "publisher", (), None)
    return found


def sent(catalog: Catalog) -> list[dict[str, Any]]:
    return [dict(one.message) for one in reversed(catalog.deliveries.listed())]


def take(catalog: Catalog, owner: str = "process", lease_s: float = 30) -> Delivery:
    found = catalog.deliveries.take(owner, lease_s)
    assert found is not None
    return found


def test_each_event_is_a_message_with_what_happened(catalog: Catalog) -> None:
    added = catalog.subscriptions.add(WANTED)
    settle(catalog)
    settle(catalog)  # The same verdict again is no event.
    settle(catalog, verdict="FAILED")
    settle(catalog, verdict="PASSED")
    catalog.withdraw("org/name", "1.0.0", "recalled")
    catalog.reinstate("org/name", "1.0.0")
    catalog.acknowledgements.add("org/name", "1.0.0", "MIT", {}, "Ada")
    found = sent(catalog)
    assert [(one["type"], one["data"].get("previous_status"), one["data"].get("status")) for one in found] == [
        ("version.passed", None, "PASSED"),
        ("version.quarantined", "PASSED", "FAILED"),
        ("version.passed", "FAILED", "PASSED"),
        ("version.withdrawn", "PASSED", "FAILED"),
        ("version.passed", "FAILED", "PASSED"),
        ("licence.acknowledged", None, None),
    ]
    assert {(one["data"]["model"], one["data"]["version"]) for one in found} == {("org/name", "1.0.0")}
    assert found[0]["data"]["reasons"] == [vars(one) for one in catalog.versions("org/name")[0].decision.reasons]
    assert found[3]["data"]["reason"] == "recalled"
    assert found[5]["data"]["acknowledgement"] == {"licence": "MIT", "texts": {}, "person": "Ada"}
    assert {one.subscription_id for one in catalog.deliveries.listed(subscription_id=added.id)} == {added.id}
    assert catalog.audit.rows()[-1].at.isoformat() == found[5]["timestamp"]


def test_a_regression_is_a_message(catalog: Catalog) -> None:
    catalog.subscriptions.add(WANTED)
    first, second = settle(catalog), settle(catalog, "other", "1.1.0")
    catalog.add_result(result(first, 1.0))
    catalog.add_result(result(second, 1.5))
    (row,) = catalog.audit.rows(action="version.regressed")
    data = sent(catalog)[-1]["data"]
    assert (data["model"], data["version"]) == ("org/name", "1.1.0")
    assert {**data["regression"], "subject": "org/name@1.1.0"} == row.after


def test_what_failed_has_no_message(catalog: Catalog) -> None:
    catalog.subscriptions.add(WANTED)
    with pytest.raises(CatalogError):
        catalog.withdraw("org/name", "1.0.0", "")
    settle(catalog, verdict="FAILED")
    with pytest.raises(StateConflict):
        settle(catalog, "other files under the same number")
    assert [one["type"] for one in sent(catalog)] == ["version.quarantined"]
    catalog.subscriptions.remove(catalog.subscriptions.listed()[0].id)
    assert sent(catalog) == []


def test_subscriptions_choose_events_and_models(catalog: Catalog) -> None:
    catalog.subscriptions.add(replace(WANTED, events=("version.quarantined",)))
    catalog.subscriptions.add(replace(WANTED, models=("team-a/*", "other")))
    settle(catalog, "a", name="team-b/x")
    settle(catalog, "b", name="team-a/x")
    settle(catalog, "c", name="other", verdict="FAILED")
    assert [(one["type"], one["data"]["model"]) for one in sent(catalog)] == [
        ("version.passed", "team-a/x"),
        *[("version.quarantined", "other")] * 2,
    ]


def test_an_owner_hears_only_of_what_the_key_is_for_now(catalog: Catalog, clock: Clock) -> None:
    catalog.keys.add("team", "h2", "publisher", ("team-a/*",), None)
    catalog.keys.add("short", "h3", "publisher", (), clock.now + timedelta(minutes=30))
    catalog.keys.add("reader", "h4", "reader", (), None)
    for name, key_id in (("team", 2), ("short", 3), ("reader", 4), ("nobody", 99)):
        catalog.subscriptions.add(replace(WANTED, owner=f"key:{name}", destination=replace(HOOK, key_id=key_id)))
    ada = replace(HOOK, key_id=None)
    catalog.subscriptions.add(replace(WANTED, destination=ada, owner="issuer:ada", owner_models=("team-b/*",)))

    def heard(content: str, name: str) -> list[str]:
        before = {one.id for one in catalog.deliveries.listed()}
        settle(catalog, content, name=name)
        new = [one for one in catalog.deliveries.listed() if one.id not in before]
        return sorted(catalog.subscriptions.get(one.subscription_id or "").owner for one in new)

    assert heard("a", "team-a/x") == ["key:short", "key:team"]
    assert heard("b", "team-b/x") == ["issuer:ada", "key:short"]
    catalog.keys.revoke("team")
    clock.now += timedelta(hours=1)
    assert heard("c", "team-a/y") == []
    catalog.keys.add("team", "h5", "publisher", (), None)  # Another person's key, perhaps.
    assert heard("d", "team-c/y") == []


def test_subscriptions_are_listed_by_owner_in_parts_and_removed_with_their_messages(catalog: Catalog) -> None:
    mine = sorted(catalog.subscriptions.add(WANTED).id for _ in range(3))
    other = catalog.subscriptions.add(replace(WANTED, owner="key:other", destination=replace(HOOK, key_id=2))).id
    assert [one.id for one in catalog.subscriptions.listed("key:ci", 1)] == mine
    assert [one.id for one in catalog.subscriptions.listed("key:ci", 1, after=mine[0], limit=1)] == mine[1:2]
    assert catalog.subscriptions.listed("key:ci", 2) == catalog.subscriptions.listed("key:ci") == []
    assert len(catalog.subscriptions.listed()) == 4
    settle(catalog)
    catalog.subscriptions.remove(mine[0])
    assert len(catalog.deliveries.listed()) == 2
    for unknown in (mine[0], "nothing", "\0"):
        for ask in (catalog.subscriptions.get, catalog.subscriptions.remove):
            with pytest.raises(NotInCatalog):
                ask(unknown)
    assert catalog.subscriptions.get(other).owner == "key:other"
    for row in catalog.audit.rows():
        assert "token=1" not in str(row)
        assert "/path" not in str(row)


def test_an_owner_has_so_many_subscriptions_and_no_more(catalog: Catalog) -> None:
    for _ in range(MOST):
        catalog.subscriptions.add(WANTED)
    with pytest.raises(StateConflict, match=f"{MOST} subscriptions"):
        catalog.subscriptions.add(WANTED)
    catalog.subscriptions.add(replace(WANTED, owner="key:other"))
    catalog.subscriptions.add(replace(WANTED, destination=replace(HOOK, key_id=2)))  # A later key of the same name.


def test_all_owners_together_have_so_many(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MOST_IN_ALL", 2)
    for owner in ("issuer:a", "issuer:b"):
        catalog.subscriptions.add(replace(WANTED, owner=owner))
    with pytest.raises(StateConflict, match="2 subscriptions, and no more"):
        catalog.subscriptions.add(replace(WANTED, owner="issuer:c"))
    catalog.keys.revoke("ci")  # Their receivers are disabled: no change looks at them.
    catalog.subscriptions.add(replace(WANTED, owner="issuer:c"))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_an_event_is_as_many_statements_for_many_subscriptions_as_for_one(catalog: Catalog) -> None:
    statements: list[str] = []
    event.listen(catalog._database._engine, "before_cursor_execute", lambda *asked: statements.append(asked[2]))

    def asked(name: str) -> int:
        statements.clear()
        settle(catalog, name, name=name)
        return len(statements)

    catalog.subscriptions.add(WANTED)
    one = asked("a")
    for _ in range(60):
        catalog.subscriptions.add(replace(WANTED, models=tuple(f"*a*b*{n}*" for n in range(20))))
        catalog.subscriptions.add(replace(WANTED, owner="issuer:ada", destination=replace(HOOK, key_id=None)))
    assert asked("b") == one
    assert len(catalog.deliveries.listed()) == 1 + 61


def test_every_end_of_a_job_is_a_message_to_its_callback(catalog: Catalog) -> None:
    queue = catalog.jobs
    done, cancelled, broken = (queue.add(replace(ORDER, key=f"k{n}")).id for n in range(3))
    assert queue.add(replace(ORDER, key="k0")).id == done
    queue.add(replace(ORDER, key="none", callback=None))
    assert queue.get(done).order == replace(ORDER, key="k0")
    assert queue.take("p", 30)
    queue.end(done, "p", JobEnd("done", "PASSED", "1.0.0", warnings=("Mind.",)), {})
    queue.end(done, "p", JobEnd("done", "PASSED", "1.0.0"), {})  # It has ended: no second message.
    queue.cancel(cancelled)
    queue.cancel(cancelled)
    for n in range(MOST_BEGINNINGS):
        assert queue.take(f"p{n}", -1)
    assert queue.take("last", 30)
    assert [(one["type"], one["data"]["job"]) for one in sent(catalog)] == [
        ("job.done", done),
        ("job.cancelled", cancelled),
        ("job.failed", broken),
    ]
    first, _, last = (one["data"] for one in sent(catalog))
    assert (first["status"], first["version"], first["warnings"], first["error"]) == (
        "PASSED",
        "1.0.0",
        ["Mind."],
        None,
    )
    assert last["error"]["problem"] == "The server could not do this."  # An admin's key sees the reason.
    assert [one.job_id for one in catalog.deliveries.listed(job_id=done)] == [done]


def test_a_job_is_not_forgotten_before_its_message_has_ended(catalog: Catalog, clock: Clock) -> None:
    job = catalog.jobs.add(ORDER).id
    catalog.jobs.cancel(job)
    clock.now += timedelta(days=2)
    assert catalog.jobs.forget(timedelta(days=1)) == 0
    catalog.deliveries.note(take(catalog), "process", OK, None)
    assert catalog.jobs.forget(timedelta(days=1)) == 1
    assert catalog.deliveries.listed() == []


def test_a_message_from_its_making_to_its_end(catalog: Catalog, clock: Clock) -> None:
    catalog.subscriptions.add(WANTED)
    assert catalog.deliveries.take("p", 30) is None
    settle(catalog)
    first = take(catalog)
    assert (first.state, first.attempts, first.destination, first.tried) == ("waiting", 1, HOOK, ())
    assert catalog.deliveries.take("other", 30) is None
    catalog.deliveries.note(first, "process", BROKEN, 60)
    assert catalog.deliveries.take("other", 30) is None
    clock.now += timedelta(seconds=61)
    second = take(catalog)
    assert (second.id, second.attempts, second.tried) == (first.id, 2, (BROKEN,))
    catalog.deliveries.note(second, "process", OK, None)
    ended = catalog.deliveries.get(first.id)
    assert (ended.state, ended.tried, ended.ended_at is not None) == ("delivered", (BROKEN, OK), True)
    clock.now += timedelta(days=1)
    assert catalog.deliveries.take("p", 30) is None


def test_a_message_is_given_up_and_repeated_by_a_person(catalog: Catalog) -> None:
    catalog.subscriptions.add(WANTED)
    settle(catalog)
    found = take(catalog)
    catalog.deliveries.note(found, "process", BROKEN, None)
    assert catalog.deliveries.get(found.id).state == "failed"
    repeated = catalog.acting("key:ci").deliveries.repeat(found.id)
    assert (repeated.state, repeated.attempts, repeated.ended_at, repeated.tried) == ("waiting", 0, None, (BROKEN,))
    assert take(catalog).id == found.id
    (row,) = catalog.audit.rows(action="delivery.repeated")
    assert (row.actor, row.object, row.before and row.before["state"]) == ("key:ci", f"delivery:{found.id}", "failed")
    for unknown in ("nothing", "\0"):
        with pytest.raises(NotInCatalog):
            catalog.deliveries.repeat(unknown)


def test_a_message_that_is_repeated_while_it_is_attempted_goes_again_only_if_that_fails(catalog: Catalog) -> None:
    catalog.subscriptions.add(WANTED)
    settle(catalog)
    for wait_s in (None, 3600):
        last = take(catalog)
        catalog.deliveries.repeat(last.id)
        catalog.deliveries.note(last, "process", BROKEN, wait_s)
        found = catalog.deliveries.get(last.id)
        assert (found.state, found.attempts, found.tried[-1], found.ended_at) == ("waiting", 0, BROKEN, None)
    last = take(catalog)
    catalog.deliveries.repeat(last.id)
    catalog.deliveries.note(last, "process", OK, None)
    assert catalog.deliveries.get(last.id).state == "delivered"


def test_a_process_that_is_gone_loses_its_message(catalog: Catalog, clock: Clock) -> None:
    catalog.subscriptions.add(WANTED)
    settle(catalog)
    gone = take(catalog, "gone")
    clock.now += timedelta(seconds=31)
    again = take(catalog, "next")
    assert (again.id, again.attempts) == (gone.id, 2)
    catalog.deliveries.note(gone, "gone", OK, None)
    assert catalog.deliveries.get(gone.id).state == "waiting"


def test_one_message_at_a_time_goes_to_a_receiver_and_others_do_not_wait_for_it(catalog: Catalog) -> None:
    for path in ("/a", "/b"):
        catalog.subscriptions.add(replace(WANTED, destination=Destination(f"https://slow.example{path}", "s")))
    catalog.subscriptions.add(replace(WANTED, destination=Destination("https://quick.example/", "s")))
    settle(catalog)
    taken = [take(catalog, f"p{n}") for n in range(2)]
    assert {one.destination.origin for one in taken} == {"https://slow.example", "https://quick.example"}
    assert catalog.deliveries.take("p3", 30) is None
    slow = next(one for one in taken if "slow" in one.destination.url)
    catalog.deliveries.note(slow, f"p{taken.index(slow)}", OK, None)
    assert take(catalog, "p4").destination.origin == "https://slow.example"


def test_processes_that_look_at_once_take_one_message_for_a_receiver(catalog: Catalog) -> None:
    for path in ("/a", "/b"):
        catalog.subscriptions.add(replace(WANTED, destination=Destination(f"https://slow.example{path}", "s")))
    settle(catalog)
    now = catalog._changes.clock()
    with ThreadPoolExecutor(1) as pool:
        with catalog._database.write() as connection:
            assert messages.take(connection, "first", now, now + timedelta(hours=1))
            second = pool.submit(catalog.deliveries.take, "second", 30)
            wait([second], timeout=0.3)  # It ends no sooner than the first one has its message.
        assert second.result() is None


def test_new_messages_go_before_those_that_failed(catalog: Catalog, clock: Clock) -> None:
    catalog.subscriptions.add(WANTED)
    settle(catalog)
    catalog.deliveries.note(take(catalog), "process", BROKEN, 0)
    clock.now += timedelta(seconds=5)
    settle(catalog, "other", "1.1.0")
    assert take(catalog).message["data"]["version"] == "1.1.0"


def test_old_messages_are_forgotten_and_those_that_nobody_sent_expire_first(catalog: Catalog, clock: Clock) -> None:
    catalog.subscriptions.add(WANTED)
    settle(catalog)
    catalog.deliveries.note(take(catalog), "process", OK, None)
    settle(catalog, "other", "1.1.0")
    clock.now += timedelta(days=40)
    assert catalog.deliveries.forget(50 * 86400) == 0
    assert catalog.deliveries.forget(30 * 86400) == 1
    (expired,) = catalog.deliveries.listed()
    assert (expired.state, "waited for too long" in expired.problem) == ("expired", True)
    clock.now += timedelta(days=29)
    assert catalog.deliveries.forget(30 * 86400) == 0
    clock.now += timedelta(days=2)
    assert catalog.deliveries.forget(30 * 86400) == 1


def test_messages_are_listed_in_parts(catalog: Catalog) -> None:
    added = catalog.subscriptions.add(WANTED)
    for n in range(5):
        settle(catalog, str(n), f"1.{n}.0")
    listed = catalog.deliveries.listed(subscription_id=added.id, limit=3)
    assert [one.message["data"]["version"] for one in listed] == ["1.4.0", "1.3.0", "1.2.0"]
    last = listed[-1]
    rest = catalog.deliveries.listed(subscription_id=added.id, before=(last.created_at, last.id))
    assert [one.message["data"]["version"] for one in rest] == ["1.1.0", "1.0.0"]
    assert catalog.deliveries.listed(job_id="nothing") == []


def test_of_several_threads_each_takes_other_messages(catalog: Catalog) -> None:
    for n in range(12):
        catalog.subscriptions.add(replace(WANTED, destination=Destination(f"https://h{n}.example/", "s")))
    settle(catalog)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda n: catalog.deliveries.take(f"thread {n}", 3600), range(14)))
    ids = sorted(one.id for one in taken if one is not None)
    assert ids == sorted(one.id for one in catalog.deliveries.listed())
