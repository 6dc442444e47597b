"""Storing what the Hub says of many models at once: new rows, changed columns, the history, and who was renamed.

An older say never overwrites a newer one, and what the Hub did not say this time stays as it was known. Not here: the
columns (catalog.hub_rows), passes (catalog.hub_passes).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import Connection, delete, select, update

from weighbridge.catalog import hub_tables
from weighbridge.catalog.hub_rows import (
    COLUMNS,
    GATED,
    Narrow,
    StoredRow,
    Wide,
    encoded,
    identifies,
    packed,
    storable_model,
    stored,
    texts_of,
)
from weighbridge.catalog.hub_strings import StringTable, add_strings, character
from weighbridge.catalog.hub_tables import stamp
from weighbridge.catalog.hub_words import describes, folded, marks, model_document, string_document
from weighbridge.catalog.hub_writing import in_list, insert_rows, run_many, update_rows
from weighbridge.domain.hub_models import HubChange, HubField, HubModel

#: What stays known where the Hub does not say it in one of its answers.
_ALWAYS_THERE = ("gated", "created_at", "last_modified", "downloads", "downloads_all_time", "likes", "trending_score")
#: What belongs to the bytes of a commit, and stays known as long as the commit is the same.
_OF_COMMIT = ("parameters", "parameters_from", "memory_size")
#: Downloads have a history where they were noticeable and have doubled or halved since the history's last word.
NOTICEABLE_DOWNLOADS, NOTICEABLE_FACTOR = 1000, 2
_FROM = "FROM hub_models m JOIN hub_figures f ON f.number = m.number"


@dataclass
class StoredPage:
    """What storing a page has changed.

    Attributes:
        changes: for the history.
        added: models that were new.
        models: how many more there are that the Hub lists.
        vanished: how many more there are that it lists no more.
        renamed: rows of models that have another name now.
        texts: the numbers of all texts.
    """

    changes: list[HubChange] = field(default_factory=list)
    added: int = 0
    models: int = 0
    vanished: int = 0
    renamed: list[StoredRow] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)


def store(connection: Connection, listed: Sequence[HubModel], at: datetime, strings: StringTable) -> StoredPage:
    """Store what the Hub said at a time, in a transaction of the only writer."""
    page = StoredPage()
    models, stamped = _distinct(listed), _stamp(at)
    totals = connection.execute(select(hub_tables.totals)).one()
    by_id, by_object = _known(connection, models)
    texts = page.texts = _numbered(connection, [model for _, model in models], totals.texts, strings)
    signs = {text: character(number) for text, number in texts.items()}
    number = int(totals.rows)
    new: list[StoredRow] = []
    changed: list[tuple[StoredRow, StoredRow]] = []
    for key, model in models:
        wide, narrow = encoded(model, texts, signs, stamped)
        before = by_id.get(key)
        earlier = by_object.get(wide.object_id)
        if any(row is not None and row.narrow.seen_at > narrow.seen_at for row in (before, earlier)):
            continue
        known = earlier or before
        if known is None:
            page.added += 1
        else:
            if folded(known.wide.id) != key:
                page.renamed.append(known)
            wide, narrow = _merged(known, wide, narrow)
            narrow = _note(page, known, wide, narrow, at)
        if before is None:
            number += 1
            new.append(StoredRow(number, wide, narrow))
        else:
            changed.append((before, StoredRow(before.number, wide, narrow)))
    _write(connection, page, new, changed)
    _resolve_licences(connection, page, strings)
    _count(connection, page, number, totals)
    return page


def _distinct(listed: Sequence[HubModel]) -> list[tuple[str, HubModel]]:
    """Return models by their names in lower case; of a name and of an id of the Hub's that comes twice, the last."""
    by_id = {folded(model.id): model for model in map(storable_model, listed) if model.id}
    last = {model.object_id: key for key, model in by_id.items() if identifies(model.object_id)}
    return [(key, model) for key, model in by_id.items() if last.get(model.object_id, key) == key]


def _stamp(at: datetime) -> int:
    number = stamp(at)
    assert number is not None
    return number


def _known(
    connection: Connection, models: Sequence[tuple[str, HubModel]]
) -> tuple[dict[str, StoredRow], dict[bytes, StoredRow]]:
    """Return what is known of models, by name in lower case and by the Hub's own id."""
    query = f"SELECT {COLUMNS} {_FROM} WHERE lower(m.id) IN :values"
    rows = [stored(row) for row in in_list(connection, query, [key for key, _ in models])]
    by_id = {folded(row.wide.id): row for row in rows}
    objects = {packed(model.object_id) for _, model in models if identifies(model.object_id)}
    by_object = {bytes(row.wide.object_id): row for row in rows if row.wide.object_id in objects}
    objects -= set(by_object)
    query = f"SELECT {COLUMNS} {_FROM} WHERE m.object_id IN :values"
    by_object |= {bytes(row.wide.object_id): row for row in map(stored, in_list(connection, query, list(objects)))}
    return by_id, by_object


def _numbered(
    connection: Connection, models: Iterable[HubModel], greatest: int, strings: StringTable
) -> dict[str, int]:
    """Return the numbers of all texts of models, after new ones have got theirs."""
    wanted = dict.fromkeys(chain.from_iterable(map(texts_of, models)))
    wanted.pop("", None)
    known = strings.numbers(connection, wanted)
    fresh = add_strings(connection, greatest, [text for text in wanted if text not in known])
    if fresh and connection.dialect.name == "sqlite":
        documents = [(number, string_document(text)) for text, number in fresh.items() if describes(text)]
        run_many(connection, "INSERT INTO hub_string_words (rowid, t) VALUES (?, ?)", documents)
    return known | fresh


def _merged(known: StoredRow, wide: Wide, narrow: Narrow) -> tuple[Wide, Narrow]:
    """Return what is said now, with what is known for what was not said."""
    if wide.object_id and known.wide.object_id and wide.object_id != bytes(known.wide.object_id):
        return wide, narrow  # It is another model under the name of one that was deleted.
    old = known.narrow
    kept: dict[str, Any] = {name: getattr(old, name) for name in _ALWAYS_THERE if getattr(narrow, name) is None}
    if not wide.object_id:
        wide = wide._replace(object_id=known.wide.object_id)
    if not wide.sha:
        wide = wide._replace(sha=known.wide.sha)
    if not wide.tags and known.wide.tags:  # The Hub gives every model a tag: it did not say.
        wide = wide._replace(tags=known.wide.tags, extra=known.wide.extra)
        kept |= {name: getattr(old, name) for name in ("licence", "library", "pipeline_tag")}
    if narrow.parameters is None and wide.sha == bytes(known.wide.sha):
        kept |= {name: getattr(old, name) for name in _OF_COMMIT}
        wide = wide._replace(weights_size=known.wide.weights_size)
    return wide, narrow._replace(**kept) if kept else narrow


def _note(page: StoredPage, known: StoredRow, wide: Wide, narrow: Narrow, at: datetime) -> Narrow:
    """Add to the history what of a model has changed, and return its figures with the downloads that are noted."""
    old = known.narrow

    def note(name: HubField, before: object, after: object) -> None:
        page.changes.append(HubChange(wide.id, name, str(before), str(after), at))

    if old.gated is not None and narrow.gated is not None and old.gated != narrow.gated:
        note(HubField.GATED, GATED[old.gated], GATED[narrow.gated])
    if old.licence != narrow.licence:
        note(HubField.LICENCE, old.licence or "", narrow.licence or "")  # Their texts come later.
    if folded(known.wide.id) != folded(wide.id):
        note(HubField.OWNER, known.wide.id, wide.id)
    if old.disabled != narrow.disabled:
        note(HubField.DISABLED, _yes(old.disabled), _yes(narrow.disabled))
    if old.vanished_at is not None:
        note(HubField.LISTED, "no", "yes")
    noted, count = old.downloads_noted, narrow.downloads
    if noted is None or count is None:
        return narrow
    low, high = sorted((noted, count))
    if high < NOTICEABLE_DOWNLOADS or high < NOTICEABLE_FACTOR * low:
        return narrow._replace(downloads_noted=noted)
    note(HubField.DOWNLOADS, noted, count)
    return narrow


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _write(
    connection: Connection,
    page: StoredPage,
    new: Sequence[StoredRow],
    changed: Sequence[tuple[StoredRow, StoredRow]],
) -> None:
    taken = {before.number for before, _ in changed}
    gone = [row for row in page.renamed if row.number not in taken]
    earlier = (*gone, *(before for before, _ in changed))
    page.vanished = -sum(row.narrow.vanished_at is not None for row in earlier)
    page.models = len(new) + len(changed) - len(earlier) - page.vanished
    _remove(connection, gone)
    _update(connection, hub_tables.models, [(one.number, one.wide, other.wide) for one, other in changed])
    _update(connection, hub_tables.figures, [(one.number, one.narrow, other.narrow) for one, other in changed])
    wide_rows = [(row.number, *row.wide) for row in new]
    insert_rows(connection, hub_tables.models, ("number", *Wide._fields), wide_rows)
    narrow_rows = [(row.number, *row.narrow) for row in new]
    insert_rows(connection, hub_tables.figures, ("number", *Narrow._fields), narrow_rows)
    if connection.dialect.name == "sqlite":
        _index(connection, gone, new, changed)


def _remove(connection: Connection, gone: Sequence[StoredRow]) -> None:
    for table in (hub_tables.models, hub_tables.figures):
        if gone:
            connection.execute(delete(table).where(table.c.number.in_([row.number for row in gone])))


def _update(connection: Connection, table: Any, rows: Sequence[tuple[int, Any, Any]]) -> None:
    """Set the columns that differ; rows in which the same ones do are one statement, so that no other index moves."""
    statements: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for number, before, after in rows:
        names = tuple([name for name, old, new in zip(after._fields, before, after, strict=True) if old != new])
        if names:
            values = (getattr(after, name) for name in names)
            statements.setdefault(names, []).append((*values, number))
    for names, values_of_rows in statements.items():
        update_rows(connection, table, names, values_of_rows)


def _index(
    connection: Connection,
    gone: Sequence[StoredRow],
    new: Sequence[StoredRow],
    changed: Sequence[tuple[StoredRow, StoredRow]],
) -> None:
    old_documents = [(row.number, _document(row)) for row in gone]
    new_documents = [(row.number, _document(row)) for row in new]
    for before, after in changed:
        if _indexed(before) != _indexed(after):
            old_documents.append((before.number, _document(before)))
            new_documents.append((after.number, _document(after)))
    removal = "INSERT INTO hub_model_words (hub_model_words, rowid, t) VALUES ('delete', ?, ?)"
    run_many(connection, removal, old_documents)
    run_many(connection, "INSERT INTO hub_model_words (rowid, t) VALUES (?, ?)", new_documents)


def _indexed(row: StoredRow) -> tuple[Any, ...]:
    return row.wide.id, row.wide.tags, row.narrow.library, row.narrow.licence, row.narrow.gated


def _document(row: StoredRow) -> str:
    figures = row.narrow
    author = row.wide.id.rpartition("/")[0]
    return model_document(row.wide.id, row.wide.tags, marks(author, figures.library, figures.licence, figures.gated))


def _resolve_licences(connection: Connection, page: StoredPage, strings: StringTable) -> None:
    """Replace the numbers of licences in the history by their texts."""
    noted = [change for change in page.changes if change.field is HubField.LICENCE]
    wanted = {int(text) for change in noted for text in (change.before, change.after) if text}
    if not noted:
        return
    texts = {number: text for text, number in page.texts.items() if number in wanted}
    texts |= strings.texts(connection, wanted - set(texts))
    names = {"": "", **{str(number): text for number, text in texts.items()}}
    page.changes = [
        HubChange(change.id, change.field, names[change.before], names[change.after], change.at)
        if change.field is HubField.LICENCE
        else change
        for change in page.changes
    ]


def _count(connection: Connection, page: StoredPage, number: int, totals: Any) -> None:
    changes = add_changes(connection, totals.changes, page.changes)
    table = hub_tables.totals
    texts = max(totals.texts, max(page.texts.values(), default=0))
    values = {
        "models": totals.models + page.models,
        "vanished": totals.vanished + page.vanished,
        "rows": number,
        "texts": texts,
        "changes": changes,
    }
    connection.execute(update(table).values(**values))


def add_changes(connection: Connection, greatest: int, changes: Sequence[HubChange]) -> int:
    """Add to the history, and return the number of its last row."""
    rows = [
        (greatest + place, change.id, str(change.field), change.before, change.after, _stamp(change.at))
        for place, change in enumerate(changes, 1)
    ]
    insert_rows(connection, hub_tables.changes, ("number", "id", "field", "before", "after", "at"), rows)
    return greatest + len(rows)
