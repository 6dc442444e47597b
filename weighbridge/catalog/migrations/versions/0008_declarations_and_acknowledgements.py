"""Declarations of models, changelogs of versions, and acknowledgements of licences.

What was declared with an order until now stays with its job.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "declarations",
        sa.Column(
            "model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=False
        ),
        sa.Column("content", sa.JSON, nullable=False, comment="by field of domain.declarations.FIELDS"),
        sa.Column("declared_by", sa.Text, nullable=False),
        sa.Column("declared_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_declarations_model_id")),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_declarations")),
    )
    op.create_table(
        "changelogs",
        sa.Column(
            "version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=False
        ),
        sa.Column("text", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_changelogs_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_changelogs")),
    )
    op.create_table(
        "acknowledgements",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("licence", sa.Text, nullable=False, comment="SPDX expression where it is one; empty for none"),
        sa.Column("texts", sa.JSON, nullable=False, comment="sha256 of the licence's files by path"),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("acknowledged_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_acknowledgements_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acknowledgements")),
    )
    op.create_index(op.f("ix_acknowledgements_model_id_id"), "acknowledgements", ["model_id", "id"])
