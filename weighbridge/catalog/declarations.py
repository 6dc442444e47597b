"""Declarations in the catalog: what people say of a model, and of what is new in a version.

`Catalog.declarations` is one; its errors are those of `Catalog`. Not here: what a declaration is worth beside what the
files say (domain.declarations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from weighbridge.catalog import listings, schema, versions
from weighbridge.catalog.changes import Changes
from weighbridge.catalog.database import insert
from weighbridge.catalog.listings import ModelSummary
from weighbridge.domain.declarations import ModelDeclaration, changed
from weighbridge.errors import NotInCatalog

_table, _logs = schema.declarations, schema.changelogs


class Declarations:
    """The declarations of a catalog; safe for threads and processes."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def of(self, name: str) -> ModelDeclaration | None:
        """Return what is declared of a model, or None."""
        with self._database.read() as connection:
            return _of(connection, name)

    def change(
        self, name: str, changes: Mapping[str, Any], check: Callable[[ModelSummary], None] | None = None
    ) -> ModelDeclaration | None:
        """Change what is declared of a model, and return it; None as a value takes a field back.

        `check` gets the model's line in the same transaction; what it raises prevents the change.

        Raises:
            NotInCatalog: there is no such model.
        """
        with self._changes.begin() as change:
            connection = change.connection
            versions.lock(connection, name)
            model = listings.of_model(connection, name)
            if model is None:
                raise NotInCatalog(f"There is no model {name}.", "See weighbridge list.", name=name)
            if check is not None:
                check(model)
            before = model.declared.content if model.declared else {}
            after = changed(before, changes)
            if after != before:
                _store(connection, name, after, change.actor, change.now)
                listings.refresh(connection, name)
                change.record("model.declared", name, before=before or None, after=after or None)
            return _of(connection, name)

    def changelog(self, name: str, version: str) -> str:
        """Return what is new in a version, in the words of whoever added it; empty where nobody said."""
        models, table = schema.models, schema.versions
        query = (
            select(_logs.c.text)
            .join(table, table.c.id == _logs.c.version_id)
            .join(models, models.c.id == table.c.model_id)
            .where(models.c.name == name, table.c.version == version)
        )
        with self._database.read() as connection:
            return str(connection.execute(query).scalar() or "")

    def set_changelog(self, name: str, version: str, text: str) -> None:
        """Store what is new in a version; a second call is harmless.

        Raises:
            NotInCatalog: there is no such version.
        """
        with self._changes.begin() as change:
            connection = change.connection
            version_id, _status = versions.require(connection, name, version, hold=True)
            before = connection.execute(select(_logs.c.text).where(_logs.c.version_id == version_id)).scalar()
            if text == before:
                return
            row = {"version_id": version_id, "text": text}
            written = insert(connection, _logs).values(row)
            connection.execute(written.on_conflict_do_update(index_elements=["version_id"], set_={"text": text}))
            was = {"changelog": before} if before is not None else None
            change.record("version.described", f"{name}@{version}", before=was, after={"changelog": text})


def _of(connection: Connection, name: str) -> ModelDeclaration | None:
    models = schema.models
    query = select(_table).join(models, models.c.id == _table.c.model_id).where(models.c.name == name)
    row = connection.execute(query).one_or_none()
    return ModelDeclaration(row.content, row.declared_by, row.declared_at.isoformat()) if row is not None else None


def _store(connection: Connection, name: str, content: Mapping[str, Any], actor: str, now: datetime) -> None:
    models = schema.models
    model_id = connection.execute(select(models.c.id).where(models.c.name == name)).scalar_one()
    connection.execute(_table.delete().where(_table.c.model_id == model_id))
    if content:
        row = {"model_id": model_id, "content": dict(content), "declared_by": actor, "declared_at": now}
        connection.execute(_table.insert().values(row))
