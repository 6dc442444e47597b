"""Keys in the catalog: by what programs and people are known to the served registry; only a hash of each is stored.

Not here: what a key looks like and what a role allows (domain.access).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, bindparam, select

from weighbridge.catalog import messages, receivers, schema, webhook_tables
from weighbridge.catalog.changes import Changes
from weighbridge.catalog.database import insert
from weighbridge.domain.access import Caller, Role, checked_role
from weighbridge.errors import NotInCatalog, StateConflict

KeyState = Literal["valid", "expired", "revoked"]
#: How exact the time of the last use is: a key that is used all the time costs one write in this time.
USE_EVERY = timedelta(minutes=1)
_table = schema.access_keys
_HASHED = select(_table).where(_table.c.hash == bindparam("hash"))
_NUMBERED = select(_table).where(_table.c.id == bindparam("id"))
_UNREVOKED = select(_table).where(_table.c.name == bindparam("name"), _table.c.revoked_at.is_(None))


@dataclass(frozen=True)
class AccessKey:
    """A key, without its text.

    Attributes:
        id: of the row.
        name: of the key; that of a revoked key may be given again.
        role: what its owner may do.
        models: patterns of models' names that the role holds for; empty for every model.
        created_at: when it was made; UTC.
        expires_at: from when on it is not valid, or None.
        revoked_at: since when it is not valid, or None.
        used_at: when it was last used, to a minute, or None.
    """

    id: int
    name: str
    role: Role
    models: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None

    @property
    def caller(self) -> Caller:
        """The caller that the key makes its owner."""
        return Caller(self.name, self.role, self.models, key_id=self.id)

    def state(self, now: datetime) -> KeyState:
        """Return whether the key is valid at a time."""
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if self.expires_at is None or now < self.expires_at else "expired"

    def to_json(self, now: datetime) -> dict[str, Any]:
        """Return plain JSON types, with the state at a time."""
        value = {name: found for name, found in vars(self).items() if name != "id"} | {"models": list(self.models)}
        moments = ("created_at", "expires_at", "revoked_at", "used_at")
        texts = {name: value[name].isoformat() if value[name] else None for name in moments}
        return value | texts | {"state": self.state(now)}


class Keys:
    """The keys of a catalog; `Catalog.keys` is one. Its errors are those of `Catalog`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def add(self, name: str, hash_: str, role: Role, models: tuple[str, ...], expires_at: datetime | None) -> AccessKey:
        """Store a new key by its hash.

        Raises:
            StateConflict: there is a key of that name that is not revoked.
        """
        with self._changes.begin() as change:
            row = {"name": name, "hash": hash_, "role": role, "models": list(models), "expires_at": expires_at}
            statement = insert(change.connection, schema.access_keys).values(row | {"created_at": change.now})
            stored = statement.on_conflict_do_nothing().returning(schema.access_keys.c.id)
            if change.connection.execute(stored).first() is None:
                raise StateConflict(
                    f"There is a key {name} already.",
                    f"Give the new key another name, or revoke the old one first: weighbridge token revoke {name}.",
                    name=name,
                )
            until = expires_at.isoformat() if expires_at else None
            change.record("key.created", f"key:{name}", after={"role": role, "models": models, "expires_at": until})
            added = _one(change.connection, _UNREVOKED, name=name)
            assert added is not None
            return added

    def revoke(self, name: str) -> AccessKey:
        """Make a key invalid for good, and return it; what hangs on its name ends with it. Raises NotInCatalog.

        Nothing more goes to its receivers, and its jobs are not those of a later key's orders.
        """
        table, jobs, because = schema.access_keys, schema.jobs, f"The key {name} is revoked."
        with self._changes.begin() as change:
            found = _one(change.connection, _UNREVOKED.with_for_update(), name=name)
            if found is None:
                raise NotInCatalog(f"There is no valid key {name}.", "See weighbridge token list.", name=name)
            statement = table.update().where(table.c.id == found.id).values(revoked_at=change.now)
            change.connection.execute(statement)
            change.record("key.revoked", f"key:{name}", before={"role": found.role, "models": found.models})
            receivers.disable(change, webhook_tables.subscriptions.c.key_id == found.id, because)
            messages.expire(change.connection, webhook_tables.deliveries.c.key_id == found.id, because, change.now)
            change.connection.execute(jobs.update().where(jobs.c.asker == found.caller.actor).values(key=None))
            revoked = _one(change.connection, _NUMBERED, id=found.id)
            assert revoked is not None
            return revoked

    def of(self, hash_: str) -> AccessKey | None:
        """Return the key with a hash, valid or not, or None."""
        with self._changes.database.read(single=True) as connection:
            return _one(connection, _HASHED, hash=hash_)

    def named(self, name: str) -> AccessKey | None:
        """Return the key of a name that is not revoked, or None."""
        with self._changes.database.read(single=True) as connection:
            return _one(connection, _UNREVOKED, name=name)

    def get(self, id_: int) -> AccessKey:
        """Return the key of a row, valid or not. Raises NotInCatalog."""
        with self._changes.database.read(single=True) as connection:
            found = _one(connection, _NUMBERED, id=id_)
        if found is None:
            raise NotInCatalog("There is no such key.", "See weighbridge token list.")
        return found

    def seal(self, id_: int, text: str) -> str:
        """Return a keyed digest of a text, which nobody can make who does not know a key or its stored hash.

        Raises:
            NotInCatalog: there is no such key.
        """
        with self._changes.database.read(single=True) as connection:
            row = connection.execute(_NUMBERED, {"id": id_}).one_or_none()
        if row is None:
            raise NotInCatalog("There is no such key.", "See weighbridge token list.")
        return hmac.new(row.hash.encode(), text.encode(), "sha256").hexdigest()

    def listed(self) -> list[AccessKey]:
        """Return every key, the newest first, revoked ones too."""
        with self._changes.database.read() as connection:
            rows = connection.execute(select(schema.access_keys).order_by(schema.access_keys.c.id.desc()))
            return [_key(row) for row in rows]

    def note_use(self, id_: int, at: datetime) -> None:
        """Store when a key was used; not in the audit log, as it changes nothing that anybody decided."""
        table = schema.access_keys
        earlier = table.c.used_at.is_(None) | (table.c.used_at <= at - USE_EVERY)
        with self._changes.database.write() as connection:
            connection.execute(table.update().where(table.c.id == id_, earlier).values(used_at=at))


def _one(connection: Connection, query: Select[Any], **values: Any) -> AccessKey | None:
    row = connection.execute(query, values).one_or_none()
    return _key(row) if row is not None else None


def _key(row: Row[Any]) -> AccessKey:
    return AccessKey(
        id=row.id,
        name=row.name,
        role=checked_role(row.role),
        models=tuple(row.models),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
    )
