"""What the catalog's tests share: an empty database of each kind, a catalog on it, and values to put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.services.postgresql import postgresql_server, postgresql_url
from weighbridge.catalog import Catalog

__all__ = ["postgresql_server", "postgresql_url"]


class Clock:
    """A clock that moves one second with every look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/catalog.db"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
def open_catalog() -> Iterator[Callable[..., Catalog]]:
    """Return an opener whose catalogs are closed afterwards."""
    opened: list[Catalog] = []

    def open_(url: str, timeout_s: float = 30.0) -> Catalog:
        opened.append(Catalog.open(url, Clock(), timeout_s=timeout_s))
        return opened[-1]

    yield open_
    for catalog in opened:
        catalog.close()


@pytest.fixture
def catalog(url: str, open_catalog: Callable[..., Catalog]) -> Catalog:
    """Return an empty catalog on each kind of database."""
    return open_catalog(url)
