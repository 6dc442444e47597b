"""Indexes: the newest versions of a model are found without reading the others, and the newest report of all.

Not here: what `schema` became later.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_versions_model_id_id"), "versions", ["model_id", "id"])
    op.create_index(op.f("ix_reports_sequence"), "reports", ["sequence"])
