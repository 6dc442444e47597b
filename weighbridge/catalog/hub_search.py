"""Searches among millions of models: in an order, page by page.

Rows are looked at in the order that is wanted for a little while: of what many models have, a page is full at once. Of
what few have, the index of words gives all, and they are sorted. Not here: what rows fulfil (catalog.hub_conditions).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text

from weighbridge.catalog.hub_conditions import conditions
from weighbridge.catalog.hub_rows import COLUMNS, StoredRow, entries, stored
from weighbridge.catalog.hub_strings import StringTable, numbers
from weighbridge.catalog.hub_words import describes, folded
from weighbridge.domain.hub_models import HUB_ORDERS, HubEntry, HubPage, HubQuery
from weighbridge.errors import UsageError

#: Rows that are looked at before the index is asked, and those before all that match are sorted although they are many.
_FIRST_LOOK, _SECOND_LOOK = 1200, 40_000
#: The order of the names has no narrow rows to look at first.
_FIRST_LOOK_BY_ID = 300
#: Matches that are sorted at once.
_FEW = 20_000
#: Rows that are read at a time where Python looks for words.
_CHUNK = 500
_COLUMNS_OF_ORDERS = {
    "downloads": "downloads",
    "likes": "likes",
    "trendingScore": "trending_score",
    "createdAt": "created_at",
    "lastModified": "last_modified",
    "parameters": "parameters",
    "memory": "memory_size",
    "id": "",
}


@dataclass(frozen=True)
class RowPlace:
    """Where a page ends: rows without a value come after all others, in either direction."""

    value: Any
    number: int


@dataclass(frozen=True)
class HubOrder:
    """The order of a search."""

    name: str
    descending: bool

    @property
    def by_id(self) -> bool:
        """Whether it is the order of the names, of which every row has one."""
        return self.name == "id"

    @property
    def value(self) -> str:
        """What rows are compared by."""
        return "lower(m.id)" if self.by_id else f"f.{_COLUMNS_OF_ORDERS[self.name]}"

    @property
    def number(self) -> str:
        """What rows with equal values are compared by."""
        return "m.number" if self.by_id else "f.number"

    @property
    def sign(self) -> str:
        """The comparison with a place that rows behind it fulfil."""
        return "<" if self.descending else ">"

    @property
    def direction(self) -> str:
        """Of ORDER BY."""
        return "DESC" if self.descending else "ASC"


class HubSearch:
    """A search in one transaction.

    Args:
        connection: of the transaction.
        query: what is wanted.
        strings: the texts that are known.

    Raises:
        UsageError: the order is unknown, or the cursor is not one of this order.
    """

    def __init__(self, connection: Connection, query: HubQuery, strings: StringTable) -> None:
        if query.sort not in HUB_ORDERS:
            raise UsageError(f"Models cannot be sorted by {query.sort!r}.", f"Sort by one of {', '.join(HUB_ORDERS)}.")
        self._connection, self._query, self._strings = connection, query, strings
        self._local = connection.dialect.name == "sqlite"
        self._order = HubOrder(query.sort, query.descending)
        self._start = _place_of(query)
        self._where = conditions(connection, query, strings)

    def page(self) -> HubPage:
        """Return the entries of the page that the cursor asks for."""
        wanted = max(1, self._query.limit)
        rows = [] if self._where.nothing else self._rows(wanted + 1)
        found = entries(self._connection, rows[:wanted], self._strings)
        cursor = ""
        if len(rows) > wanted:
            cursor = _cursor_of(self._order, self._place(rows[wanted - 1]))
        return HubPage(tuple(found), cursor)

    def count(self, most: int) -> int:
        """Return how many models match, up to a number."""
        if self._where.nothing:
            return 0
        return len(self._gathered(most, sort=False)) if self._where.common else self._matches(most)

    def batches(self, size: int) -> Iterator[tuple[HubEntry, ...]]:
        """Yield all models that match, in order, some at a time."""
        place = self._start
        while not self._where.nothing:
            rows, place, ended = self._walk(place, size, size)
            if rows:
                yield tuple(entries(self._connection, rows, self._strings))
            if ended:
                return

    def _rows(self, wanted: int) -> list[StoredRow]:
        look = _FIRST_LOOK_BY_ID if self._order.by_id else _FIRST_LOOK
        rows, place, ended = self._walk(self._start, look, wanted)
        if len(rows) >= wanted or ended:
            return rows
        if self._narrowed and self._candidates(_FEW + 1) <= _FEW:
            return self._gathered(wanted, sort=True)
        while len(rows) < wanted and not ended:
            more, place, ended = self._walk(place, _SECOND_LOOK, wanted - len(rows))
            rows += more
            plain = not self._where.common  # Otherwise all rows would have to be read.
            if (self._narrowed or plain) and len(rows) < wanted and not ended:
                return self._gathered(wanted, sort=True)
        return rows

    @property
    def _narrowed(self) -> bool:
        return bool(self._where.match if self._local else self._where.indexed)

    # Walking in the order

    def _walk(self, start: RowPlace | None, most: int, wanted: int) -> tuple[list[StoredRow], RowPlace | None, bool]:
        """Look at rows behind a place in order.

        Args:
            start: the place; None for the beginning.
            most: how many rows to look at.
            wanted: how many matches end it.

        Returns:
            The matches, the place up to which all rows were looked at, and whether that is the end.
        """
        found: list[StoredRow] = []
        place = start
        left = most
        while left > 0 and len(found) < wanted:
            step = min(left, _CHUNK if self._where.common else left)
            end = self._boundary(place, step)
            rows = self._between(place, end, wanted - len(found))
            found += rows
            if len(found) >= wanted:
                return found, self._place(found[-1]), False
            left -= step
            if end is None:
                if self._order.by_id or (place is not None and place.value is None):
                    return found, place, True
                place = RowPlace(None, -1 if not self._order.descending else 2**31 - 1)
            else:
                place = end
        return found, place, False

    def _boundary(self, start: RowPlace | None, step: int) -> RowPlace | None:
        """Return the place of the row that is so many behind another one; None where there are fewer."""
        order = self._order
        source = "hub_models m" if order.by_id else f"hub_figures f{self._forced}"
        behind, parameters = self._behind(start)
        tests = (behind, *self._where.ranges.get(order.value, ()))  # What lies outside of a range is not looked at.
        query = (
            f"SELECT {order.value}, {order.number} FROM {source} WHERE {' AND '.join(tests)} "  # noqa: S608
            f"ORDER BY {self._sorting(start)} LIMIT 1 OFFSET :step"
        )
        parameters |= {**self._where.parameters, "step": step - 1}
        row = self._connection.execute(text(query), parameters).one_or_none()
        return RowPlace(row[0], row[1]) if row is not None else None

    def _between(self, start: RowPlace | None, end: RowPlace | None, wanted: int) -> list[StoredRow]:
        order = self._order
        conditions, parameters = self._behind(start)
        if end is not None:
            sign = ">=" if order.descending else "<="
            if end.value is None:
                conditions += f" AND {order.number} {sign} :end_number"
            else:
                conditions += f" AND ({order.value}, {order.number}) {sign} (:end_value, :end_number)"
                parameters["end_value"] = end.value
            parameters["end_number"] = end.number
        first, second = "hub_models m", "hub_figures f"
        if not order.by_id:
            first, second = f"hub_figures f{self._forced}", "hub_models m"
        join = f"{first} {'CROSS JOIN' if self._local else 'JOIN'} {second} ON m.number = f.number"
        where = self._where
        limit = "" if where.common else "LIMIT :wanted"
        query = (
            f"SELECT {COLUMNS} FROM {join} WHERE "  # noqa: S608
            f"{' AND '.join((conditions, *where.figures, *where.models))} ORDER BY {self._sorting(start)} {limit}"
        )
        parameters |= {**where.parameters, "wanted": wanted}
        rows = map(stored, self._connection.execute(text(query), parameters))
        return self._with_common_words(rows, wanted)

    @property
    def _forced(self) -> str:
        return f" INDEXED BY ix_hub_figures_{_COLUMNS_OF_ORDERS[self._order.name]}" if self._local else ""

    def _behind(self, start: RowPlace | None) -> tuple[str, dict[str, Any]]:
        """Return the condition of the rows behind a place, without those that have no value until it is one of them."""
        order = self._order
        if start is None:
            return ("1 = 1" if order.by_id else f"{order.value} IS NOT NULL"), {}
        if start.value is None:
            return f"{order.value} IS NULL AND {order.number} {order.sign} :number", {"number": start.number}
        condition = f"({order.value}, {order.number}) {order.sign} (:value, :number)"
        return condition, {"value": start.value, "number": start.number}

    def _sorting(self, start: RowPlace | None) -> str:
        order = self._order
        if start is not None and start.value is None:
            return f"{order.number} {order.direction}"
        return f"{order.value} {order.direction}, {order.number} {order.direction}"

    def _place(self, row: StoredRow) -> RowPlace:
        if self._order.by_id:
            return RowPlace(folded(row.wide.id), row.number)
        return RowPlace(getattr(row.narrow, _COLUMNS_OF_ORDERS[self._order.name]), row.number)

    # Gathering by the index

    def _candidates(self, most: int) -> int:
        """Return how many rows the index gives, up to a number."""
        if self._local:
            source = "SELECT rowid FROM hub_model_words WHERE hub_model_words MATCH :match LIMIT :most"
        else:
            source = f"SELECT 1 FROM hub_models m WHERE {' AND '.join(self._where.indexed)} LIMIT :most"  # noqa: S608
        query = f"SELECT count(*) FROM ({source}) AS found"  # noqa: S608
        return int(self._connection.execute(text(query), {**self._parameters, "most": most}).scalar_one())

    def _matches(self, most: int) -> int:
        query = f"SELECT count(*) FROM (SELECT 1 FROM {self._source} LIMIT :most) AS found"  # noqa: S608
        return int(self._connection.execute(text(query), {**self._parameters, "most": most}).scalar_one())

    def _gathered(self, wanted: int, *, sort: bool) -> list[StoredRow]:
        """Return the first matches in order, or any, after a look at all rows that the index gives."""
        where, order = self._where, self._order
        parameters = dict(self._parameters)
        source = self._source
        sorting = ""
        if sort:
            behind, values = self._behind(self._start)
            if self._start is None:
                behind = "1 = 1"
            elif self._start.value is not None and not order.by_id:
                behind = f"({order.value} IS NULL OR {behind})"
            source += f" AND {behind}"
            parameters |= values
            nulls = "" if order.by_id else f"({order.value} IS NULL), "
            sorting = f"ORDER BY {nulls}{order.value} {order.direction}, {order.number} {order.direction}"
        if where.common:
            query = f"SELECT {COLUMNS} FROM {source} {sorting}"  # noqa: S608
        else:
            first = f"SELECT f.number FROM {source} {sorting} LIMIT :wanted"  # noqa: S608
            query = (
                f"SELECT {COLUMNS} FROM hub_figures f JOIN hub_models m ON m.number = f.number "  # noqa: S608
                f"WHERE f.number IN ({first}) {sorting}"
            )
            parameters["wanted"] = wanted
        return self._with_common_words(map(stored, self._connection.execute(text(query), parameters)), wanted)

    @property
    def _parameters(self) -> dict[str, Any]:
        return {**self._where.parameters, "match": " AND ".join(self._where.match)}

    @property
    def _source(self) -> str:
        """The tables, and what their rows fulfil, for a look at all of them."""
        where = self._where
        if not (where.match or where.models or where.indexed or where.common or self._order.by_id):
            return f"hub_figures f WHERE {' AND '.join(where.figures) or '1 = 1'}"
        if not self._local:
            tests = (*where.figures, *where.models, *where.indexed)
            return f"hub_models m JOIN hub_figures f ON f.number = m.number WHERE {' AND '.join(tests) or 'true'}"
        join = "hub_figures f CROSS JOIN hub_models m ON m.number = f.number WHERE 1 = 1"
        tests = (*where.figures, *where.models)
        if where.match:
            join = (
                "hub_model_words w CROSS JOIN hub_figures f ON f.number = w.rowid "
                "CROSS JOIN hub_models m ON m.number = w.rowid WHERE hub_model_words MATCH :match"
            )
            tests = tuple(test for test in tests if test not in where.exact)
        return " AND ".join((join, *tests))

    # Words that too many texts have

    def _with_common_words(self, rows: Iterator[StoredRow], wanted: int) -> list[StoredRow]:
        words = self._where.common
        found: list[StoredRow] = []
        if not words:
            return list(rows)
        known: dict[int, str] = {}
        while len(found) < wanted and (chunk := _taken(rows, _CHUNK)):
            unknown = {number for row in chunk for number in numbers(row.wide.tags)} - known.keys()
            texts = self._strings.texts(self._connection, unknown)
            known |= {one: folded(tag) for one, tag in texts.items()}
            found += [row for row in chunk if _has_words(row, words, known)]
        return found[:wanted]


def _has_words(row: StoredRow, words: Sequence[str], known: dict[int, str]) -> bool:
    name = folded(row.wide.id)
    missing = [word for word in words if word not in name]
    if not missing:
        return True
    tags = [known.get(number, "") for number in numbers(row.wide.tags)]
    return all(
        any(word == tag or (len(word) > 2 and describes(tag) and word in tag) for tag in tags) for word in missing
    )


def _taken(rows: Iterator[StoredRow], most: int) -> list[StoredRow]:
    return [row for _, row in zip(range(most), rows, strict=False)]


def _cursor_of(order: HubOrder, place: RowPlace) -> str:
    content = orjson.dumps([order.name, order.descending, place.value, place.number])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _place_of(query: HubQuery) -> RowPlace | None:
    if not query.cursor:
        return None
    try:
        padding = "=" * (-len(query.cursor) % 4)
        name, descending, value, number = orjson.loads(base64.b64decode(query.cursor + padding, b"-_", validate=True))
        kinds: tuple[type, ...] = (str,) if name == "id" else (int, float, type(None))
        if (name, descending) != (query.sort, query.descending):
            raise ValueError
        if not isinstance(value, kinds) or isinstance(value, bool) or type(number) is not int:
            raise ValueError
    except (binascii.Error, orjson.JSONDecodeError, ValueError, TypeError):
        raise UsageError(
            "The cursor is not one of this search.", "Send it as it came, with the same order; or none, to begin anew."
        ) from None
    return RowPlace(value, min(max(number, -1), 2**31 - 1))
