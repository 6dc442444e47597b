"""The audit log over HTTP: whole, in parts, filtered, and for admins of every model alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served, holds
from weighbridge.domain.audit import EMPTY, AuditRow, Head
from weighbridge.web.api.audit import AuditRows

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture(scope="module")
def known(served: Served) -> Served:
    for number in range(3):
        settle(served.catalog, f"audit {number}", f"1.{number}.0", name="audited/a")
    served.catalog.acting("key:ada").withdraw("audited/a", "1.0.0", "recalled")
    return served


def pages(served: Served, query: str = "", limit: int = 200) -> list[dict[str, Any]]:
    """Return the items of all parts."""
    admin, items, cursor = served.key("admin"), [], ""
    while True:
        page = holds(AuditRows, served.get(f"/audit?limit={limit}&cursor={cursor}&{query}", headers=admin))
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def test_the_log_can_be_proved_from_its_pages(known: Served) -> None:
    items = pages(known, limit=5)
    assert [one["number"] for one in items] == list(range(1, len(items) + 1))
    last = EMPTY
    for one in items:
        row = AuditRow(**{**one, "at": datetime.fromisoformat(one["at"])})
        assert row.hash_after(last.hash) == one["hash"]
        last = Head(row.number, row.hash)
    head = Head(**known.get("/audit?limit=1", headers=known.key("admin")).json()["head"])
    assert head.number >= last.number
    assert known.catalog.audit.prove([head, last]).flaws == ()


def test_filters(known: Served) -> None:
    (row,) = pages(known, "actor=key:ada&action=version.withdrawn")
    assert (row["object"], row["after"]) == ("audited/a@1.0.0", {"status": "FAILED", "reason": "recalled"})
    assert {one["action"] for one in pages(known, "object=audited/a@1.0.0", limit=1)} == {
        "version.settled",
        "version.withdrawn",
    }
    since = row["at"].replace("+", "%2B")
    assert row in pages(known, f"since={since}&actor=key:ada")
    assert pages(known, "since=2999-01-01T00:00:00Z") == []
    assert pages(known, "actor=nobody%00") == []


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00%2B14:00", "9" * 30, "-1"])
def test_times_that_cannot_be(known: Served, since: str) -> None:
    assert known.get(f"/audit?since={since}", headers=known.key("admin")).status_code in (200, 422)


@pytest.mark.parametrize("since", ["183", "1764288000", "-1.5", "1e9"])
def test_a_number_is_no_time(known: Served, since: str) -> None:
    refused = known.get(f"/audit?since={since}", headers=known.key("admin"))
    assert (refused.status_code, "ISO 8601" in refused.json()["detail"]) == (422, True)


def test_the_log_is_for_admins_of_every_model(known: Served) -> None:
    assert known.get("/audit").status_code == 401
    for key in (known.key("reader"), known.key("publisher"), known.key("admin", "team-a/*")):
        refused = known.get("/audit", headers=key)
        assert (refused.status_code, refused.json()["title"]) == (403, "Not permitted")
