"""Transits in the catalog: models that the mirror hands on before their verdict, and who got which of their files.

`Catalog.transits` is one; its errors are those of `Catalog`. What becomes of a transit is in the audit log at its end,
with the recipients, as a row for each file and client would be many. Not here: what is handed on to whom
(intake.read_through).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from weighbridge.catalog.changes import Changes
from weighbridge.catalog.database import insert
from weighbridge.catalog.transit_tables import recipients, transits
from weighbridge.domain.audit import EXPOSED, SERVED
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef

_COLUMNS = tuple(column for column in transits.c if column.name != "manifest")


@dataclass(frozen=True)
class Transit:
    """A model at one commit that is handed on while it has no verdict.

    Attributes:
        id: of its row.
        kind: what it is for clients: of `RepoKind`.
        repository: its name upstream.
        name: its name in the catalog, which it gets with the verdict.
        commit: upstream's.
        asker: who asked for it first, as the audit log names callers.
        described_at: when upstream last said that the revision asked for is this commit; UTC.
        used_at: when a file was last asked for; None where none was since it was last weighed.
        job: the job that weighs it; empty for none.
    """

    id: int
    kind: str
    repository: str
    name: str
    commit: str
    asker: str
    described_at: datetime
    used_at: datetime | None
    job: str


@dataclass(frozen=True)
class TransitEnd:
    """What became of a transit.

    Attributes:
        version: the number of its version; empty where it could not be weighed.
        passed: whether it was let in.
        facts: what the audit log says of it; plain JSON.
    """

    version: str
    passed: bool
    facts: Mapping[str, Any]


class Transits:
    """The transits of a catalog; safe for threads and processes."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def describe(self, kind: str, name: str, declared: Manifest, asker: str) -> None:
        """Store what upstream declares of a model at a commit, or that it still is so.

        Args:
            kind: of `RepoKind`.
            name: the catalog's name for it.
            declared: what upstream declares; its reference is pinned to the commit.
            asker: who asks, as the audit log names callers.
        """
        now, table = self._changes.clock(), transits
        row = {
            "kind": kind,
            "repository": declared.ref.id,
            "name": name,
            "commit_id": declared.ref.revision,
            "manifest": _to_json(declared),
            "asker": asker,
            "described_at": now,
        }
        with self._database.write() as connection:
            new = insert(connection, table).values(row)
            again = {"manifest": new.excluded.manifest, "described_at": now}
            connection.execute(new.on_conflict_do_update(index_elements=["name", "commit_id"], set_=again))

    def newest(self, kind: str, name: str) -> Transit | None:
        """Return the transit under a name of the catalog that upstream described last, or None."""
        table = transits
        query = select(*_COLUMNS).where(table.c.kind == kind, table.c.name == name)
        return self._first(query.order_by(table.c.described_at.desc(), table.c.id.desc()))

    def of_commit(self, kind: str, repository: str, commit: str) -> Transit | None:
        """Return the transit of a repository at a commit, or None; of several, the one without another revision."""
        table = transits
        mine = (table.c.kind == kind, table.c.repository == repository, table.c.commit_id == commit)
        return self._first(select(*_COLUMNS).where(*mine).order_by(table.c.name))

    def manifest(self, id_: int) -> Manifest:
        """Return what upstream declares of a transit."""
        with self._database.read() as connection:
            query = select(transits.c.manifest).where(transits.c.id == id_)
            return _from_json(connection.execute(query).scalar_one())

    def unweighed(self) -> list[Transit]:
        """Return the transits of which a file was asked for and that have no verdict yet."""
        with self._database.read() as connection:
            query = select(*_COLUMNS).where(transits.c.used_at.is_not(None)).order_by(transits.c.id)
            return [_transit(row) for row in connection.execute(query)]

    def hand_on(self, id_: int, path: str, actor: str, address: str) -> None:
        """Record, before the first byte, that an actor gets a file at an address."""
        now = self._changes.clock()
        row = {"transit_id": id_, "path": path, "actor": actor, "address": address, "at": now}
        with self._database.write() as connection:
            connection.execute(insert(connection, recipients).values(row).on_conflict_do_nothing())
            _change(connection, id_, {"used_at": now})

    def use(self, id_: int) -> None:
        """Note that files of a transit are still asked for."""
        with self._database.write() as connection:
            _change(connection, id_, {"used_at": self._changes.clock()})

    def weighed_by(self, id_: int, job: str) -> None:
        """Note the job that weighs a transit; empty for none any more."""
        with self._database.write() as connection:
            _change(connection, id_, {"job_id": job or None})

    def settle(self, id_: int, end: TransitEnd) -> bool:
        """Write who got files of a transit into the audit log, with the verdict; return False where that was done.

        Each recipient is the actor of a row: of `version.served`, as for any version that passed, or of
        `version.exposed`, which names the files, where it was not let in or could not be weighed.
        """
        with self._changes.begin() as change:
            row = change.connection.execute(select(transits).where(transits.c.id == id_).with_for_update()).first()
            if row is None or row.used_at is None:
                return False
            object_ = f"{row.name}@{end.version}" if end.version else row.name
            for (actor, address), paths in sorted(_recipients(change.connection, id_).items()):
                after = {**end.facts, "commit": row.commit_id, "address": address}
                if end.passed:
                    change.of(actor).record(SERVED, object_, after=after)
                else:
                    change.of(actor).record(EXPOSED, object_, after={**after, "files": paths})
            change.connection.execute(recipients.delete().where(recipients.c.transit_id == id_))
            _change(change.connection, id_, {"used_at": None})
        return True

    def forget(self, older_than: timedelta) -> int:
        """Delete the transits that are weighed, or were never used, and described longer ago than that."""
        table = transits
        old = (table.c.used_at.is_(None), table.c.described_at < self._changes.clock() - older_than)
        with self._database.write() as connection:
            return connection.execute(table.delete().where(*old)).rowcount

    def _first(self, query: Select[Any]) -> Transit | None:
        with self._database.read(single=True) as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else _transit(row)


def _change(connection: Connection, id_: int, values: Mapping[str, Any]) -> None:
    connection.execute(transits.update().where(transits.c.id == id_).values(values))


def _recipients(connection: Connection, id_: int) -> dict[tuple[str, str], list[str]]:
    """Return the paths that each actor got at each address, sorted."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    query = select(recipients).where(recipients.c.transit_id == id_).order_by(recipients.c.path)
    for row in connection.execute(query):
        found[row.actor, row.address].append(row.path)
    return found


def _transit(row: Row[Any]) -> Transit:
    return Transit(
        id=row.id,
        kind=row.kind,
        repository=row.repository,
        name=row.name,
        commit=row.commit_id,
        asker=row.asker,
        described_at=row.described_at,
        used_at=row.used_at,
        job=row.job_id or "",
    )


def _to_json(declared: Manifest) -> dict[str, Any]:
    files = [{**one.to_json(), **({"version": one.version} if one.version else {})} for one in declared.files]
    return {"uri": declared.ref.uri, "files": files, "gated": declared.gated}


def _from_json(content: Mapping[str, Any]) -> Manifest:
    files = []
    for one in content["files"]:
        entry = FileEntry.from_json(one)
        files.append(FileEntry(entry.path, entry.size, entry.digest, one.get("version", "")))
    return Manifest(ModelRef.parse(content["uri"]), tuple(files), gated=content["gated"])
