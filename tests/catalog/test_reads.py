"""What requests read: few statements, and no table from one end to the other, however many versions there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from tests.catalog.test_catalog import settle
from tests.catalog.test_listings import add
from weighbridge.catalog import Catalog, ModelQuery

SORTS = ("name", "created", "updated", "size", "parameters")


def _part(**query: Any) -> Callable[[Catalog], Any]:
    def read(catalog: Catalog) -> Any:
        first = ModelQuery(limit=2, **query)
        found = catalog.lists.models(first)
        return catalog.lists.models(ModelQuery(limit=2, after=first.key(found[0]), **query))

    return read


#: What is read for a request, and in how many statements.
READS: dict[str, tuple[int, Callable[[Catalog], Any]]] = {
    **{f"list by {sort}": (2, _part(sort=sort)) for sort in SORTS},
    **{f"list by {sort}, reversed": (2, _part(sort=sort, descending=True)) for sort in SORTS},
    "filter": (2, _part(architecture="llama", licence="mit", tags=("a", "b"))),
    "filter by numbers": (2, _part(max_parameters=9, sort="parameters", descending=True)),
    "search": (2, lambda c: c.lists.models(ModelQuery(search="org/", limit=2))),
    "search for nothing": (1, lambda c: c.lists.models(ModelQuery(search="nothing", limit=2))),
    "one model": (1, lambda c: c.lists.model("org/a")),
    "versions": (2, lambda c: c.lists.versions("org/a", limit=2)),
    "versions before one": (2, lambda c: c.lists.versions("org/a", before="1.1.0", limit=2)),
    "one version": (4, lambda c: c.get("org/a", "1.0.0")),
    "default version": (4, lambda c: c.get("org/a")),
    "state": (1, lambda c: c.state("org/a", "1.0.0")),
    "files": (1, lambda c: c.lists.files("org/a", "1.0.0", limit=2)),
    "declaration": (1, lambda c: c.declarations.of("org/a")),
    "changelog": (1, lambda c: c.declarations.changelog("org/a", "1.0.0")),
    "acknowledgements": (1, lambda c: c.acknowledgements.of("org/a", actor="key:ci")),
    "key": (1, lambda c: c.keys.of("hash")),
    "key by name": (1, lambda c: c.keys.named("ci")),
    "newest row of the log": (1, lambda c: c.audit.head()),
}
#: A table of one row; listings, which are walked in the order of an index until a part is full; and that part.
_WALKED = {"audit_head", "listings", "anon_1"}


def test_a_read_takes_few_statements_and_scans_nothing(catalog: Catalog) -> None:
    for number in range(3):
        add(catalog, f"org/{'abc'[number]}", architecture="llama", licence="mit", tags=["a", "b"], parameter_count=7)
    settle(catalog, "more", "1.1.0", name="org/a")
    catalog.lists.models(ModelQuery(search="org/"))
    for name, (most, read) in READS.items():
        statements = _statements(catalog, read)
        assert len(statements) <= most, name
        scanned = {table for one in statements for table in _scanned(catalog, *one)}
        assert scanned <= _WALKED, name


def _statements(catalog: Catalog, read: Callable[[Catalog], Any]) -> list[tuple[str, Any]]:
    """Return the statements of a read with their values."""
    found: list[tuple[str, Any]] = []
    engine = catalog._database._engine
    event.listen(engine, "before_cursor_execute", hear := lambda *heard: found.append((heard[2], heard[3])))
    read(catalog)
    event.remove(engine, "before_cursor_execute", hear)
    return [one for one in found if one[0].startswith("SELECT")]


def _scanned(catalog: Catalog, statement: str, values: Any) -> list[str]:
    """Return the tables that a statement reads from one end to the other."""
    with catalog._database.read() as connection:
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            return re.findall(r"SCAN (\w+)", "\n".join(row.detail for row in plan))
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # So few rows are read faster without an index.
        plan = connection.exec_driver_sql(f"EXPLAIN {statement}", values)
        return re.findall(r"Seq Scan on (\w+)", "\n".join(row[0] for row in plan))
