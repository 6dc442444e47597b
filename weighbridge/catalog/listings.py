"""Listings: of each model the version that lists show, with what they filter and sort by, in a row of its own.

A listing is computed from the model and its versions, in the transaction that changes one of them, so that a list of
20,000 models reads only the rows of one part. Not here: lists of models (catalog.queries) and of versions
(catalog.summaries).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, case, func, select

from weighbridge.catalog import schema
from weighbridge.catalog.column_types import storable
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.declarations import ModelDeclaration, completed
from weighbridge.domain.digest import Digest
from weighbridge.domain.licence_names import licence_name
from weighbridge.domain.version import ManifestSummary

#: The columns of what is declared of a model.
_DECLARED = (
    schema.declarations.c.content.label("declared"),
    schema.declarations.c.declared_by,
    schema.declarations.c.declared_at,
)
#: Beside the row of a model's listing: the id of the default version, or NULL.
DEFAULT_ID = case((schema.listings.c.is_default, schema.listings.c.version_id)).label("default_id")
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


def of_model(connection: Connection, name: str) -> ModelSummary | None:
    """Return the line of one model, or None."""
    found = load(connection, _OF_MODEL, {"name": name})
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
    also = (*(stored.c.size, stored.c.file_count), _default_id().label("default_id"), count.label("versions"))
    query = (
        select(table, *also, *_DECLARED)
        .join(models, models.c.id == table.c.model_id)
        .join(stored, stored.c.digest == table.c.manifest_digest)
        .outerjoin(said, said.c.model_id == models.c.id)
        .where(models.c.id == model_id, table.c.id == func.coalesce(_default_id(), newest))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return
    card = completed(ModelCard.from_json(row.card), _declared(row.declared, row.declared_by, row.declared_at))
    tags = sorted({storable(tag.casefold()) for tag in _texts(card.get("tags"))})
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


def _default_id() -> Any:
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
    words["licence"] = licence(str(card.get("licence") or ""))
    description = str(card.get("description") or "")[:_SEARCHED]
    searched = (name, words["architecture"], words["task"], *tags, description)
    parameters = number(card.get("parameter_count"))
    return {**words, "parameter_count": parameters, "searched": "\n".join(searched).casefold()}


def number(value: object) -> int:
    """Return a card's number; 0 where it does not say one."""
    return value if isinstance(value, int) else 0


def licence(name: str) -> str:
    """Return a licence by its usual name, by which models are found that write it in another way."""
    return (licence_name(name) or name).casefold()


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _lines() -> Select[Any]:
    table, versions, said = schema.listings, schema.versions, schema.declarations
    one = (table.c.name, versions.c.version, table.c.is_default, table.c.status, table.c.versions)
    files = (versions.c.manifest_digest, table.c.size, table.c.file_count)
    more = (versions.c.source, versions.c.card, table.c.gated, table.c.created_at, table.c.updated_at)
    found = select(*one, *files, *more, *_DECLARED).join_from(table, versions, versions.c.id == table.c.version_id)
    return found.outerjoin(said, said.c.model_id == table.c.model_id)


#: Statements are made once: making one takes longer than its work in the database.
LINES = _lines()
_OF_MODEL = LINES.where(schema.listings.c.name == bindparam("name"))


def load(connection: Connection, query: Select[Any], values: Mapping[str, Any]) -> list[ModelSummary]:
    """Return what a query of `LINES` finds."""
    return [_line(row) for row in connection.execute(query, values)]


def _line(row: Row[Any]) -> ModelSummary:
    # The columns in the order of `_lines`: to name each of them takes as long as to read them.
    name, version, default, status, versions, digest, size, file_count, source, card, *more = row
    gated, created_at, updated_at, *declared = more
    return ModelSummary(
        name=name,
        version=version,
        default=default,
        status=status,
        versions=versions,
        manifest=ManifestSummary(Digest.parse(digest), size, file_count),
        source=source,
        card=ModelCard.from_json(card),
        gated=gated,
        created_at=created_at,
        updated_at=updated_at,
        declared=_declared(*declared),
    )


def _declared(content: Mapping[str, Any] | None, by: str, at: datetime) -> ModelDeclaration | None:
    return ModelDeclaration(content, by, at.isoformat()) if content else None
