"""Listings: of each model the version that lists show, with what they filter and sort by, in a row of its own.

A listing is computed from the model and its versions, in the transaction that changes one of them, so that a list of
20,000 models reads only the rows of one part. Not here: lists of versions (catalog.summaries).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, exists, func, literal, or_, select, tuple_

from weighbridge.catalog import schema
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.declarations import ModelDeclaration, completed
from weighbridge.domain.digest import Digest
from weighbridge.domain.licence_names import licence_name
from weighbridge.domain.version import ManifestSummary

Sort = Literal["name", "created", "updated", "size", "parameters"]
_COLUMNS = {
    "name": schema.listings.c.name,
    "created": schema.listings.c.created_at,
    "updated": schema.listings.c.updated_at,
    "size": schema.listings.c.size,
    "parameters": schema.listings.c.parameter_count,
}
#: The columns of what is declared of a model.
_DECLARED = (
    schema.declarations.c.content.label("declared"),
    schema.declarations.c.declared_by,
    schema.declarations.c.declared_at,
)
#: Characters of a description that a search looks at.
_SEARCHED = 300


@dataclass(frozen=True)
class ModelSummary:
    """One line of a list of models.

    Attributes:
        name: the model's name.
        version: the default version, or the latest where there is no default.
        default: whether `version` is the default.
        status: of `version`.
        versions: how many there are.
        manifest: of `version`, without its files.
        source: pinned URI of `version`.
        card: of `version`, as its files say it.
        gated: whether its source gives it only to accounts that its owner approved; None where that is not known.
        created_at: of `version`; UTC.
        updated_at: of `version`; UTC.
        declared: what a person says of the model, or None.
    """

    name: str
    version: str
    default: bool
    status: VersionStatus
    versions: int
    manifest: ManifestSummary
    source: str
    card: ModelCard
    gated: bool | None
    created_at: datetime
    updated_at: datetime
    declared: ModelDeclaration | None = None

    @property
    def described(self) -> ModelCard:
        """The card with what the declaration adds."""
        return completed(self.card, self.declared)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `weighbridge list --json` prints."""
        card = self.described
        return {
            "name": self.name,
            "version": self.version,
            "default": self.default,
            "status": self.status,
            "versions": self.versions,
            "size": self.manifest.size,
            "manifest_digest": str(self.manifest.digest),
            "source": self.source,
            "architecture": card.get("architecture"),
            "parameter_count": card.get("parameter_count"),
            "licence": card.get("licence"),
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
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
            "parameters": _number(summary.described.get("parameter_count")),
        }
        return values[self.sort], summary.name


def listed(connection: Connection, query: ModelQuery) -> list[ModelSummary]:
    """Return the models of a query, in its order.

    The part is found first, in rows of listings alone. A search reads them as they are stored: in the order of an
    index, SQLite would look for each row in another place, which takes five times as long.
    """
    table, column = schema.listings, _COLUMNS[query.sort]
    keys = (column, table.c.name) if query.sort != "name" else (table.c.name,)
    found = select(table.c.model_id).where(*_conditions(query))
    if query.search:
        found = found.with_hint(table, "NOT INDEXED", "sqlite")
    if query.after is not None:
        last = tuple_(*(literal(value, key.type) for value, key in zip(query.after, keys, strict=False)))
        found = found.where(tuple_(*keys) < last if query.descending else tuple_(*keys) > last)
    order = [key.desc() if query.descending else key.asc() for key in keys]
    part = found.order_by(*order).limit(query.limit).subquery()
    return _load(connection, _select().join(part, part.c.model_id == table.c.model_id).order_by(*order))


def of_model(connection: Connection, name: str) -> ModelSummary | None:
    """Return the line of one model, or None."""
    found = _load(connection, _select().where(schema.listings.c.name == name))
    return found[0] if found else None


def refresh(connection: Connection, name: str) -> None:
    """Compute the listing of a model again, after it or one of its versions changed; the model's row stays locked."""
    models, table, stored = schema.models, schema.versions, schema.manifests
    model_id = connection.execute(select(models.c.id).where(models.c.name == name).with_for_update()).scalar()
    for derived in (schema.listing_tags, schema.listings):
        connection.execute(derived.delete().where(derived.c.model_id == model_id))
    any_of = table.alias()
    of_model = (any_of.c.model_id == models.c.id, any_of.c.removed_at.is_(None))
    newest = select(func.max(any_of.c.id)).where(*of_model).correlate(models).scalar_subquery()
    count = select(func.count()).where(*of_model).correlate(models).scalar_subquery()
    said = schema.declarations
    also = (*(stored.c.size, stored.c.file_count), default_id().label("default_id"), count.label("versions"))
    query = (
        select(table, *also, *_DECLARED)
        .join(models, models.c.id == table.c.model_id)
        .join(stored, stored.c.digest == table.c.manifest_digest)
        .outerjoin(said, said.c.model_id == models.c.id)
        .where(models.c.id == model_id, table.c.id == func.coalesce(default_id(), newest))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return
    card = completed(ModelCard.from_json(row.card), _declared(row))
    tags = sorted({schema.storable(tag.casefold()) for tag in _texts(card.get("tags"))})
    connection.execute(
        schema.listings.insert().values(
            model_id=model_id,
            name=name,
            version_id=row.id,
            is_default=row.id == row.default_id,
            versions=row.versions,
            status=row.status,
            size=row.size,
            file_count=row.file_count,
            gated=row.gated,
            created_at=row.created_at,
            updated_at=row.updated_at,
            **_described(name, card, tags),
        )
    )
    if tags:
        connection.execute(schema.listing_tags.insert(), [{"model_id": model_id, "tag": tag} for tag in tags])


def default_id() -> Any:
    """Return, for the row of `models` in a query, the id of its default version, or NULL."""
    models, other = schema.models, schema.versions.alias()
    fixed = models.c.fixed_version_id
    return (
        select(func.max(other.c.id))
        .where(other.c.model_id == models.c.id, other.c.status == "PASSED", (fixed.is_(None)) | (other.c.id == fixed))
        .correlate(models)
        .scalar_subquery()
    )


def _described(name: str, card: ModelCard, tags: Iterable[str]) -> dict[str, Any]:
    words = {field: str(card.get(field) or "").casefold() for field in ("architecture", "task")}
    words["licence"] = _licence(str(card.get("licence") or ""))
    description = str(card.get("description") or "")[:_SEARCHED]
    searched = (name, words["architecture"], words["task"], *tags, description)
    parameters = _number(card.get("parameter_count"))
    return {**words, "parameter_count": parameters, "searched": "\n".join(searched).casefold()}


def _number(value: object) -> int:
    """Return a card's number; 0 where it does not say one."""
    return value if isinstance(value, int) else 0


def _licence(name: str) -> str:
    """Return a licence by its usual name, by which models are found that write it in another way."""
    return (licence_name(name) or name).casefold()


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _conditions(query: ModelQuery) -> Iterable[Any]:
    table, tags = schema.listings.c, schema.listing_tags
    for name in ("architecture", "task"):
        if wanted := getattr(query, name):
            yield table[name] == wanted.casefold()
    if query.licence:
        names = sorted({query.licence.casefold(), _licence(query.licence)})
        yield table.licence == names[0] if len(names) == 1 else table.licence.in_(names)
    if query.status:
        yield table.status == query.status
    for tag in query.tags:
        yield exists().where(tags.c.tag == tag.casefold(), tags.c.model_id == table.model_id)
    if query.gated is not None:
        yield table.gated.is_(query.gated)
    if query.search:
        yield table.searched.contains(query.search.casefold(), autoescape=True)
    yield from _within(table.size, query.min_size, query.max_size)
    yield from _within(table.parameter_count, query.min_parameters, query.max_parameters)
    if query.min_parameters is not None or query.max_parameters is not None:
        yield table.parameter_count > 0
    if query.names:
        yield or_(*(like(table.name, pattern) for pattern in query.names))


def _within(column: Any, least: int | None, most: int | None) -> Iterable[Any]:
    if least is not None:
        yield column >= least
    if most is not None:
        yield column <= most


def like(column: Any, pattern: str) -> Any:
    """Return the condition that a name may match a pattern of `fnmatch`; some names that do not match fulfil it."""
    signs = {"*": "%", "%": r"\%", "_": r"\_", "\\": r"\\"}
    wild = re.sub(r"\[!?\]?[^]]*\]|\?", "\0", pattern)
    return column.like("".join(signs.get(sign, sign) for sign in wild).replace("\0", "_"), escape="\\")


def _select() -> Any:
    table, versions, said = schema.listings, schema.versions, schema.declarations
    shown = (versions.c.version, versions.c.manifest_digest, versions.c.source, versions.c.card, *_DECLARED)
    found = select(table, *shown).join(versions, versions.c.id == table.c.version_id)
    return found.outerjoin(said, said.c.model_id == table.c.model_id)


def _declared(row: Row[Any]) -> ModelDeclaration | None:
    if not row.declared:
        return None
    return ModelDeclaration(row.declared, row.declared_by, row.declared_at.isoformat())


def _load(connection: Connection, query: Any) -> list[ModelSummary]:
    return [
        ModelSummary(
            name=row.name,
            version=row.version,
            default=row.is_default,
            status=row.status,
            versions=row.versions,
            manifest=ManifestSummary(Digest.parse(row.manifest_digest), row.size, row.file_count),
            source=row.source,
            card=ModelCard.from_json(row.card),
            gated=row.gated,
            created_at=row.created_at,
            updated_at=row.updated_at,
            declared=_declared(row),
        )
        for row in connection.execute(query)
    ]
