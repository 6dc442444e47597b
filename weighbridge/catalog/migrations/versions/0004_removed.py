"""Versions that were removed, and versions whose bytes were.

Revision types are written out, so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    removed = "when a person removed it; the row keeps number and files together"
    op.add_column("versions", sa.Column("removed_at", sa.DateTime(timezone=True), comment=removed))
    purged = "since when nothing needs its bytes, though its verdict stays"
    op.add_column("versions", sa.Column("purged_at", sa.DateTime(timezone=True), comment=purged))
