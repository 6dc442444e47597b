"""Many rows at once, by the drivers: SQLAlchemy takes several times as long as either database for a page of models.

Not here: what is written (catalog.hub_rows).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, text

Rows = Sequence[tuple[Any, ...]]


def insert_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Rows) -> None:
    """Insert rows of these columns."""
    if not rows:
        return
    names = ", ".join(columns)
    if connection.dialect.name == "postgresql":
        source = _unnested(connection, table, columns)
        _run_arrays(connection, f"INSERT INTO {table.name} ({names}) SELECT * FROM {source}", rows)  # noqa: S608
        return
    marks = ", ".join("?" * len(columns))
    _driver(connection).executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)  # noqa: S608


def update_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Rows) -> None:
    """Set columns of rows; the last value of each is the row's number."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        settings = ", ".join(f"{name} = new.{name}" for name in columns)
        source = _unnested(connection, table, (*columns, "number"))
        condition = f"WHERE {table.name}.number = new.number"
        _run_arrays(connection, f"UPDATE {table.name} SET {settings} FROM {source} {condition}", rows)  # noqa: S608
        return
    settings = ", ".join(f"{name} = ?" for name in columns)
    _driver(connection).executemany(f"UPDATE {table.name} SET {settings} WHERE number = ?", rows)  # noqa: S608


def in_list(connection: Connection, query: str, values: Sequence[str | int | bytes], **others: Any) -> list[Any]:
    """Return the rows of a query that has `IN :values`, of any number of values of one type."""
    if not values:
        return []
    if connection.dialect.name == "postgresql":
        kind = {str: "text", int: "bigint", bytes: "bytea"}[type(values[0])]
        query = query.replace("IN :values", f"= ANY(CAST(:values AS {kind}[]))")
        return list(connection.execute(text(query), {"values": list(values), **others}))
    if isinstance(values[0], bytes):
        marks = ", ".join("?" * len(values))
        return list(_driver(connection).execute(query.replace(":values", f"({marks})"), list(values)))
    query = query.replace(":values", "(SELECT value FROM json_each(:values))")
    return list(_driver(connection).execute(query, {"values": json.dumps(list(values)), **others}))


def run_many(connection: Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Run a statement of SQLite's for each row of values."""
    _driver(connection).executemany(statement, rows)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _unnested(connection: Connection, table: Table, columns: Sequence[str]) -> str:
    arrays = ", ".join(f"%s::{_type(connection, table, name)}[]" for name in columns)
    return f"unnest({arrays}) AS new({', '.join(columns)})"


def _type(connection: Connection, table: Table, name: str) -> str:
    return str(table.c[name].type.compile(connection.dialect)).partition(" COLLATE")[0]


def _run_arrays(connection: Connection, statement: str, rows: Rows) -> None:
    arrays = [list(column) for column in zip(*rows, strict=True)]
    connection.exec_driver_sql(statement, tuple(arrays))
