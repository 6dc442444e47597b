"""What ended long ago is deleted; what becomes of jobs is in test_job_worker.py."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.catalog.test_catalog import settle
from tests.catalog.test_deliveries import BROKEN, OK, WANTED, take
from weighbridge.config.settings import Settings
from weighbridge.intake import retention
from weighbridge.intake.retention import Retention
from weighbridge.intake.workspace import open_resources


def test_messages_that_ended_are_forgotten_and_waiting_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MESSAGES_KEPT_FOR", timedelta(0))
    with open_resources(Settings(home=tmp_path)) as resources:
        deliveries = resources.catalog.deliveries
        resources.catalog.keys.add("ci", "hash", "publisher", (), None)
        resources.catalog.subscriptions.add(WANTED)
        settle(resources.catalog)
        deliveries.note(take(resources.catalog), "process", OK, None)
        settle(resources.catalog, "other", "1.1.0")
        deliveries.note(take(resources.catalog), "process", BROKEN, 3600)
        with Retention(resources):
            deadline = time.monotonic() + 30
            while len(deliveries.listed()) != 1:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert [one.state for one in deliveries.listed()] == ["waiting"]
