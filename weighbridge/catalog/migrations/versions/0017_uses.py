"""Uses: when each version was last asked for, and which attempts to take one in were the mirror's own.

Attempts from before have no cause: what they took in counts as asked for by a person. Revision types are written out,
so that this step stays what it was when `schema` moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("ingests", sa.Column("cause", sa.Text, comment="mirror, rescan; NULL where somebody asked for it"))
    op.create_table(
        "uses",
        sa.Column("version_id", _ID, nullable=False, autoincrement=False),
        sa.Column("used_at", _MOMENT, nullable=False, comment="last request for it, to some minutes"),
        sa.Column("requests", sa.BigInteger, nullable=False, comment="how many there were"),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_uses")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_uses_version_id_versions"), ondelete="CASCADE"
        ),
    )
