"""The catalog's database: its schema, its locks, its errors, and several processes at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, create_engine, literal, select, text

import weighbridge.catalog
from tests.catalog.values import CARD, decision, manifest, report
from weighbridge.catalog import Catalog
from weighbridge.catalog.database import _read_json
from weighbridge.catalog.schema import HEAD, metadata
from weighbridge.errors import CatalogError, CatalogUnavailable, InvalidConfiguration

Open = Callable[..., Catalog]


def test_the_migrations_make_the_schema_that_the_code_has(url: str, catalog: Catalog) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(weighbridge.catalog.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_opening_again_finds_what_is_there(url: str, open_catalog: Open) -> None:
    open_catalog(url).begin_ingest("m", "mock:m")
    assert len(open_catalog(url).ingests()) == 1


def test_a_catalog_of_a_newer_weighbridge_is_left_alone(url: str, catalog: Catalog, open_catalog: Open) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CatalogError, match="newer Weighbridge") as caught:
        open_catalog(url)
    assert "Upgrade Weighbridge" in caught.value.remedy
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    engine.dispose()


def _open_and_settle(url: str, barrier: Any, results: Any) -> None:
    barrier.wait()
    with Catalog.open(url, lambda: datetime.now(UTC)) as catalog:
        version = catalog.settle_version(
            "m", "mock:m", manifest(), CARD, decision(), (report(),), lambda _latest: f"1.0.{os.getpid()}"
        )
    results.put(version.version)


def test_two_processes_on_a_fresh_database_make_one_version(url: str, open_catalog: Open) -> None:
    spawning = multiprocessing.get_context("spawn")
    barrier, results = spawning.Barrier(2), spawning.Queue()
    processes = [spawning.Process(target=_open_and_settle, args=(url, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    numbers = {results.get(timeout=120) for _ in processes}
    for process in processes:
        process.join()
    assert len(numbers) == 1
    (version,) = open_catalog(url).versions("m")
    assert {version.version} == numbers
    assert version.reports == (report(),)


def _hold_write_lock(url: str) -> Any:
    engine = create_engine(url)
    connection = engine.connect()
    if engine.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.isolation_level = None
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
    else:
        connection.execute(text("LOCK TABLE ingests, models, reports IN ACCESS EXCLUSIVE MODE"))
    return engine, connection


def test_a_locked_catalog_is_said_to_be_locked(url: str, catalog: Catalog, open_catalog: Open) -> None:
    impatient = open_catalog(url, timeout_s=0.2)
    engine, connection = _hold_write_lock(url)
    try:
        for attempt in (
            lambda: impatient.begin_ingest("m", "mock:m"),
            lambda: impatient.add_reports([report()]),
            lambda: impatient.settle_version("m", "mock:m", manifest(), CARD, decision(), (), lambda _: "1.0.0"),
        ):
            with pytest.raises(CatalogUnavailable) as caught:
                attempt()
            assert caught.value.retryable
            assert "run the same command again" in str(caught.value)
    finally:
        connection.close()
        engine.dispose()
    assert impatient.ingests() == []
    assert impatient.begin_ingest("m", "mock:m") == 1


def test_a_fresh_sqlite_database_that_is_locked(tmp_path: Path, open_catalog: Open) -> None:
    holder = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CatalogUnavailable, match="lock"):
        open_catalog(f"sqlite:///{tmp_path}/catalog.db", timeout_s=0.2)
    holder.close()
    open_catalog(f"sqlite:///{tmp_path}/catalog.db")


def test_readers_do_not_wait_for_a_writer(tmp_path: Path, open_catalog: Open) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db"
    catalog = open_catalog(url, timeout_s=0.2)
    engine, connection = _hold_write_lock(url)
    assert catalog.lists.models() == []
    connection.close()
    engine.dispose()


def test_a_file_that_is_no_database(tmp_path: Path, open_catalog: Open) -> None:
    (tmp_path / "catalog.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(CatalogError, match="not a database") as caught:
        open_catalog(f"sqlite:///{tmp_path}/catalog.db")
    assert not caught.value.retryable


def test_a_folder_that_cannot_be_made(tmp_path: Path, open_catalog: Open) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match="cannot be made"):
        open_catalog(f"sqlite:///{tmp_path}/file/state/catalog.db")


def test_a_folder_where_the_database_should_be(tmp_path: Path, open_catalog: Open) -> None:
    (tmp_path / "catalog.db").mkdir()
    with pytest.raises(CatalogError, match="unable to open"):
        open_catalog(f"sqlite:///{tmp_path}/catalog.db")


def test_a_server_that_is_not_there(open_catalog: Open) -> None:
    with pytest.raises(CatalogUnavailable) as caught:
        open_catalog("postgresql://somebody:s3cret@127.0.0.1:1/catalog", timeout_s=1)
    assert "s3cret" not in str(caught.value)


def test_a_database_that_does_not_exist(postgresql_url: str, open_catalog: Open) -> None:
    with pytest.raises(CatalogError, match="does not exist") as caught:
        open_catalog(postgresql_url + "_other")
    assert not caught.value.retryable


def test_connections_cut_by_the_server_are_made_anew(postgresql_url: str, open_catalog: Open) -> None:
    catalog = open_catalog(postgresql_url)
    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}"))
    sleep(0.1)
    assert catalog.lists.models() == []
    assert catalog.lists.model("m") is None
    with engine.connect() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}"))
    engine.dispose()
    sleep(0.1)
    assert catalog.lists.model("m") is None
    assert catalog.lists.models() == []


def test_a_nearby_catalog_waits_for_no_other_reader(tmp_path: Path, open_catalog: Open) -> None:
    catalog = open_catalog(f"sqlite:///{tmp_path}/catalog.db", timeout_s=0.1)
    nearby = catalog.nearby()
    assert nearby is not None
    with nearby:
        with ExitStack() as held:
            with suppress(CatalogUnavailable):
                while True:
                    held.enter_context(catalog._database.read())
            with pytest.raises(CatalogUnavailable, match="every connection"):
                catalog.lists.models()
            assert nearby.lists.models() == []
        for _ in range(3):
            number = nearby.audit.head().number
            assert nearby.audit.head().number == number
            catalog.begin_ingest("m", "mock:m")
            assert nearby.audit.head() == catalog.audit.head()
            assert nearby.audit.head().number == number + 1


def test_a_server_elsewhere_is_not_nearby(postgresql_url: str, open_catalog: Open) -> None:
    assert open_catalog(postgresql_url).nearby() is None


@pytest.mark.parametrize("value", [2**80, -(2**63), 2**64 - 1, 0.1, 1e300, {"a": [1, None, "ü"], "b": {"c": True}}])
def test_json_comes_back_as_it_was_stored(value: Any, catalog: Catalog) -> None:
    with catalog._database.read() as connection:
        assert connection.execute(select(literal(value, JSON))).scalar_one() == value


@pytest.mark.parametrize("value", [float("inf"), "\ud800 alone", 2**200])
def test_json_that_only_python_knows_is_read(value: Any) -> None:
    assert _read_json(json.dumps(value)) == _read_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/x", "sqlite://", "sqlite:///:memory:"])
def test_a_url_of_nothing_usable(url: str, open_catalog: Open) -> None:
    with pytest.raises(InvalidConfiguration, match="sqlite:////path"):
        open_catalog(url)


def test_a_clock_without_a_time_zone_is_refused(tmp_path: Path) -> None:
    with (
        Catalog.open(f"sqlite:///{tmp_path}/catalog.db", lambda: datetime(2026, 1, 1)) as catalog,
        pytest.raises(CatalogError, match="time zone"),
    ):
        catalog.begin_ingest("m", "mock:m")
