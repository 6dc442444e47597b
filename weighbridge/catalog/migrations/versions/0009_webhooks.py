"""Webhooks: subscriptions, messages on their way, and where the end of a job is sent.

Revision types are written out, so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("callback_url", sa.Text, comment="where its end is sent"))
    signer = "with whose secret; domain.webhooks.SigningKey.signer"
    op.add_column("jobs", sa.Column("callback_signer", sa.Text, comment=signer))
    _create_subscriptions()
    _create_deliveries()


def _create_subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("signer", sa.Text, nullable=False, comment="names the secret, which is stored nowhere"),
        sa.Column("events", sa.JSON, nullable=False, comment="of EventType"),
        sa.Column("models", sa.JSON, nullable=False, comment="patterns of models' names; empty for every model"),
        sa.Column("owner", sa.Text, nullable=False, comment="as the audit log names callers"),
        sa.Column("owner_models", sa.JSON, nullable=False, comment="the owner's own patterns when it was made"),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
    )
    op.create_index(op.f("ix_subscriptions_owner"), "subscriptions", ["owner"])


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text, nullable=False, comment="the header webhook-id, at each attempt"),
        sa.Column("subscription_id", sa.Text, comment="whose event it is"),
        sa.Column("job_id", sa.Text, comment="whose end it is; one of both is there"),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False, comment="of the URL; one message at a time goes there"),
        sa.Column("signer", sa.Text, nullable=False),
        sa.Column("message", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False, comment="of DeliveryState"),
        sa.Column("due_at", _MOMENT, nullable=False, comment="of the next attempt"),
        sa.Column("owner", sa.Text, comment="the process that attempts it"),
        sa.Column("leased_until", _MOMENT, comment="when another process may attempt it"),
        sa.Column("attempts", sa.Integer, nullable=False, comment="since it was made or repeated"),
        sa.Column("tried", sa.JSON, nullable=False, comment="the last attempts, as Attempt.to_json"),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_deliveries_subscription_id_subscriptions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_deliveries_job_id_jobs"), ondelete="CASCADE"),
    )
    for columns in (
        ["state", "due_at"],
        ["origin", "leased_until"],
        ["subscription_id", "created_at", "id"],
        ["job_id", "created_at", "id"],
        ["ended_at"],
    ):
        op.create_index(op.f(f"ix_deliveries_{'_'.join(columns)}"), "deliveries", columns)
