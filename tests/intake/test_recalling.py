from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.test_catalog import settle
from tests.catalog.values import digest
from weighbridge.config.settings import Settings
from weighbridge.errors import VersionRecalled, VersionRefused
from weighbridge.intake.recalling import recalled
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import open_resources


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    with open_resources(Settings(home=tmp_path)) as opened:
        yield opened


def test_what_somebody_got_is_taken_back_from_caches(resources: Resources) -> None:
    settle(resources.catalog)
    refused = VersionRefused("org/name 1.0.0 is quarantined.", name="org/name", version="1.0.0")
    assert recalled(refused, resources) is refused
    resources.catalog.record_served("org/name", "1.0.0", digest("manifest"), "127.0.0.1")
    found = recalled(refused, resources)
    assert type(found) is VersionRecalled
    assert (found.problem, found.facts) == (refused.problem, refused.facts)
    other = VersionRefused("org/name 1.1.0 is quarantined.", name="org/name", version="1.1.0")
    assert recalled(other, resources) is other
