"""Acknowledgements in the catalog: who has read the licence of which version, and when.

`Catalog.acknowledgements` is one; its errors are those of `Catalog`. They are only ever added. Not here: when one is
needed (domain.acknowledgements).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from weighbridge.catalog import schema, versions
from weighbridge.catalog.changes import Changes
from weighbridge.catalog.column_types import LIMIT, NO_LIMIT
from weighbridge.domain.acknowledgements import Acknowledgement
from weighbridge.errors import StateConflict

_table = schema.acknowledgements
_OF_MODEL = (
    select(_table)
    .join(schema.models, schema.models.c.id == _table.c.model_id)
    .where(schema.models.c.name == bindparam("model"), _table.c.id < bindparam("before"))
    .order_by(_table.c.id.desc())
    .limit(LIMIT)
)
_OF_ACTOR = _OF_MODEL.where(_table.c.actor == bindparam("actor"))


class Acknowledgements:
    """The acknowledgements of a catalog; safe for threads and processes."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def add(
        self,
        name: str,
        version: str,
        licence: str,
        texts: Mapping[str, str],
        person: str,
        is_same: Callable[[Acknowledgement], bool] = lambda earlier: False,
        most: int | None = None,
    ) -> Acknowledgement:
        """Store that a person acknowledged the licence of a version, on the word of the actor, and return it.

        Args:
            name: of the model.
            version: its number.
            licence: the licence, as the version states it.
            texts: sha256 of the licence's files, by path.
            person: the person's name.
            is_same: whether an earlier acknowledgement of the actor says the same; it is returned, and none is stored.
            most: how many of the actor's a model may have for another one to be stored; None for no limit.

        Raises:
            NotInCatalog: there is no such version.
            StateConflict: the actor has sent so many for this model.
        """
        with self._changes.begin() as change:
            connection = change.connection
            versions.lock(connection, name)
            version_id, _status = versions.require(connection, name, version, hold=True)
            earlier = _of(connection, name, change.actor)
            if found := next(filter(is_same, earlier), None):
                return found
            if most is not None and len(earlier) >= most:
                raise StateConflict(
                    f"You have sent {most} acknowledgements for {name}, and no more are stored.",
                    "The licence counts as acknowledged already. For each further person, use a key of their own.",
                    name=name,
                )
            model_id = select(schema.versions.c.model_id).where(schema.versions.c.id == version_id).scalar_subquery()
            said = {"licence": licence, "texts": dict(texts), "person": person}
            row = {"model_id": model_id, "version": version, "actor": change.actor, "acknowledged_at": change.now}
            stored = connection.execute(_table.insert().values(row | said).returning(_table)).one()
            change.record("licence.acknowledged", f"{name}@{version}", after=said)
            return _acknowledgement(stored)

    def of(
        self, name: str, *, actor: str = "", before: int | None = None, limit: int | None = None
    ) -> list[Acknowledgement]:
        """Return the acknowledgements of a model, the newest first; only of one actor, or before an id, if given."""
        with self._database.read(single=True) as connection:
            return _of(connection, name, actor, before, NO_LIMIT if limit is None else limit)


def _of(
    connection: Connection, name: str, actor: str, before: int | None = None, limit: int = NO_LIMIT
) -> list[Acknowledgement]:
    values: dict[str, Any] = {"model": name, "before": NO_LIMIT if before is None else before, "limit": limit}
    query, values = (_OF_ACTOR, values | {"actor": actor}) if actor else (_OF_MODEL, values)
    return [_acknowledgement(row) for row in connection.execute(query, values)]


def _acknowledgement(row: Row[Any]) -> Acknowledgement:
    return Acknowledgement(
        id=row.id,
        version=row.version,
        licence=row.licence,
        person=row.person,
        actor=row.actor,
        at=row.acknowledged_at.isoformat(),
        texts=row.texts,
    )
