"""Publications by address, and uploads that are under way.

Revision types are written out, so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("publications") as table:
        table.add_column(sa.Column("address", sa.Text(), nullable=False, server_default=sa.text("''")))
        table.drop_constraint("pk_publications", type_="primary")
        table.create_primary_key("pk_publications", ["version_id", "registry", "address", "location"])
    op.create_table(
        "uploads",
        sa.Column("version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("registry", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_uploads_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "registry", "address", name=op.f("pk_uploads")),
    )
