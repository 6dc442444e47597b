"""News of models on the Hub: each is told once, in one transaction with the mark, to those whom it concerns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.catalog.test_catalog import settle
from weighbridge.catalog import Catalog, Subscription
from weighbridge.domain.audit import AuditRow
from weighbridge.domain.hub_models import HubChange, HubField, HubPass, PassKind
from weighbridge.domain.hub_news import (
    MODEL_CHANGED,
    NEWS_FIELDS,
    REFRESHED,
    RefreshDigest,
    WatchedChange,
    change_of,
)
from weighbridge.domain.webhooks import Destination, EventType

AT = datetime(2026, 11, 28, 2, 17, tzinfo=UTC)
GATED = HubChange("meta-llama/Llama", HubField.GATED, "no", "manual", AT)
MOVED = HubChange("new-org/Model", HubField.OWNER, "old-org/Model", "new-org/Model", AT)
ENDED = HubPass(7, PassKind.RECENT, "", AT, AT, models=2000, changed=2)
BOTH: tuple[EventType, ...] = ("hub.model.changed", "hub.refreshed")


def subscribe(catalog: Catalog, *patterns: str, may: tuple[str, ...] = (), events: tuple[EventType, ...] = BOTH) -> str:
    to = Destination("https://hooks.example/", "mark/name")
    return catalog.subscriptions.add(Subscription(to, events, patterns, "issuer:ada", may)).id


def messages(catalog: Catalog, subscription: str) -> list[dict[str, Any]]:
    found = catalog.deliveries.listed(subscription_id=subscription)
    return [dict(one.message) for one in reversed(found)]


def told(catalog: Catalog) -> list[AuditRow]:
    return catalog.audit.rows(action=MODEL_CHANGED)


def test_a_change_is_told_once_whoever_asks(catalog: Catalog) -> None:
    news = catalog.hub_announcements
    assert news.announced("one") == 0
    assert news.announce("one", 0, 5, [WatchedChange(3, GATED, ("ours",), curated=True)])
    assert not news.announce("one", 0, 5, [WatchedChange(3, GATED, ("ours",))]), "it was told twice"
    assert (news.announced("one"), news.announced("another")) == (5, 0)
    (row,) = told(catalog)
    assert (row.object, row.before, dict(row.after or {})["gated"]) == ("meta-llama/Llama", {"gated": "no"}, "manual")


def test_of_eight_that_tell_at_once_one_does(catalog: Catalog) -> None:
    """A refresh by hand beside the nightly one."""
    for after in range(5):
        with ThreadPoolExecutor(8) as pool:
            change = WatchedChange(after + 1, GATED)
            tries = [
                pool.submit(catalog.hub_announcements.announce, "one", after, after + 1, [change]) for _ in range(8)
            ]
        assert sum(one.result() for one in tries) == 1
    assert len(told(catalog)) == 5


def test_what_fails_in_between_tells_nothing_and_moves_nothing(catalog: Catalog) -> None:
    """The audit row, the messages and the mark are one transaction."""
    subscription = subscribe(catalog)

    def broken() -> Any:
        yield WatchedChange(1, GATED, ("ours",))
        raise ZeroDivisionError("killed in between")

    with pytest.raises(ZeroDivisionError):
        catalog.hub_announcements.announce("one", 0, 2, broken())
    assert (told(catalog), messages(catalog, subscription)) == ([], [])
    assert catalog.hub_announcements.announced("one") == 0


def test_the_message(catalog: Catalog) -> None:
    subscription = subscribe(catalog)
    catalog.hub_announcements.announce("one", 0, 1, [WatchedChange(1, GATED, ("ours",))])
    (message,) = messages(catalog, subscription)
    assert message["type"] == "hub.model.changed"
    assert message["data"] == {
        "hub_model": "meta-llama/Llama",
        "field": "gated",
        "before": "no",
        "after": "manual",
        "noticed_at": "2026-11-28T02:17:00+00:00",
        "page": "https://huggingface.co/meta-llama/Llama",
        "models": ["ours"],
    }


@pytest.mark.parametrize("name", NEWS_FIELDS)
def test_every_field_keeps_both_values(catalog: Catalog, name: HubField) -> None:
    """No fact beside the values may bear a field's name: `listed` did."""
    change = HubChange("org/name", name, "was this", "is that", AT)
    subscription = subscribe(catalog)
    catalog.hub_announcements.announce("one", 0, 1, [WatchedChange(1, change, ("ours",), curated=True)])
    (row,) = told(catalog)
    assert change_of(row) == change
    (message,) = messages(catalog, subscription)
    assert (message["data"]["before"], message["data"]["after"]) == ("was this", "is that")


@pytest.mark.parametrize(
    ("change", "patterns", "may", "models"),
    [
        (WatchedChange(1, GATED, ("ours",)), (), (), ["ours"]),
        (WatchedChange(1, GATED, ("ours",)), ("ours",), (), ["ours"]),
        (WatchedChange(1, GATED, ("ours",)), ("meta-llama/*",), (), ["ours"]),
        (WatchedChange(1, GATED, ("ours",)), ("other/*",), (), None),
        (WatchedChange(1, MOVED, ("old-org/Model",)), ("old-org/*",), (), ["old-org/Model"]),
        (WatchedChange(1, MOVED), ("new-org/*",), (), []),
        (WatchedChange(1, GATED, curated=True), (), (), []),
        # What only the pattern of one subscription watches is news for that one.
        (WatchedChange(1, GATED), (), (), None),
        (WatchedChange(1, GATED), ("meta-llama/*",), (), []),
        # An owner hears of nothing, and under no name, that its key does not show it.
        (WatchedChange(1, GATED, ("ours", "secret/plan")), (), ("ours",), ["ours"]),
        (WatchedChange(1, GATED, ("secret/plan",)), (), ("ours",), None),
        (WatchedChange(1, GATED, ("secret/plan",)), (), ("meta-llama/*",), []),
    ],
)
def test_whom_a_change_concerns(
    catalog: Catalog,
    change: WatchedChange,
    patterns: tuple[str, ...],
    may: tuple[str, ...],
    models: list[str] | None,
) -> None:
    subscription = subscribe(catalog, *patterns, may=may)
    deaf = subscribe(catalog, events=("version.passed",))
    catalog.hub_announcements.announce("one", 0, 1, [change])
    found = messages(catalog, subscription)
    assert [message["data"]["models"] for message in found] == ([] if models is None else [models])
    assert messages(catalog, deaf) == []


def test_patterns_watch_where_they_spell_an_organisation(catalog: Catalog) -> None:
    for pattern in ("meta-llama/*", "*", "*/*", "m*/x", "plain", "google/gemma-?"):
        subscribe(catalog, pattern)
    subscribe(catalog, "passed/*", events=("version.passed",))
    assert set(catalog.hub_announcements.patterns()) == {"meta-llama/*", "google/gemma-?"}


def test_a_refresh_ends_with_one_digest(catalog: Catalog) -> None:
    settle(catalog)
    everybody, restricted = subscribe(catalog, "nothing/*"), subscribe(catalog, may=("ours",))
    digest = RefreshDigest.of(ENDED, [GATED, MOVED])
    assert catalog.hub_announcements.conclude("one", digest)
    assert not catalog.hub_announcements.conclude("one", digest), "it was told twice"
    assert catalog.hub_announcements.conclude("another", digest), "a new catalogue of the Hub counts from 1 again"
    assert len(catalog.audit.rows(action=REFRESHED)) == 2
    for subscription in (everybody, restricted):
        first, _ = messages(catalog, subscription)
        assert first["type"] == "hub.refreshed"
        data = first["data"]
        assert (data["kind"], data["models"], data["newly_gated"]) == ("recent", 2000, 1)
        assert data["counts"] == {"gated": 1, "licence": 0, "owner": 1, "disabled": 0, "listed": 0}
        assert [change["id"] for change in data["first"]] == ["meta-llama/Llama", "new-org/Model"]
        assert "catalogue" not in data


def test_a_reader_keeps_its_place(catalog: Catalog) -> None:
    news = catalog.hub_announcements
    news.note_told("prefect", "audit", 3)
    news.note_told("prefect", "audit", 9)
    assert (news.told("prefect", "audit"), news.told("other", "audit")) == (9, 0)


def test_hostile_names_travel(catalog: Catalog) -> None:
    subscription = subscribe(catalog)
    hostile = HubChange("org/\u202e\0{{ 7 }}%s", HubField.LICENCE, "mit", "\ud800<b>", AT)
    catalog.hub_announcements.announce("one", 0, 1, [WatchedChange(1, hostile, ("ours",))])
    assert len(messages(catalog, subscription)) == 1
    assert catalog.audit.prove().flaws == ()
