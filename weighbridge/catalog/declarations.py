"""Declarations in the catalog: what people say of a model, and of what is new in a version.

`Catalog.declarations` is one; its errors are those of `Catalog`. Not here: what a declaration is worth beside what the
files say (domain.declarations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from weighbridge.catalog import listings, schema, versions
from weighbridge.catalog.changes import Changes, Transaction
from weighbridge.catalog.database import insert
from weighbridge.catalog.listings import ModelSummary
from weighbridge.domain.declarations import ModelDeclaration, changed
from weighbridge.errors import NotInCatalog

_table, _logs = schema.declarations, schema.changelogs
_NAMED = schema.models.c.name == bindparam("name")
_OF_MODEL = select(_table).join(schema.models, schema.models.c.id == _table.c.model_id).where(_NAMED)
_CHANGELOG = (
    select(_logs.c.text)
    .join(schema.versions, schema.versions.c.id == _logs.c.version_id)
    .join(schema.models, schema.models.c.id == schema.versions.c.model_id)
    .where(_NAMED, schema.versions.c.version == bindparam("version"))
)


class Declarations:
    """The declarations of a catalog; safe for threads and processes."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def of(self, name: str) -> ModelDeclaration | None:
        """Return what is declared of a model, or None."""
        with self._database.read(single=True) as connection:
            return _of(connection, name)

    def change(
        self,
        name: str,
        changes: Mapping[str, Any],
        check: Callable[[ModelSummary], None] | None = None,
        *,
        said_at: datetime | None = None,
    ) -> ModelDeclaration | None:
        """Change what is declared of a model, and return it; None as a value takes a field back.

        Args:
            name: the model's name.
            changes: by field; what is not named stays, and so does what was said of a field later than this.
            check: gets the model's line in the same transaction; what it raises prevents the change.
            said_at: when it was said; now, when None.

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
            said = _said_at(connection, name)
            newer = {field: value for field, value in changes.items() if not _is_after(said.get(field), said_at)}
            after = changed(before, newer)
            said |= dict.fromkeys(newer, said_at or change.now)
            if after != before:
                _store(connection, name, after, said, change)
                listings.refresh(connection, name)
                change.record("model.declared", name, before=before or None, after=after or None)
            elif newer:
                _note(connection, name, said)
            return _of(connection, name)

    def changelog(self, name: str, version: str) -> str:
        """Return what is new in a version, in the words of whoever added it; empty where nobody said."""
        with self._database.read(single=True) as connection:
            return str(connection.execute(_CHANGELOG, {"name": name, "version": version}).scalar() or "")

    def set_changelog(self, name: str, version: str, text: str, *, said_at: datetime | None = None) -> None:
        """Store what is new in a version, unless another text is there that was said later than this one.

        Raises:
            NotInCatalog: there is no such version.
        """
        with self._changes.begin() as change:
            connection, at = change.connection, said_at or change.now
            version_id, _status = versions.require(connection, name, version, hold=True)
            query = select(_logs.c.text, _logs.c.said_at).where(_logs.c.version_id == version_id)
            before = connection.execute(query).one_or_none()
            if before is not None and (before.text == text or _is_after(before.said_at, said_at)):
                return
            row = {"text": text, "said_at": at}
            written = insert(connection, _logs).values(row | {"version_id": version_id})
            connection.execute(written.on_conflict_do_update(index_elements=["version_id"], set_=row))
            was = {"changelog": before.text} if before is not None else None
            change.record("version.described", f"{name}@{version}", before=was, after={"changelog": text})


def _is_after(one: datetime | None, other: datetime | None) -> bool:
    """Return whether something was said later than something else; None for one stands for never, for other for now."""
    return one is not None and other is not None and one > other


def _of(connection: Connection, name: str) -> ModelDeclaration | None:
    row = connection.execute(_OF_MODEL, {"name": name}).one_or_none()
    if row is None or not row.content:
        return None
    return ModelDeclaration(row.content, row.declared_by, row.declared_at.isoformat())


def _said_at(connection: Connection, name: str) -> dict[str, datetime]:
    """Return when each field of a model was declared, or taken back."""
    row = connection.execute(select(_table).where(_table.c.model_id == _model_id(name))).one_or_none()
    if row is None:
        return {}
    if row.said_at is None:
        return dict.fromkeys(row.content, row.declared_at)
    return {field: datetime.fromisoformat(at) for field, at in row.said_at.items()}


def _store(
    connection: Connection,
    name: str,
    content: Mapping[str, Any],
    said_at: Mapping[str, datetime],
    change: Transaction,
) -> None:
    """Store a declaration; one of which everything was taken back keeps when."""
    connection.execute(_table.delete().where(_table.c.model_id == _model_id(name)))
    row = {"content": dict(content), "declared_by": change.actor, "declared_at": change.now, "said_at": _texts(said_at)}
    connection.execute(_table.insert().values(row | {"model_id": _model_id(name)}))


def _note(connection: Connection, name: str, said_at: Mapping[str, datetime]) -> None:
    """Store that what is declared was said again: what was said before that changes it no more."""
    this = _table.c.model_id == _model_id(name)
    connection.execute(_table.update().where(this).values(said_at=_texts(said_at)))


def _texts(said_at: Mapping[str, datetime]) -> dict[str, str]:
    return {field: at.isoformat() for field, at in said_at.items()}


def _model_id(name: str) -> Any:
    return select(schema.models.c.id).where(schema.models.c.name == name).scalar_subquery()
