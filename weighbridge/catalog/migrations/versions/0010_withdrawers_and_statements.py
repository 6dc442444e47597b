"""Which role takes a withdrawal back, and when each part of a declaration was said.

What was withdrawn until now takes an admin; what was declared until now was said when the declaration last changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "versions", sa.Column("withdrawn_role", sa.Text, comment="takes the withdrawal back; NULL for an admin")
    )
    said = "when, by field, taken back ones too; NULL for declared_at"
    op.add_column("declarations", sa.Column("said_at", sa.JSON, comment=said))
    op.add_column("changelogs", sa.Column("said_at", _MOMENT, comment="NULL where that was not recorded"))
