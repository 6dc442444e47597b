"""Branches: what commit each branch of a Hub was at, and the random token by which Hubs know this catalog's mirror.

Revision types are written out, so that this step stays what it was when `upstream_tables` moves on.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0012"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "upstream_branches",
        sa.Column("hub", sa.Text, nullable=False, comment="its address"),
        sa.Column("kind", sa.Text, nullable=False, comment="models or datasets"),
        sa.Column("name", sa.Text, nullable=False, comment="the repository's"),
        sa.Column("revision", sa.Text, nullable=False, comment="a branch or a tag"),
        sa.Column("commit", sa.Text, nullable=False, comment="at the last answer; empty where there was none"),
        sa.Column("etag", sa.Text, nullable=False, comment="of the last answer"),
        sa.Column("checked_at", _MOMENT, comment="when the last answer came"),
        sa.Column(
            "failure", sa.Text, nullable=False, comment="kind of error of the last attempt; empty after an answer"
        ),
        sa.Column("problem", sa.Text, nullable=False, comment="what it says"),
        sa.Column("again_at", _MOMENT, comment="when to ask again after a failure"),
        sa.Column("asked_until", _MOMENT, comment="until when a process is asking"),
        sa.PrimaryKeyConstraint("hub", "kind", "name", "revision", name=op.f("pk_upstream_branches")),
    )
    identity = op.create_table(
        "identity",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False, comment="1: there is one row"),
        sa.Column("token", sa.Text, nullable=False, comment="random; what Hubs know all who share this catalog by"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
    )
    op.bulk_insert(identity, [{"id": 1, "token": secrets.token_hex(8)}])
