"""Reading the history of the Hub's models. Not here: writing it (catalog.hub_pages, catalog.hub_passes)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from weighbridge.catalog.hub_strings import bounded
from weighbridge.catalog.hub_tables import changes as table
from weighbridge.catalog.hub_words import folded
from weighbridge.domain.hub_models import HubChange, HubField


@dataclass(frozen=True)
class WantedChanges:
    """Which changes are wanted; as `HubCatalog.changes` explains."""

    since: datetime
    fields: tuple[HubField, ...]
    ids: tuple[str, ...]
    limit: int
    after: int


def changes(connection: Connection, wanted: WantedChanges) -> Sequence[tuple[int, HubChange]]:
    """Return changes with their numbers, in the order of the numbers."""
    conditions = [table.c.number > wanted.after, table.c.at >= wanted.since]
    if wanted.fields:
        conditions.append(table.c.field.in_([str(one) for one in wanted.fields]))
    if wanted.ids:
        conditions.append(func.lower(table.c.id).in_([folded(bounded(one)) for one in wanted.ids]))
    query = select(table).where(*conditions).order_by(table.c.number).limit(wanted.limit)
    return [
        (row.number, HubChange(row.id, HubField(row.field), row.before, row.after, row.at))
        for row in connection.execute(query)
    ]
