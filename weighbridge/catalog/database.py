"""The catalog's database: opening it, bringing its schema up to date, transactions, and its errors as ours.

Not here: the content of the tables.
"""

from __future__ import annotations

import json
import re
import select
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import tenacity
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, inspect, make_url, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from weighbridge.catalog.file_state import FileState
from weighbridge.catalog.schema import HEAD
from weighbridge.domain.extras import install_command
from weighbridge.errors import CatalogError, CatalogUnavailable, InvalidConfiguration

#: Key of the advisory lock that serialises migrations in PostgreSQL: any constant of ours ("weighbri").
_MIGRATION_LOCK = 0x7765696768627269
#: Connections of one process at most, each opened when it is needed first and then kept: for transactions, and in
#: PostgreSQL for statements alone.
_MOST_CONNECTIONS, _MOST_FOR_STATEMENTS = 15, 6
#: Seconds that the only reader of a local database waits at most: others make it wait in a recovery alone.
_NEARBY_S = 1.0
#: Seconds without use up to which a connection to PostgreSQL counts as good without a look at it, and those from which
#: the server is asked.
_TRUSTED_S, _ASKED_S = 0.05, 1.0
_LONG_NUMBER, _LONG_NUMBER_IN_BYTES = re.compile(r"\d{19}"), re.compile(rb"\d{19}")
_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
#: PostgreSQL error classes after which the same transaction may succeed: connection, rollback, shutdown, lock, full.
_RETRYABLE_STATES = re.compile(r"^(08|40|57P|55P03|53300)")
#: libpq reports these while connecting, without an error code; waiting does not help.
_REFUSED = re.compile(r"authentication failed|does not exist|no pg_hba|no password supplied", re.IGNORECASE)


@dataclass(frozen=True)
class Schema:
    """Tables that are brought up to date together.

    Attributes:
        head: the newest migration's id.
        migrations: the folder of the migrations.
        version_table: the table that names the last migration which was applied.
        pragmas: settings of each connection to SQLite.
    """

    head: str = HEAD
    migrations: Path = Path(__file__).parent / "migrations"
    version_table: str = "alembic_version"
    pragmas: tuple[str, ...] = ()


CATALOG = Schema()


class Database:
    """An engine, and transactions whose errors are `CatalogError` and its kinds.

    Args:
        url: a SQLAlchemy URL of SQLite (a file) or PostgreSQL.
        timeout_s: seconds to wait for another writer's lock, or for a connection.
        connections: at most, for transactions.
        schema: the tables that `upgrade` makes.
    """

    def __init__(
        self, url: str | URL, timeout_s: float, connections: int = _MOST_CONNECTIONS, schema: Schema = CATALOG
    ) -> None:
        self.url = url if isinstance(url, URL) else checked_url(url)
        self._schema = schema
        self._timeout_s = timeout_s
        self._state: FileState | None = None
        self._engine = self._create_engine(connections)
        self._statements = self._engine
        if not self.is_local:
            # To begin and to end a transaction, and to say which kind, asks PostgreSQL three times more.
            self._statements = self._create_engine(_MOST_FOR_STATEMENTS, isolation_level="AUTOCOMMIT")

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine, of which reading waits for no network and no writer."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def name(self) -> str:
        """The URL without its password and its options, one of which may be a password, for messages."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    def nearby(self) -> Database | None:
        """Return this database with one connection of its own, for one reader; None where it is on another machine."""
        if not self.is_local:
            return None
        found = Database(self.url, _NEARBY_S, 1, self._schema)
        found._state = FileState(Path(self.url.database or ""))
        return found

    def number(self) -> int | None:
        """Return a number that is another one after each change; None where it is not known: of all but nearby ones."""
        return self._state.number() if self._state is not None else None

    def close(self) -> None:
        """Close every connection."""
        if self._state is not None:
            self._state.close()
        self._engine.dispose()
        self._statements.dispose()

    @contextmanager
    def read(self, *, single: bool = False) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database and changes nothing.

        `single` is for one statement alone, which sees one state by itself: PostgreSQL is not asked to begin and end.
        """
        with self._errors(), (self._statements if single else self._engine).connect() as connection:
            if not self.is_local and not single:  # Otherwise each statement would see a state of its own.
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction for changes; SQLite's writers take turns from its first statement on."""
        with self._errors(), self._engine.connect() as connection:
            connection = connection.execution_options(weighbridge_write=True)
            with connection.begin():
                yield connection

    def upgrade(self) -> None:
        """Bring the schema up to date; if several processes try, one does it and the others wait.

        Raises:
            CatalogError: the schema is newer than this code, or the database cannot be used.
            CatalogUnavailable: the database is locked or not reachable.
        """
        with self._errors():
            if self.is_local:
                self._switch_to_wal()
            with self._engine.connect() as connection:
                if self._revision(connection) == self._schema.head:
                    return
        with self.write() as connection:
            if self.url.get_backend_name() == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            self._migrate(connection)

    def _migrate(self, connection: Connection) -> None:
        # Alembic takes 0.3 s to import, and only the first opening needs it.
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(self._schema.migrations).replace("%", "%%"))
        current = self._revision(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if current is not None and current not in known:
            raise CatalogError(
                f"The catalog at {self.name} was written by a newer Weighbridge: schema {current}, "
                f"known up to {self._schema.head}.",
                "Upgrade Weighbridge on this machine, or name another catalog.",
                revision=current,
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    def _revision(self, connection: Connection) -> str | None:
        table = self._schema.version_table
        if not inspect(connection).has_table(table):
            return None
        return connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608

    def _create_engine(self, most: int, **options: Any) -> Engine:
        # SQLAlchemy closes connections beyond `pool_size` after each use.
        options |= {"pool_size": most, "max_overflow": 0, "pool_timeout": self._timeout_s, "hide_parameters": True}
        options |= {"json_deserializer": _read_json}
        if self.is_local:
            return self._create_sqlite_engine(options)
        milliseconds = max(1, int(self._timeout_s * 1000))
        arguments = {"connect_timeout": max(2, int(self._timeout_s)), "options": f"-c lock_timeout={milliseconds}"}
        try:
            engine = create_engine(self.url, connect_args=arguments, **options)
        except ImportError as error:
            raise CatalogError(
                "The catalog is a PostgreSQL database, and its driver is not installed.",
                install_command("postgresql"),
            ) from error
        event.listen(engine, "checkin", _note_return)
        event.listen(engine, "checkout", partial(_ask_whether_it_stands, engine))
        return engine

    def _create_sqlite_engine(self, options: dict[str, Any]) -> Engine:
        assert self.url.database is not None
        path = Path(self.url.database)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogError(
                f"The folder of the catalog, {path.parent}, cannot be made: {error.strerror}.",
                "Check that this user may write there, or set WEIGHBRIDGE_HOME to another folder.",
                path=str(path),
            ) from error
        arguments = {"timeout": self._timeout_s, "check_same_thread": False}
        engine = create_engine(self.url, connect_args=arguments, **options)
        event.listen(engine, "connect", partial(_configure_sqlite, self._schema.pragmas))
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _switch_to_wal(self) -> None:
        # Unlike other statements, this switch does not wait for other connections: two first openings race here.
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_sqlite_busy),
            stop=tenacity.stop_after_delay(self._timeout_s),
            wait=tenacity.wait_random(0.01, 0.05),
            reraise=True,
        )
        for attempt in retrying:
            with attempt:
                connection = self._engine.raw_connection()
                try:
                    cursor = connection.cursor()
                    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                        cursor.execute("PRAGMA journal_mode = WAL")
                finally:
                    connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise CatalogError(
                f"The catalog at {self.name} refused a contradictory entry: {_first_line(error.orig)}.",
                "Run the same command again; if it stays so, report it as a bug.",
            ) from error
        except PoolTimeout as error:
            raise self._unavailable("every connection to it is in use") from error
        except DBAPIError as error:
            raise self._translate(error, error.orig) from error
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise self._translate(error, error) from error

    def _translate(self, error: BaseException, cause: BaseException | None) -> CatalogError:
        reason = _first_line(cause) or type(error).__name__
        if _is_sqlite_busy(error) or _is_sqlite_busy(cause):
            return self._unavailable("another process holds its lock")
        if _is_passing(cause):
            return self._unavailable(reason)
        return CatalogError(
            f"The catalog at {self.name} cannot be used: {reason}.",
            "Check that the database is whole, has space left, and that this user may write to it.",
            url=self.name,
        )

    def _unavailable(self, reason: str) -> CatalogUnavailable:
        return CatalogUnavailable(
            f"The catalog at {self.name} is not available: {reason}.",
            "Wait for the other process or start the database, then run the same command again; nothing was lost.",
            url=self.name,
        )


def take_turns(connection: Connection, what: str) -> None:
    """Wait until no other writer has taken the same turn; it ends with the transaction. In SQLite, all take turns."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": what})


def insert(connection: Connection, table: Table) -> Any:
    """Return an INSERT of the connection's dialect, which has `on_conflict_do_update` and `on_conflict_do_nothing`."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # It imports asyncpg, which no SQLite catalog needs.

        return postgresql.insert(table)
    return sqlite.insert(table)


def checked_url(text: str) -> URL:
    """Return the URL of a catalog, with the driver that is used here.

    Raises:
        InvalidConfiguration: it names no such database.
    """
    example = "Write sqlite:////path/catalog.db or postgresql+psycopg://user@host/database."
    try:
        url = make_url(text)
    except ArgumentError as error:
        # Show neither the URL nor SQLAlchemy's message: the URL may hold a password.
        raise InvalidConfiguration("The catalog's URL cannot be read.", example) from error
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not url.database or url.database == ":memory:":
        raise InvalidConfiguration(f"The catalog cannot be kept in a database of the kind “{url.drivername}”.", example)
    return url


def _read_json(text: str | bytes) -> Any:
    long = _LONG_NUMBER.search(text) if isinstance(text, str) else _LONG_NUMBER_IN_BYTES.search(text)
    if not long:  # Orjson makes those of more than 64 bits inexact.
        with suppress(orjson.JSONDecodeError):  # It knows no NaN and no lone surrogate.
            return orjson.loads(text)
    return json.loads(text)


def _note_return(_connection: Any, record: Any) -> None:
    record.info["returned"] = time.monotonic()


def _ask_whether_it_stands(engine: Engine, connection: Any, record: Any, _proxy: Any) -> None:
    """Ask whether the server still knows a connection that was not used a moment ago: asking takes as long as reading.

    Raises:
        DisconnectionError: it does not; the pool opens another one.
    """
    unused_s = time.monotonic() - record.info.get("returned", 0.0)
    if unused_s < _TRUSTED_S or (unused_s < _ASKED_S and not _has_news(connection)):
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise DisconnectionError(str(error)) from error


def _has_news(connection: Any) -> bool:
    """Return whether the server sent something that nobody asked for: usually, that it ended the connection."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _configure_sqlite(pragmas: tuple[str, ...], connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # The driver must not begin transactions itself: `_begin_sqlite` does.
    for pragma in ("foreign_keys = ON", *pragmas):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("weighbridge_write")
    # By the driver's own connection: SQLAlchemy takes ten times as long for it as SQLite.
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0] if error else ""


def _is_sqlite_busy(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_BUSY


def _is_passing(cause: BaseException | None) -> bool:
    """Whether PostgreSQL's driver reports a temporary error: by its code, or without a code a lost connection."""
    if isinstance(cause, sqlite3.Error):
        return False
    state = str(getattr(cause, "sqlstate", None) or "")
    if state:
        return bool(_RETRYABLE_STATES.match(state))
    return type(cause).__name__ == "OperationalError" and not _REFUSED.search(str(cause))
