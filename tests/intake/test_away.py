"""PostgreSQL or MLflow stopped in the middle of an ingest and started again, then the same command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
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


def in_the_middle_of_an_upload(patch: pytest.MonkeyPatch, stop: Callable[[], None]) -> None:
    """Stop the server when some of a file's bytes have left, and not all."""
    send, parts = HTTPConnection.send, []

    def stop_and_send(connection: HTTPConnection, data: Any, *rest: Any) -> None:
        if len(data) > 8_000:
            parts.append(len(data))
            if len(parts) == 3:
                stop()
        send(connection, data, *rest)

    patch.setattr(HTTPConnection, "send", stop_and_send)


def right_before_a_version_is_visible(patch: pytest.MonkeyPatch, stop: Callable[[], None]) -> None:
    client = load_mlflow().MlflowClient
    create = client.create_model_version

    def stop_and_create(*arguments: Any, **options: Any) -> Any:
        stop()
        return create(*arguments, **options)

    patch.setattr(client, "create_model_version", stop_and_create)


def test_mlflow_is_killed_while_it_is_published_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload is begun anew, and what the server then has is the manifest's files, byte for byte."""
    folder, port, night = tmp_path / "server", 0, None
    folder.mkdir()
    for moment in (in_the_middle_of_an_upload, right_before_a_version_is_visible):
        with ExitStack() as running, monkeypatch.context() as patch:
            server = running.enter_context(mlflow.serving(folder, port))
            port = int(server.uri.rpartition(":")[2])
            if night is None:
                uri = server.uri.replace("://", f"://{mlflow.USERNAME}:{mlflow.PASSWORD}@")
                night = Night(tmp_path, registries=("mlflow",), mlflow_tracking_uri=uri)
                night.put("words.txt", "some words\n" * 400_000)
            moment(patch, running.close)
            assert [type(error) for error in errors(night)] == [RegistryUnavailable], moment
            assert (night.version.status, night.version.published) == ("PASSED", ()), moment
    assert night is not None
    with mlflow.serving(folder, port):
        assert errors(night) == []
        assert_agreement(night, "PASSED", "MLflow is back")
