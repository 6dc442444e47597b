"""Jobs: work that others ask for.

Revision types are written out, so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, nullable=False, comment="random: an answer that names it is for its asker"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False, comment="the model's"),
        sa.Column("request", sa.JSON, nullable=False, comment="holds no secret"),
        sa.Column("declared", sa.JSON, nullable=False, comment="what the asker says of the model"),
        sa.Column("asker", sa.Text, nullable=False),
        sa.Column("key", sa.Text, comment="the asker's own key of the order"),
        sa.Column("state", sa.Text, nullable=False, comment="of JobState"),
        sa.Column("owner", sa.Text, comment="the process that works on it"),
        sa.Column("leased_until", _MOMENT, comment="when another process may take it over"),
        sa.Column("beginnings", sa.Integer, nullable=False, comment="how often a process has begun it"),
        sa.Column("cancel_wanted", sa.Boolean, nullable=False),
        sa.Column("run_url", sa.Text, nullable=False),
        sa.Column("progress", sa.JSON, nullable=False, comment="the steps"),
        sa.Column("outcome", sa.JSON, comment="JobEnd.to_json()"),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("asker", "key", name=op.f("uq_jobs_asker_key")),
    )
    op.create_index(op.f("ix_jobs_state_created_at"), "jobs", ["state", "created_at"])
    op.create_index(op.f("ix_jobs_created_at_id"), "jobs", ["created_at", "id"])
