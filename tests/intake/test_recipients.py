"""Recipients of versions are recorded once a day, however many requests they make at once."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.catalog.test_catalog import settle
from weighbridge.catalog import Catalog
from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.domain.clock import utc_now
from weighbridge.intake import recipients
from weighbridge.intake.recipients import Recipients


def test_once_a_day(tmp_path: Path) -> None:
    now = utc_now()

    def clock() -> datetime:
        return now

    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", utc_now) as catalog:
        version, found = settle(catalog), Recipients(catalog, clock)
        threads = [
            threading.Thread(target=found.record, args=(version, Caller("ci", "reader"), f"192.0.2.{number}"))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [row.actor for row in catalog.audit.rows(action="version.served")] == ["key:ci"]
        found.record(version, ANONYMOUS, "192.0.2.1")
        found.record(version, ANONYMOUS, "192.0.2.2")
        found.record(version, ANONYMOUS, "192.0.2.1")
        assert len(catalog.audit.rows(action="version.served")) == 3
        now += timedelta(days=1)
        found.record(version, ANONYMOUS, "192.0.2.1")
        assert len(catalog.audit.rows(action="version.served")) == 4


def test_few_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipients, "_MOST", 2)
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", utc_now) as catalog:
        version, found = settle(catalog), Recipients(catalog, utc_now)
        for number in range(5):
            found.record(version, ANONYMOUS, f"192.0.2.{number}")
        assert len(found._recorded) == 2
