"""Receivers: whose key each one is for, when one is disabled, and why a message was not delivered.

Receivers of keys that are revoked by now get nothing more. Revision types are written out, so that this step stays what
it was when `schema` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_REVOKED = "The key that made it is revoked."


def upgrade() -> None:
    key = "for the owner of which key; none for a caller of the issuer's"
    op.add_column("jobs", sa.Column("callback_key_id", _ID, comment=key))
    owner = "the owner's key; none for a caller of the issuer's"
    op.add_column("subscriptions", sa.Column("key_id", _ID, comment=owner))
    failing = "the first failed attempt after the last delivery"
    op.add_column("subscriptions", sa.Column("failing_since", _MOMENT, comment=failing))
    op.add_column("subscriptions", sa.Column("disabled_at", _MOMENT, comment="since when nothing is sent"))
    op.add_column("subscriptions", sa.Column("disabled_because", sa.Text, comment="a sentence"))
    op.add_column("deliveries", sa.Column("key_id", _ID, comment=key))
    op.add_column("deliveries", sa.Column("problem", sa.Text, comment="why it ended without a delivery"))
    op.create_index(op.f("ix_deliveries_subscription_id_state"), "deliveries", ["subscription_id", "state"])
    _bind_to_keys()


def _bind_to_keys() -> None:
    """Find the key of each receiver: the one that has its name and is older; without one, it is revoked."""
    for statement in (
        "UPDATE subscriptions SET key_id = (SELECT id FROM access_keys WHERE 'key:' || name = owner "
        "AND revoked_at IS NULL AND access_keys.created_at <= subscriptions.created_at)",
        "UPDATE jobs SET callback_key_id = (SELECT id FROM access_keys WHERE 'key:' || access_keys.name = asker "
        "AND revoked_at IS NULL AND access_keys.created_at <= jobs.created_at) WHERE callback_url IS NOT NULL",
        "UPDATE jobs SET callback_url = NULL, callback_signer = NULL "
        "WHERE asker LIKE 'key:%' AND callback_key_id IS NULL",
        "UPDATE subscriptions SET disabled_at = CURRENT_TIMESTAMP, disabled_because = :revoked "
        "WHERE owner LIKE 'key:%' AND key_id IS NULL",
        "UPDATE deliveries SET key_id = (SELECT key_id FROM subscriptions WHERE id = subscription_id) "
        "WHERE subscription_id IS NOT NULL",
        "UPDATE deliveries SET key_id = (SELECT callback_key_id FROM jobs WHERE jobs.id = job_id) "
        "WHERE job_id IS NOT NULL",
        "UPDATE deliveries SET state = 'expired', problem = :revoked, ended_at = CURRENT_TIMESTAMP "
        "WHERE state = 'waiting' AND (subscription_id IN (SELECT id FROM subscriptions WHERE disabled_at IS NOT NULL) "
        "OR job_id IN (SELECT id FROM jobs WHERE callback_url IS NULL))",
    ):
        values = {"revoked": _REVOKED} if ":revoked" in statement else {}
        op.execute(sa.text(statement).bindparams(**values))
