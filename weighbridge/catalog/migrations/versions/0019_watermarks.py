"""Watermarks: how far those who tell others of numbered changes have come.

Types are written out, so that this step stays what it was when `upstream_tables` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "watermarks",
        sa.Column("reader", sa.Text, nullable=False, comment="who reads the changes"),
        sa.Column("source", sa.Text, nullable=False, comment="whose changes they are; of another one, 0 counts"),
        sa.Column("number", sa.BigInteger, nullable=False, comment="of the last change that was read"),
        sa.PrimaryKeyConstraint("reader", "source", name=op.f("pk_watermarks")),
    )
