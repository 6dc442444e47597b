"""Announcements of what the Hub's catalogue noticed: each watched change is told once, whoever refreshes.

The watermark moves in the transaction that writes the audit row and, through the outbox, the messages: a process that
is killed before it has told nothing, and one that is killed after it does not tell again. Not here: which models are
watched (intake.hub_news), and the history of all models (catalog.hub_models).
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from weighbridge.catalog import audit, upstream_tables, webhook_tables
from weighbridge.catalog.changes import Changes
from weighbridge.catalog.database import insert, take_turns
from weighbridge.domain.hub_models import HubPass
from weighbridge.domain.hub_news import MODEL_CHANGED, REFRESHED, RefreshDigest, WatchedChange, names_organisation

_table = upstream_tables.watermarks
#: The reader of the Hub's history whose watermark moves with the audit log.
_AUDIT = "audit"


class HubAnnouncements:
    """News of models on the Hub; `Catalog.hub_announcements` is one. Its errors are those of `Catalog`."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def announced(self, identity: str) -> int:
        """Return the number of the last change of a Hub's catalogue that was announced; 0 for another catalogue."""
        return self.told(_AUDIT, identity)

    def announce(self, identity: str, after: int, until: int, watched: Iterable[WatchedChange]) -> bool:
        """Write the watched ones among some changes to the audit log, with the messages about them.

        Args:
            identity: of the Hub's catalogue.
            after: the number of the last change before them, as `announced` returned it.
            until: the number of the last of them.
            watched: those that are news here.

        Returns:
            False where another process has announced them meanwhile: nothing was written.
        """
        with self._changes.begin() as change:
            take_turns(change.connection, "hub announcements")
            if _number(change.connection, _AUDIT, identity) != after:
                return False
            for one in watched:
                noticed, value = one.change, str(one.change.field)
                change.record(
                    MODEL_CHANGED,
                    noticed.id,
                    before={value: noticed.before},
                    after={
                        value: noticed.after,
                        "field": value,
                        "models": list(one.names),
                        "curated": one.curated,
                        "noticed_at": noticed.at.isoformat(),
                    },
                )
            _move(change.connection, _AUDIT, identity, until)
        return True

    def conclude(self, identity: str, digest: RefreshDigest) -> bool:
        """Write the digest of a refresh to the audit log, with the messages; return False where it was written before.

        Args:
            identity: of the Hub's catalogue.
            digest: of a refresh that has ended.
        """
        with self._changes.begin() as change:
            take_turns(change.connection, "hub announcements")
            if _has_digest(change.connection, identity, digest.ended):
                return False
            change.record(REFRESHED, _object(digest.ended), after={"catalogue": identity, **digest.to_json()})
        return True

    def has_digest(self, identity: str, ended: HubPass) -> bool:
        """Return whether the digest of a refresh was written."""
        with self._database.read() as connection:
            return _has_digest(connection, identity, ended)

    def told(self, reader: str, source: str) -> int:
        """Return the number of the last change of a source that a reader has told others of; 0 for none."""
        with self._database.read(single=True) as connection:
            return _number(connection, reader, source)

    def note_told(self, reader: str, source: str, number: int) -> None:
        """Store that a reader has told others of a source's changes up to a number."""
        with self._database.write() as connection:
            _move(connection, reader, source, number)

    def patterns(self) -> tuple[str, ...]:
        """Return the patterns of subscriptions that widen what is watched: they spell an organisation out."""
        table = webhook_tables.subscriptions
        query = select(table.c.events, table.c.models).where(table.c.disabled_at.is_(None)).order_by(table.c.id)
        with self._database.read(single=True) as connection:
            rows = connection.execute(query).all()
        wanted = (pattern for row in rows if MODEL_CHANGED in row.events for pattern in row.models)
        return tuple(dict.fromkeys(filter(names_organisation, wanted)))


def _object(ended: HubPass) -> str:
    return f"hub-refresh:{ended.number}"


def _has_digest(connection: Connection, identity: str, ended: HubPass) -> bool:
    rows = audit.about(connection, _object(ended), REFRESHED)
    return any((row.after or {}).get("catalogue") == identity for row in rows)


def _number(connection: Connection, reader: str, source: str) -> int:
    query = select(_table.c.number).where(_table.c.reader == reader, _table.c.source == source)
    return int(connection.execute(query).scalar() or 0)


def _move(connection: Connection, reader: str, source: str, number: int) -> None:
    new = insert(connection, _table).values(reader=reader, source=source, number=number)
    connection.execute(new.on_conflict_do_update(index_elements=["reader", "source"], set_={"number": number}))
