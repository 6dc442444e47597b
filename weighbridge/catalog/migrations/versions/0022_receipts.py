"""Receipts: how much of which file of a version who got, for a recall to name them.

Types are written out, so that this step stays what it was when `receipt_tables` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "receipts",
        sa.Column("version_id", _ID, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("first_at", _MOMENT, nullable=False, comment="when the first transfer ended"),
        sa.Column("last_at", _MOMENT, nullable=False, comment="when the last transfer ended"),
        sa.Column("transfers", sa.BigInteger, nullable=False),
        sa.Column("whole", sa.BigInteger, nullable=False, comment="how many of them sent all of the file"),
        sa.Column("size", sa.BigInteger, nullable=False, comment="bytes of all transfers together"),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_receipts_version_id_versions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "actor", "address", "path", name=op.f("pk_receipts")),
    )
