"""Transits: models that the mirror hands on before their verdict, and who got which of their files.

Types are written out, so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "transits",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False, comment="of RepoKind"),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column(
            "name", sa.Text, nullable=False, comment="the catalog's, of the repository at the revision asked for"
        ),
        sa.Column("commit_id", sa.Text, nullable=False),
        sa.Column("manifest", sa.JSON, nullable=False, comment="as upstream declares it"),
        sa.Column("asker", sa.Text, nullable=False, comment="who asked for it first, as the audit log names callers"),
        sa.Column("described_at", _MOMENT, nullable=False, comment="when upstream last said so"),
        sa.Column("used_at", _MOMENT, comment="when a file was last asked for; NULL where none was since the verdict"),
        sa.Column("job_id", sa.Text, comment="the job that weighs it"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transits")),
        sa.UniqueConstraint("name", "commit_id", name=op.f("uq_transits_name_commit_id")),
    )
    op.create_index(op.f("ix_transits_repository_commit_id"), "transits", ["repository", "commit_id"])
    op.create_index(op.f("ix_transits_used_at"), "transits", ["used_at"])
    op.create_table(
        "transit_recipients",
        sa.Column("transit_id", _ID, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False, comment="of the first request"),
        sa.ForeignKeyConstraint(
            ["transit_id"],
            ["transits.id"],
            name=op.f("fk_transit_recipients_transit_id_transits"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transit_id", "path", "actor", "address", name=op.f("pk_transit_recipients")),
    )
