"""PostgreSQL or MLflow stopped in the middle of an ingest and started again, then the same command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.intake.test_killed import assert_agreement
from tests.intake.test_syncing import Night
from tests.registries.killing import samples
from tests.services import mlflow
from tests.services.postgresql import PostgreSQL, serving
from weighbridge.errors import CatalogUnavailable, RegistryUnavailable, WeighbridgeError
from weighbridge.registries.mlflow_session import load_mlflow


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


def test_mlflow_stops_right_before_a_version_is_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, folder = load_mlflow().MlflowClient, tmp_path / "server"
    create = client.create_model_version
    folder.mkdir()
    with ExitStack() as running, monkeypatch.context() as patch:
        server = running.enter_context(mlflow.serving(folder))
        uri = server.uri.replace("://", f"://{mlflow.USERNAME}:{mlflow.PASSWORD}@")
        night = Night(tmp_path, registries=("mlflow",), mlflow_tracking_uri=uri)

        def stop_and_create(*arguments: Any, **options: Any) -> Any:
            running.close()
            return create(*arguments, **options)

        patch.setattr(client, "create_model_version", stop_and_create)
        assert [type(error) for error in errors(night)] == [RegistryUnavailable]
        assert (night.version.status, night.version.published) == ("PASSED", ())
    with mlflow.serving(folder, int(server.uri.rpartition(":")[2])):
        assert errors(night) == []
        assert_agreement(night, "PASSED", "MLflow is back")
