"""What the catalog's tests share: an empty database of each kind, a catalog on it, and values to put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.services.postgresql import empty_database, postgresql_server, postgresql_url
from weighbridge.catalog import Catalog
from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.catalog.hub_tables import metadata

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


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def hub_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a catalog of each kind, whose catalogue of the Hub the tests of a module share."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield f"sqlite:///{tmp_path_factory.mktemp('hub')}/catalog.db"
        else:
            yield stack.enter_context(empty_database(request.getfixturevalue("postgresql_server")))


@pytest.fixture(scope="module")
def opened_hub(hub_url: str) -> Iterator[HubCatalog]:
    """Yield the catalogue of the Hub of a module."""
    with HubCatalog.open(hub_url) as opened:
        yield opened


@pytest.fixture
def hub(opened_hub: HubCatalog) -> HubCatalog:
    """Return an empty catalogue of the Hub on each kind of database."""
    with opened_hub._database.write() as connection:
        for table in metadata.sorted_tables:
            if table.name == "hub_totals":
                values = dict.fromkeys(("models", "vanished", "rows", "texts", "changes"), 0)
                connection.execute(update(table).values(**values))
            else:
                connection.execute(table.delete())
        if connection.dialect.name == "sqlite":
            for name in ("hub_model_words", "hub_string_words"):
                connection.exec_driver_sql(f"INSERT INTO {name} ({name}) VALUES ('delete-all')")
    opened_hub._strings.__init__()  # type: ignore[misc]
    return opened_hub
