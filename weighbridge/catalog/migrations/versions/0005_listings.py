"""Listings of models, which lists filter and sort by, and whether a version's source is gated.

Revision types are written out, so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SORTED = ("architecture", "licence", "task", "status", "size", "parameter_count", "created_at", "updated_at")


def upgrade() -> None:
    gated = "whether the source gives it only to approved accounts; NULL where not known"
    op.add_column("versions", sa.Column("gated", sa.Boolean(), comment=gated))
    listings = op.create_table(
        "listings",
        sa.Column("model_id", _ID, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version_id", _ID, nullable=False, comment="the default version, or the latest"),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False, comment="how many there are"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=False, comment="case folded, as what follows; empty for none"),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("parameter_count", sa.BigInteger(), nullable=False, comment="0 where it is not known"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.Column("gated", sa.Boolean()),
        sa.Column("searched", sa.Text(), nullable=False, comment="what a search looks at, case folded"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_listings_model_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_listings_version_id")),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_listings")),
        sa.UniqueConstraint("name", name=op.f("uq_listings_name")),
    )
    for column in _SORTED:
        op.create_index(op.f(f"ix_listings_{column}_name"), "listings", [column, "name"])
    tags = op.create_table(
        "listing_tags",
        sa.Column("tag", sa.Text(), nullable=False, comment="case folded"),
        sa.Column("model_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_listing_tags_model_id")),
        sa.PrimaryKeyConstraint("tag", "model_id", name=op.f("pk_listing_tags")),
    )
    op.create_index(op.f("ix_listing_tags_model_id"), "listing_tags", ["model_id"])
    _fill(op.get_bind(), listings, tags)


def _fill(connection: sa.Connection, listings: sa.Table, tags: sa.Table) -> None:
    """Compute the listing of every model that there is."""
    for row in connection.execute(_SHOWN).mappings().all():
        card: dict[str, Any] = {name: field["value"] for name, field in row["card"].items()}
        words = {name: str(card.get(name) or "").casefold() for name in ("architecture", "licence", "task")}
        own, description = card.get("tags"), str(card.get("description") or "")[:300]
        tags_of = own if isinstance(own, list) else []
        tagged = sorted({tag.casefold() for tag in tags_of if isinstance(tag, str)})
        searched = (row["name"], words["architecture"], words["task"], *tagged, description)
        parameters = card.get("parameter_count")
        values: dict[str, Any] = {name: row[name] for name in row if name in listings.c}
        values |= words | {"searched": "\n".join(searched).casefold()}
        values |= {"parameter_count": parameters if isinstance(parameters, int) else 0, "gated": None}
        values["is_default"] = row["default_id"] == row["version_id"]
        connection.execute(listings.insert().values(values))
        if tagged:
            connection.execute(tags.insert(), [{"model_id": row["model_id"], "tag": tag} for tag in tagged])


_TIME = sa.DateTime(timezone=True)
_SHOWN = sa.text(
    """
    SELECT shown.*, v.id AS version_id, v.status, v.card, v.created_at, v.updated_at, f.size, f.file_count
    FROM (
        SELECT m.id AS model_id, m.name,
            (SELECT max(d.id) FROM versions d WHERE d.model_id = m.id AND d.status = 'PASSED'
                AND (m.fixed_version_id IS NULL OR m.fixed_version_id = d.id)) AS default_id,
            (SELECT max(n.id) FROM versions n WHERE n.model_id = m.id AND n.removed_at IS NULL) AS newest_id,
            (SELECT count(*) FROM versions n WHERE n.model_id = m.id AND n.removed_at IS NULL) AS versions
        FROM models m
    ) shown
    JOIN versions v ON v.id = coalesce(shown.default_id, shown.newest_id)
    JOIN manifests f ON f.digest = v.manifest_digest
    """
).columns(
    model_id=_ID, name=sa.Text, default_id=_ID, newest_id=_ID, versions=sa.Integer, version_id=_ID, status=sa.Text,
    card=sa.JSON, created_at=_TIME, updated_at=_TIME, size=sa.BigInteger, file_count=sa.Integer,
)  # fmt: skip
