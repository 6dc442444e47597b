"""A clearance holds for one caller and one version, for some seconds, until the catalog changes."""

from __future__ import annotations

import pytest

from tests.catalog.test_catalog import settle
from weighbridge.catalog import Catalog
from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.domain.clock import utc_now
from weighbridge.intake import clearances
from weighbridge.intake.clearances import LASTS_S, Clearances


def test_how_long_it_holds(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearances, "_MOST", 2)
    seconds = 100.0
    found = Clearances(lambda: seconds)
    with Catalog.open(f"sqlite:///{tmp_path_factory.mktemp('c')}/catalog.db", utc_now) as catalog:
        version, other = settle(catalog), settle(catalog, "other", "1.1.0")
    assert not found.holds(version, ANONYMOUS, None)
    found.add(version, ANONYMOUS, 7)
    assert found.holds(version, ANONYMOUS, 7)
    assert not found.holds(version, ANONYMOUS, 8)
    assert not found.holds(version, Caller("ci", "reader"), 7)
    assert not found.holds(other, ANONYMOUS, 7)
    seconds += LASTS_S
    assert not found.holds(version, ANONYMOUS, 7)
    for caller in ("a", "b", "c"):
        found.add(version, Caller(caller, "reader"), 7)
    assert len(found._given) <= 2
