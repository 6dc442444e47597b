"""Benchmark results.

Revision types are written out, so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "results",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("manifest_digest", sa.Text(), nullable=False, comment="of a version, or endpoint:… for a service"),
        sa.Column("benchmark", sa.Text(), nullable=False),
        sa.Column("comparable_key", sa.Text(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False, comment="BenchmarkResult.to_json() without its samples"),
        sa.Column("samples", sa.JSON(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_results")),
    )
    op.create_index(
        op.f("ix_results_manifest_digest_benchmark"), "results", ["manifest_digest", "benchmark"], unique=False
    )
