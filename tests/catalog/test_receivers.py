"""Receivers that end: with their key, by their own word, or after days of failures; and how many messages there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.catalog.conftest import Clock
from tests.catalog.earlier import take_back
from tests.catalog.test_catalog import settle
from tests.catalog.test_deliveries import BROKEN, HOOK, OK, ORDER, WANTED, catalog, clock, take
from weighbridge.catalog import Attempt, Catalog, JobEnd, messages
from weighbridge.domain.webhooks import Destination
from weighbridge.errors import StateConflict

__all__ = ["catalog", "clock"]


def disabled(catalog: Catalog, id_: str) -> str:
    found = catalog.subscriptions.get(id_)
    assert (found.disabled_at is not None) == bool(found.disabled_because)
    return found.disabled_because


def fail(catalog: Catalog, *, wait_s: float | None = None, unwanted: bool = False) -> None:
    catalog.deliveries.note(take(catalog), "process", BROKEN, wait_s, unwanted=unwanted)


def test_the_owner_of_a_revoked_key_gets_nothing_more(catalog: Catalog) -> None:
    added = catalog.subscriptions.add(WANTED)
    queue = catalog.jobs
    ended, running = (queue.add(replace(ORDER, key=f"k{n}")).id for n in range(2))
    queue.cancel(ended)
    assert queue.take("p", 30)
    settle(catalog)
    waiting = {one.id for one in catalog.deliveries.listed()}
    begun = take(catalog)
    catalog.keys.revoke("ci")
    assert disabled(catalog, added.id) == "The key ci is revoked."
    assert {one.id: (one.state, one.problem) for one in catalog.deliveries.listed()} == dict.fromkeys(
        waiting, ("expired", "The key ci is revoked.")
    )
    catalog.deliveries.note(begun, "process", BROKEN, 5)  # It was on its way: no further attempt follows.
    assert catalog.deliveries.get(begun.id).state == "expired"
    settle(catalog, "other", "1.1.0")
    queue.end(running, "p", JobEnd("done", "PASSED", "1.0.0"), {})
    assert queue.get(running).state == "done"
    (last,) = [one for one in catalog.deliveries.listed() if one.id not in waiting]
    assert (last.job_id, last.state, "revoked" in last.problem) == (running, "expired", True)
    assert catalog.deliveries.take("process", 30) is None
    actions = [row.action for row in catalog.audit.rows(object_=f"webhook:{added.id}")]
    assert actions == ["webhook.created", "webhook.disabled"]


def test_a_later_key_of_the_same_name_takes_over_no_receiver(catalog: Catalog) -> None:
    added = catalog.subscriptions.add(WANTED)
    order = replace(ORDER, key="once")
    job = catalog.jobs.add(order).id
    catalog.keys.revoke("ci")
    catalog.keys.add("ci", "another hash", "publisher", (), None)
    assert catalog.jobs.sent("key:ci", "once") is None
    assert catalog.jobs.add(order).id != job  # The same order, of another person.
    with pytest.raises(StateConflict, match="key:ci is revoked"):
        catalog.subscriptions.enable(added.id)
    settle(catalog)
    catalog.jobs.cancel(job)
    assert catalog.deliveries.take("process", 30) is None
    catalog.subscriptions.add(replace(WANTED, destination=replace(HOOK, key_id=2)))
    settle(catalog, "other", "1.1.0")
    assert take(catalog).destination.key_id == 2


def test_messages_of_a_key_that_expires_are_not_sent(catalog: Catalog, clock: Clock) -> None:
    catalog.keys.add("short", "h2", "publisher", (), clock.now + timedelta(hours=1))
    mine = Destination("https://short.example/", "s", 2)
    catalog.subscriptions.add(replace(WANTED, destination=mine, owner="key:short"))
    catalog.subscriptions.add(WANTED)
    settle(catalog)
    clock.now += timedelta(hours=2)
    assert take(catalog).destination == HOOK
    assert catalog.deliveries.take("process", 30) is None
    (expired,) = [one for one in catalog.deliveries.listed() if one.destination == mine]
    assert (expired.state, "expired" in expired.problem, expired.attempts) == ("expired", True, 0)


def test_a_receiver_that_wants_nothing_more_ends_its_subscription(catalog: Catalog) -> None:
    added = catalog.subscriptions.add(WANTED)
    other = catalog.subscriptions.add(replace(WANTED, destination=Destination("https://other.example/", "s")))
    for n in range(2):
        settle(catalog, str(n), f"1.{n}.0")
    while (found := take(catalog)).subscription_id != added.id:
        catalog.deliveries.note(found, "process", OK, None)
    catalog.deliveries.note(found, "process", Attempt("2026", 410, "Gone.", 7), None, unwanted=True)
    assert "HTTP 410" in disabled(catalog, added.id)
    states = {one.state: one.problem for one in catalog.deliveries.listed(subscription_id=added.id)}
    assert (set(states), states["failed"], "HTTP 410" in states["expired"]) == ({"failed", "expired"}, "Gone.", True)
    assert disabled(catalog, other.id) == ""
    settle(catalog, "later", "2.0.0")
    assert len(catalog.deliveries.listed(subscription_id=added.id)) == 2
    with pytest.raises(StateConflict, match="disabled"):
        catalog.deliveries.repeat(found.id)
    enabled = catalog.acting("key:ci").subscriptions.enable(added.id)
    assert (enabled.disabled_at, enabled.disabled_because, enabled.failing_since) == (None, "", None)
    catalog.deliveries.repeat(found.id)
    settle(catalog, "again", "2.1.0")
    waiting = [one for one in catalog.deliveries.listed(subscription_id=added.id) if one.state == "waiting"]
    assert [one.message["data"]["version"] for one in waiting] == ["2.1.0", found.message["data"]["version"]]
    (row,) = catalog.audit.rows(action="webhook.enabled")
    assert (row.actor, row.object) == ("key:ci", f"webhook:{added.id}")


def test_a_receiver_that_fails_for_days_is_disabled_and_one_failure_is_none(catalog: Catalog, clock: Clock) -> None:
    added = catalog.subscriptions.add(WANTED)

    def failing_since() -> datetime | None:
        return catalog.subscriptions.get(added.id).failing_since

    settle(catalog)
    fail(catalog, wait_s=60)
    first = failing_since()
    clock.now += timedelta(days=6)
    fail(catalog, wait_s=60)  # It is attempted again.
    assert (disabled(catalog, added.id), failing_since()) == ("", first)
    clock.now += timedelta(minutes=2)
    catalog.deliveries.note(take(catalog), "process", OK, None)  # It works again.
    assert failing_since() is None
    settle(catalog, "other", "1.1.0")
    fail(catalog)
    assert disabled(catalog, added.id) == ""
    clock.now += timedelta(days=4)
    settle(catalog, "third", "1.2.0")
    fail(catalog)
    assert disabled(catalog, added.id) == ""
    clock.now += timedelta(days=2)
    settle(catalog, "fourth", "1.3.0")
    fail(catalog)
    assert "more than 5 days" in disabled(catalog, added.id)
    (row,) = catalog.audit.rows(action="webhook.disabled")
    assert row.after == {"to": "https://hooks.example", "because": disabled(catalog, added.id)}


def test_enabling_forgets_the_failures_of_a_disabled_receiver_alone(catalog: Catalog, clock: Clock) -> None:
    """Otherwise the next failure disables it again; or whoever enables it each hour has a dead receiver for ever."""
    added = catalog.subscriptions.add(WANTED)
    settle(catalog)
    fail(catalog)
    since = catalog.subscriptions.get(added.id).failing_since
    assert catalog.subscriptions.enable(added.id).failing_since == since
    clock.now += timedelta(days=6)
    settle(catalog, "other", "1.1.0")
    fail(catalog)
    assert disabled(catalog, added.id)
    catalog.subscriptions.enable(added.id)
    settle(catalog, "third", "1.2.0")
    fail(catalog)
    assert disabled(catalog, added.id) == ""


def test_so_many_messages_wait_for_a_receiver_and_the_oldest_say_why_they_went(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MOST_WAITING", 2)
    added = catalog.subscriptions.add(WANTED)
    other = catalog.subscriptions.add(replace(WANTED, events=("version.quarantined",)))
    for n in range(4):
        settle(catalog, str(n), f"1.{n}.0", verdict="FAILED" if n == 0 else "PASSED")
    found = {one.message["data"]["version"]: one for one in catalog.deliveries.listed(subscription_id=added.id)}
    assert {number: one.state for number, one in found.items()} == {
        "1.0.0": "expired",
        "1.1.0": "expired",
        "1.2.0": "waiting",
        "1.3.0": "waiting",
    }
    assert "2 newer messages" in found["1.0.0"].problem
    assert [one.state for one in catalog.deliveries.listed(subscription_id=other.id)] == ["waiting"]


def test_so_many_messages_are_kept_of_a_subscription(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MOST_KEPT", 2)
    catalog.subscriptions.add(WANTED)
    for n in range(4):
        settle(catalog, str(n), f"1.{n}.0")
        catalog.deliveries.note(take(catalog), "process", OK, None)
    settle(catalog, "waits", "2.0.0")
    assert catalog.deliveries.forget(86400) == 2
    assert [one.message["data"]["version"] for one in catalog.deliveries.listed()] == ["2.0.0", "1.3.0", "1.2.0"]
    assert catalog.deliveries.forget(86400) == 0


def test_receivers_of_an_earlier_catalog_belong_to_the_keys_that_made_them(
    catalog: Catalog, url: str, open_catalog: Callable[..., Catalog]
) -> None:
    kept = catalog.subscriptions.add(WANTED)
    ada = catalog.subscriptions.add(replace(WANTED, destination=replace(HOOK, key_id=None), owner="issuer:ada"))
    lost = catalog.subscriptions.add(replace(WANTED, owner="key:gone"))
    order = catalog.jobs.add(ORDER).id
    settle(catalog)
    catalog.subscriptions.add(replace(WANTED, owner="key:late"))
    catalog.keys.add("late", "h2", "publisher", (), None)  # Its name was another one's when that one subscribed.
    with catalog._database.write() as connection:
        take_back(connection, "0009")
    catalog.close()
    migrated = open_catalog(url)
    assert migrated.subscriptions.get(kept.id) == replace(kept, created_at=None)
    assert migrated.subscriptions.get(ada.id).disabled_at is None
    assert {one.owner for one in migrated.subscriptions.listed() if one.disabled_at} == {"key:gone", "key:late"}
    states = {one.subscription_id: (one.state, one.destination.key_id) for one in migrated.deliveries.listed()}
    assert states == {kept.id: ("waiting", 1), ada.id: ("waiting", None), lost.id: ("expired", None)}
    assert migrated.jobs.get(order).order.callback == HOOK
