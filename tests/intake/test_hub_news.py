"""News of watched models on the Hub: told once, also when a refresh is killed between the page and the news."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.catalog.values import CARD, decision, manifest
from tests.intake.hub_passes import Side
from tests.simulators.hub_list import HubList
from tests.simulators.hub_list_models import LAST_MS, GeneratedModels
from weighbridge.catalog import Catalog, Subscription
from weighbridge.domain.audit import AuditRow
from weighbridge.domain.clock import utc_now
from weighbridge.domain.hub_models import HubChange, PassKind
from weighbridge.domain.hub_news import MODEL_CHANGED, REFRESHED
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.webhooks import Destination
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.hub_news import HubNews

WATCHED, OTHER, MATCHED, GONE = 20, 21, 22, 23


@pytest.fixture
def hub() -> Iterator[HubList]:
    with HubList(GeneratedModels(250)) as hub:
        yield hub


@pytest.fixture
def side(hub: HubList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    """Return an installation with a whole catalogue of the Hub, whose models.yaml names two models."""
    monkeypatch.chdir(tmp_path)
    names = "".join(f"  - hf_repo_id: {hub.models.id(index)}\n" for index in (WATCHED, GONE))
    (tmp_path / "models.yaml").write_text(f"models:\n{names}")
    for index in (WATCHED, OTHER, MATCHED, GONE):
        hub.models.change(index, gated=False)
    side = Side(tmp_path, hub)
    side.refresh(PassKind.FULL)
    return side


def change(hub: HubList) -> None:
    """Change three models on the Hub, and delete one."""
    hub.models.change(WATCHED, at_ms=LAST_MS + 1000, gated="manual")
    hub.models.change(OTHER, at_ms=LAST_MS + 2000, gated="auto")
    hub.models.change(MATCHED, at_ms=LAST_MS + 3000, gated="auto")
    hub.models.deleted.add(GONE)


def rows(side: Side, action: str = MODEL_CHANGED) -> list[AuditRow]:
    with Catalog.open(side.settings.database_url, utc_now) as catalog:
        return catalog.audit.rows(action=action)


def test_the_first_listing_is_no_news(side: Side) -> None:
    assert rows(side) == []
    (digest,) = rows(side, REFRESHED)
    assert (digest.after or {})["added"] == 250


def test_what_changes_of_watched_models_is_told_once(side: Side, hub: HubList) -> None:
    pattern = hub.models.id(MATCHED).replace("-0000022", "-*")
    with Catalog.open(side.settings.database_url, utc_now) as catalog:
        to = Destination("https://hooks.example/", "mark/name")
        catalog.subscriptions.add(Subscription(to, (MODEL_CHANGED,), (pattern,), "issuer:ada"))
    change(hub)
    for _ in range(2):
        side.refresh(PassKind.FULL)
    told = {(row.object, (row.after or {})["field"], (row.after or {})["curated"]) for row in rows(side)}
    assert told == {
        (hub.models.id(WATCHED), "gated", True),
        (hub.models.id(MATCHED), "gated", False),
        (hub.models.id(GONE), "listed", True),
    }
    assert len(rows(side)) == 3
    _, digest, empty = (row.after or {} for row in rows(side, REFRESHED))
    assert (digest["counts"]["gated"], digest["counts"]["listed"], digest["newly_gated"]) == (3, 1, 3)
    assert sum(empty["counts"].values()) == 0
    with Catalog.open(side.settings.database_url, utc_now) as catalog:
        sent = [one.message["data"]["hub_model"] for one in catalog.deliveries.listed()]
    assert sent == [hub.models.id(MATCHED)]


def test_a_model_of_the_catalog_is_watched_under_any_name(side: Side, hub: HubList) -> None:
    taken = manifest(ref=ModelRef.parse(f"hf:{hub.models.id(OTHER)}@{'c' * 40}"))
    with Catalog.open(side.settings.database_url, utc_now) as catalog:
        catalog.settle_version("ours", taken.ref.uri, taken, CARD, decision(), (), lambda _: "1.0.0")
    change(hub)
    side.refresh(PassKind.FULL)
    assert {row.object: (row.after or {})["models"] for row in rows(side)}[hub.models.id(OTHER)] == ["ours"]


def test_a_refresh_killed_between_a_page_and_its_news_loses_none(side: Side, hub: HubList) -> None:
    """The changes are stored, and the process ends before it tells of them; the next one does, and tells none twice."""

    def die(_: Sequence[HubChange]) -> None:
        raise KeyboardInterrupt

    change(hub)
    with pytest.raises(KeyboardInterrupt):
        side.refresh(PassKind.FULL, on_changes=die)
    assert rows(side) == []
    side.refresh(PassKind.FULL)
    assert sorted(row.object for row in rows(side)) == sorted(map(hub.models.id, (WATCHED, GONE)))


def test_a_refresh_killed_before_its_digest_gets_it_from_the_next(
    side: Side, hub: HubList, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(hub)
    with monkeypatch.context() as patched:
        patched.setattr(HubNews, "conclude", lambda _: (_ for _ in ()).throw(WeighbridgeError("killed")))
        with pytest.raises(WeighbridgeError):
            side.refresh(PassKind.FULL)
    side.refresh(PassKind.FULL)
    numbers = [(row.after or {})["pass"] for row in rows(side, REFRESHED)]
    assert len(numbers) == len(set(numbers))


def test_a_catalogue_of_the_hub_that_was_deleted_counts_anew(side: Side, hub: HubList) -> None:
    change(hub)
    side.refresh(PassKind.FULL)
    before = len(rows(side))
    for path in (side.folder / "home").glob("hub.db*"):
        path.unlink()
    side.refresh(PassKind.FULL)
    assert len(rows(side)) == before
    hub.models.change(WATCHED, at_ms=LAST_MS + 9000, gated=False)
    side.refresh(PassKind.FULL)
    assert len(rows(side)) == before + 1
