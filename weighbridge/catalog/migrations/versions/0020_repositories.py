"""The repository of a Hub that each version came from, by which the list of the Hub's models finds what is here.

The URIs are read here by themselves, so that this step stays what it was when their grammar moves on.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_OF_HUB = re.compile(r"(?:hf|xet):([^@?]+)")
_OF_BUNDLE = re.compile(r"bundle:[^?]*\?(.*)", re.DOTALL)


def upgrade() -> None:
    comment = "of a Hub, case folded: org/name; NULL for other sources"
    op.add_column("versions", sa.Column("repository", sa.Text, comment=comment))
    versions = sa.table("versions", sa.column("id"), sa.column("source"), sa.column("repository"))
    connection = op.get_bind()
    found = [
        {"row": row.id, "name": name}
        for row in connection.execute(sa.select(versions.c.id, versions.c.source)).all()
        if (name := _repository(row.source))
    ]
    if found:
        change = versions.update().where(versions.c.id == sa.bindparam("row"))
        connection.execute(change.values(repository=sa.bindparam("name")), found)
    op.create_index(op.f("ix_versions_repository"), "versions", ["repository"])


def _repository(source: str) -> str:
    bundle = _OF_BUNDLE.match(source)
    uri = parse_qs(bundle[1]).get("upstream", [""])[0] if bundle else source
    of_hub = _OF_HUB.match(uri)
    return unquote(of_hub[1]).casefold() if of_hub else ""
