"""Rescans, what they could not look at, and an index by which blobs without a report of an engine are found.

Types are written out, so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "rescans",
        sa.Column("number", _NUMBER, nullable=False, autoincrement=False),
        sa.Column("request", sa.JSON, nullable=False, comment="RescanRequest.to_json()"),
        sa.Column("state", sa.Text, nullable=False, comment="of RescanState"),
        sa.Column("owner", sa.Text, nullable=False, comment="the process that works at it; empty after its end"),
        sa.Column("lease_until", _MOMENT, comment="when another process may begin one"),
        sa.Column("blobs_due", sa.BigInteger, nullable=False),
        sa.Column("bytes_due", sa.BigInteger, nullable=False),
        sa.Column("blobs_done", sa.BigInteger, nullable=False),
        sa.Column("bytes_done", sa.BigInteger, nullable=False),
        sa.Column("judged", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.JSON, nullable=False, comment="NAME@VERSION of changed verdicts, at most a hundred"),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("begun_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rescans")),
    )
    op.create_table(
        "rescan_gaps",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("subject", sa.Text, nullable=False, comment="a digest, or NAME@VERSION"),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["number"], ["rescans.number"], name=op.f("fk_rescan_gaps_number_rescans"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", "subject", name=op.f("pk_rescan_gaps")),
    )
    columns = ["digest", "scanner", "version", "rules", "status"]
    op.create_index(op.f("ix_reports_digest_scanner_version_rules_status"), "reports", columns)
