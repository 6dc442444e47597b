"""Queries of lists of models: filters, order and part, as statements of SQL that are made once for each shape.

Two queries have one shape where they filter by the same fields, so that they differ in their values alone: making a
statement takes longer than its work in the database. Not here: what a search looks at (catalog.search_texts).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

from sqlalchemy import Connection, Select, bindparam, exists, or_, select, tuple_

from weighbridge.catalog import schema
from weighbridge.catalog.column_types import LIMIT, NO_LIMIT
from weighbridge.catalog.listings import LINES, ModelSummary, licence, load, number
from weighbridge.catalog.manifests import batches
from weighbridge.catalog.search_texts import Found, SearchTexts

#: Names that are read at once until a part of the list is full.
_WALKED = 100
Sort = Literal["name", "created", "updated", "size", "parameters"]
_table, _tags = schema.listings.c, schema.listing_tags
_COLUMNS = {
    "name": _table.name,
    "created": _table.created_at,
    "updated": _table.updated_at,
    "size": _table.size,
    "parameters": _table.parameter_count,
}
#: The condition of each value that a query may have; those of tags and patterns are made for each of them.
_CONDITIONS = {
    "architecture": _table.architecture == bindparam("architecture"),
    "task": _table.task == bindparam("task"),
    "status": _table.status == bindparam("status"),
    "licence": _table.licence == bindparam("licence"),
    "licences": _table.licence.in_(bindparam("licences", expanding=True)),
    "gated": _table.gated == bindparam("gated"),
    "min_size": _table.size >= bindparam("min_size"),
    "max_size": _table.size <= bindparam("max_size"),
    "min_parameters": _table.parameter_count >= bindparam("min_parameters"),
    "max_parameters": _table.parameter_count <= bindparam("max_parameters"),
    "found": _table.name.in_(bindparam("found", expanding=True)),
}


@dataclass(frozen=True)
class ModelQuery:
    """Which models are listed, in which order, and from where on. Texts are compared without regard to case.

    Attributes:
        search: a part of the name, the architecture, the task, a tag, or the beginning of the description.
        architecture, licence, task, status: as card, declaration and version have them; empty for any.
        tags: each of them is among the tags, read or declared.
        gated: None for any.
        min_size, max_size: bytes; None for any.
        min_parameters, max_parameters: numbers of weights; a model that does not say its own is hidden by either.
        names: patterns of names, one of which may match: the caller checks each name; empty for any name.
        sort: what the list is sorted by, and then by name.
        descending: whether the largest comes first.
        after: the sort key of the last model of the part before; None for the first part.
        limit: how many models; None for all.
    """

    search: str = ""
    architecture: str = ""
    licence: str = ""
    task: str = ""
    status: str = ""
    tags: tuple[str, ...] = ()
    gated: bool | None = None
    min_size: int | None = None
    max_size: int | None = None
    min_parameters: int | None = None
    max_parameters: int | None = None
    names: tuple[str, ...] = ()
    sort: Sort = "name"
    descending: bool = False
    after: tuple[Any, str] | None = None
    limit: int | None = None

    def key(self, summary: ModelSummary) -> tuple[Any, str]:
        """Return the sort key of a model, for `after`."""
        values = {
            "name": summary.name,
            "created": summary.created_at,
            "updated": summary.updated_at,
            "size": summary.manifest.size,
            "parameters": number(summary.described.get("parameter_count")),
        }
        return values[self.sort], summary.name


@dataclass(frozen=True)
class _Statements:
    """The statements of one shape, for any values.

    Attributes:
        names: of the models, in order.
        lines: of the first models.
        named: lines of the models with some names, in order.
    """

    names: Select[Any]
    lines: Select[Any]
    named: Select[Any]


def listed(connection: Connection, query: ModelQuery, texts: SearchTexts) -> list[ModelSummary]:
    """Return the models of a query, in its order."""
    values = _values(query)
    if query.search:
        found = texts.having(connection, query.search)
        if found.few is None:
            return _first(connection, _statements(tuple(values), query.sort, query.descending), values, found)
        if not found.few:
            return []
        values["found"] = found.few
    return load(connection, _statements(tuple(values), query.sort, query.descending).lines, values)


def _first(
    connection: Connection, statements: _Statements, values: Mapping[str, Any], found: Found
) -> list[ModelSummary]:
    """Return the first models of a query that a search found; as it found many, they come soon."""
    with connection.execute(statements.names, values, execution_options={"yield_per": _WALKED}) as rows:
        names = list(islice((name for (name,) in rows if name in found), values["limit"]))
    parts = (load(connection, statements.named, {"found": part}) for part in batches(names))
    return [model for part in parts for model in part]


def _values(query: ModelQuery) -> dict[str, Any]:
    """Return the values of a query's statements, by name; the names alone say which conditions it has."""
    values: dict[str, Any] = {"limit": NO_LIMIT if query.limit is None else query.limit}
    for name in ("architecture", "task"):
        if wanted := getattr(query, name):
            values[name] = wanted.casefold()
    if query.licence:
        names = sorted({query.licence.casefold(), licence(query.licence)})
        values |= {"licence": names[0]} if len(names) == 1 else {"licences": names}
    if query.status:
        values["status"] = query.status
    for name in ("gated", "min_size", "max_size", "min_parameters", "max_parameters"):
        if (value := getattr(query, name)) is not None:
            values[name] = value
    values |= {f"tag_{place}": tag.casefold() for place, tag in enumerate(query.tags)}
    values |= {f"name_{place}": _like(pattern) for place, pattern in enumerate(query.names)}
    if query.after is not None:
        values |= dict(zip(("after", "after_name") if query.sort != "name" else ("after",), query.after, strict=False))
    return values


@lru_cache(maxsize=1000)
def _statements(names: tuple[str, ...], sort: Sort, descending: bool) -> _Statements:
    """Return the statements of the queries whose values have these names."""
    column = _COLUMNS[sort]
    keys = (column, _table.name) if sort != "name" else (column,)
    order = [key.desc() if descending else key.asc() for key in keys]
    wanted = select(_table.model_id).where(*_conditions(names)).order_by(*order)
    if "after" in names:
        places = ("after", "after_name")
        last = tuple_(*(bindparam(place, type_=key.type) for place, key in zip(places, keys, strict=False)))
        wanted = wanted.where(tuple_(*keys) < last if descending else tuple_(*keys) > last)
    part = wanted.limit(LIMIT).subquery()
    return _Statements(
        names=wanted.with_only_columns(_table.name),
        lines=LINES.join(part, part.c.model_id == _table.model_id).order_by(*order),
        named=LINES.where(_CONDITIONS["found"]).order_by(*order),
    )


def _conditions(names: tuple[str, ...]) -> Iterable[Any]:
    for name in names:
        if name in _CONDITIONS:
            yield _CONDITIONS[name]
        elif name.startswith("tag_"):
            yield exists().where(_tags.c.tag == bindparam(name), _tags.c.model_id == _table.model_id)
    if "min_parameters" in names or "max_parameters" in names:
        yield _table.parameter_count > 0
    if patterns := [name for name in names if name.startswith("name_")]:
        yield or_(*(_table.name.like(bindparam(name), escape="\\") for name in patterns))


def like(column: Any, pattern: str) -> Any:
    """Return the condition that a name may match a pattern of `fnmatch`; some names that do not match fulfil it."""
    return column.like(_like(pattern), escape="\\")


def _like(pattern: str) -> str:
    signs = {"*": "%", "%": r"\%", "_": r"\_", "\\": r"\\"}
    wild = re.sub(r"\[!?\]?[^]]*\]|\?", "\0", pattern)
    return "".join(signs.get(sign, sign) for sign in wild).replace("\0", "_")
