"""Receipts in the catalog: how much of which file of a version who got.

They are in no audit log, as they change nothing; that somebody is given files of a version is, before the first byte.
Not here: counting transfers (intake.receipts).
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Select, case, select

from weighbridge.catalog import schema
from weighbridge.catalog.database import Database, insert
from weighbridge.catalog.receipt_tables import receipts
from weighbridge.domain.receipts import Receipt

#: Of a receipt, and of its row, in order.
_FIELDS = ("actor", "address", "path", "first_at", "last_at", "transfers", "whole", "size")


class Receipts:
    """The receipts of a catalog; `Catalog.receipts` is one. Its methods raise as the catalog's do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Iterable[Receipt]) -> None:
        """Add transfers; those of versions that the catalog does not have are dropped."""
        table, ids = receipts, dict[tuple[str, str], int | None]()
        with self._database.write() as connection:
            for receipt in sorted(new, key=lambda one: one.key):  # Two processes lock rows in one order.
                which = receipt.name, receipt.version
                if which not in ids:
                    ids[which] = connection.execute(_id_of(*which)).scalar_one_or_none()
                if ids[which] is None:
                    continue
                row = {"version_id": ids[which], **{name: getattr(receipt, name) for name in _FIELDS}}
                statement = insert(connection, table).values(row)
                fresh, known = statement.excluded, table.c
                changes = {name: known[name] + fresh[name] for name in ("transfers", "whole", "size")}
                changes["first_at"] = case((fresh.first_at < known.first_at, fresh.first_at), else_=known.first_at)
                changes["last_at"] = case((fresh.last_at > known.last_at, fresh.last_at), else_=known.last_at)
                keys = ["version_id", "actor", "address", "path"]
                connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes))

    def of(self, name: str, version: str) -> list[Receipt]:
        """Return the receipts of a version, removed ones included, sorted by caller, address and path."""
        table = receipts
        with self._database.read() as connection:
            id_ = connection.execute(_id_of(name, version)).scalar_one_or_none()
            order = (table.c.actor, table.c.address, table.c.path)
            rows = connection.execute(select(table).where(table.c.version_id == id_).order_by(*order))
            return [Receipt(name, version, *(getattr(row, field) for field in _FIELDS)) for row in rows]


def _id_of(name: str, version: str) -> Select[tuple[int]]:
    models, versions = schema.models, schema.versions
    query = select(versions.c.id).join(models, models.c.id == versions.c.model_id)
    return query.where(models.c.name == name, versions.c.version == version)
