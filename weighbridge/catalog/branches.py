"""Branches in the catalog: what commit each branch of a Hub was at when the Hub was last asked, by whichever process.

A row is knowledge about another place and no change of the catalog, so it is in no audit log. Not here: asking a Hub
(intake.branch_questions).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_, select

from weighbridge.catalog import upstream_tables
from weighbridge.catalog.changes import Changes
from weighbridge.catalog.database import insert

_table = upstream_tables.upstream_branches
#: For how long a branch is remembered that its Hub never had: anybody may ask for any number of names.
_ABSENT_FOR = timedelta(hours=1)
_KEY = ("hub", "kind", "name", "revision")
_OF_KEY = select(_table).where(and_(*(_table.c[name] == bindparam(name) for name in _KEY)))


@dataclass(frozen=True)
class BranchKey:
    """A branch, or a tag, of a repository.

    Attributes:
        hub: the address of the Hub.
        kind: what the Hub calls the kind of repository: `models`, `datasets`.
        name: of the repository.
        revision: of the branch or the tag.
    """

    hub: str
    kind: str
    name: str
    revision: str


@dataclass(frozen=True)
class StoredBranch:
    """What is known of a branch.

    Attributes:
        commit: the commit that it was at; empty where its Hub has never named one.
        etag: that of the Hub's answer; empty for none.
        checked_at: when the Hub said so; None where it never did.
        failure: the kind of error of the last attempt, a name in `weighbridge.errors`; empty after an answer.
        problem: what the error says.
        again_at: when the Hub may be asked again after that error, or None.
        asked_until: until when a process is asking, or None.
    """

    commit: str
    etag: str
    checked_at: datetime | None
    failure: str
    problem: str
    again_at: datetime | None
    asked_until: datetime | None


class Branches:
    """The branches of a catalog; `Catalog.branches` is one. Its methods raise as the catalog's do."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def identity(self) -> str:
        """Return the random token by which Hubs know all processes that share this catalog."""
        with self._changes.database.read(single=True) as connection:
            return str(connection.execute(select(upstream_tables.identity.c.token)).scalar_one())

    def of(self, key: BranchKey) -> StoredBranch | None:
        """Return what is known of a branch, or None."""
        with self._changes.database.read(single=True) as connection:
            row = connection.execute(_OF_KEY, asdict(key)).one_or_none()
        if row is None:
            return None
        values = {name: value for name, value in row._mapping.items() if name not in _KEY}
        return StoredBranch(**values)

    def begin(self, key: BranchKey, lasts: timedelta) -> bool:
        """Take the turn of asking for a branch, for a while; return False where another process has it."""
        now = self._changes.clock()
        with self._changes.database.write() as connection:
            new = insert(connection, _table).values(**asdict(key), commit="", etag="", failure="", problem="")
            if connection.execute(new.on_conflict_do_nothing()).rowcount:
                old = and_(_table.c.commit == "", _table.c.again_at < now - _ABSENT_FOR)
                connection.execute(_table.delete().where(old))
            free = or_(_table.c.asked_until.is_(None), _table.c.asked_until <= now)
            taken = connection.execute(_table.update().where(_is(key), free).values(asked_until=now + lasts))
            return bool(taken.rowcount)

    def learned(self, key: BranchKey, commit: str) -> None:
        """Store what commit a branch is at, as another answer of its Hub has said."""
        with self._changes.database.write() as connection:
            new = insert(connection, _table).values(**asdict(key), commit="", etag="", failure="", problem="")
            connection.execute(new.on_conflict_do_nothing())
        self.answered(key, commit, "")

    def answered(self, key: BranchKey, commit: str, etag: str) -> None:
        """Store what commit a branch is at now, which ends the turn."""
        now = self._changes.clock()
        self._end(key, commit=commit, etag=etag, checked_at=now, failure="", problem="", again_at=None)

    def failed(self, key: BranchKey, failure: str, problem: str, again_after: timedelta) -> None:
        """Store that a Hub did not say, and when it may be asked again, which ends the turn; its last answer stays."""
        again_at = self._changes.clock() + again_after
        self._end(key, failure=failure, problem=problem, again_at=again_at)

    def _end(self, key: BranchKey, **values: Any) -> None:
        with self._changes.database.write() as connection:
            connection.execute(_table.update().where(_is(key)).values(**values, asked_until=None))


def _is(key: BranchKey) -> ColumnElement[bool]:
    return and_(*(_table.c[name] == value for name, value in asdict(key).items()))
