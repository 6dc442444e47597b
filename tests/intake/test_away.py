"""PostgreSQL stopped in the middle of an ingest and started again, then the same command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.intake.test_killed import assert_agreement
from tests.intake.test_syncing import Night
from tests.registries.killing import samples
from tests.services.postgresql import PostgreSQL, serving
from weighbridge.errors import CatalogUnavailable, WeighbridgeError


@contextmanager
def before_commit(number: int, act: Callable[[], object]) -> Iterator[list[Any]]:
    """Act before the nth commit of this process; the list that is yielded grows with each."""
    seen: list[Any] = []

    def commit(connection: Any) -> None:
        seen.append(connection)
        if len(seen) == number:
            act()

    event.listen(Engine, "commit", commit)
    try:
        yield seen
    finally:
        event.remove(Engine, "commit", commit)


@pytest.fixture
def postgresql() -> Iterator[PostgreSQL]:
    with serving() as server:
        yield server


def errors(night: Night) -> list[WeighbridgeError]:
    """Sync and return what failed."""
    try:
        return [failure.error for failure in night.sync().failed]
    except WeighbridgeError as error:
        return [error]


def test_postgresql_stops_in_the_middle_of_an_ingest(postgresql: PostgreSQL, tmp_path: Path) -> None:
    def new(name: str) -> Night:
        (tmp_path / name).mkdir()
        return Night(tmp_path / name, name, catalog_url=postgresql.url, catalog_timeout_s=2)

    assert errors(new("first")) == []
    with before_commit(0, postgresql.stop) as commits:
        assert errors(new("counted")) == []
    for number in samples(len(commits)):
        night = new(f"m{number}")
        with before_commit(number, postgresql.stop):
            failed = errors(night)
        assert [type(error) for error in failed] == [CatalogUnavailable], (number, failed)
        postgresql.start()
        assert errors(night) == [], number
        assert_agreement(night, "PASSED", number)
