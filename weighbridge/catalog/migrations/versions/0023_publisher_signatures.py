"""What is known of publishers' signatures, by the digest of a model's manifest.

Types are written out, so that this step stays what it was when `publisher_tables` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "a list of signatures; empty where the files have none"
    op.create_table(
        "publisher_signatures",
        sa.Column("manifest_digest", sa.Text, nullable=False, comment="of the model's files"),
        sa.Column("content", sa.JSON, nullable=False, comment=comment),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("manifest_digest", name=op.f("pk_publisher_signatures")),
    )
