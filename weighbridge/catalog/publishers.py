"""Publishers' signatures in the catalog: facts by the digest of a manifest, since weights are not read again for them.

`Catalog.publishers` is one. No row of the audit log names them: a decision that rests on them has its own. Not here:
finding the facts out (content.model_signatures), and what follows from them (domain.publisher_rules).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from weighbridge.catalog.changes import Changes
from weighbridge.catalog.database import insert
from weighbridge.catalog.publisher_tables import publisher_signatures as _table
from weighbridge.domain.digest import Digest
from weighbridge.domain.publishers import VERSION, PublisherSignature


class PublisherSignatures:
    """The facts of a catalog about publishers' signatures; safe for threads and processes."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def keep(self, manifest: Digest, signatures: Sequence[PublisherSignature]) -> None:
        """Store what is known of the signatures among a manifest's files, in place of what was known."""
        content = [signature.to_json() for signature in signatures]
        values = {"content": content, "recorded_at": self._changes.clock()}
        with self._database.write() as connection:
            statement = insert(connection, _table).values(manifest_digest=str(manifest), **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["manifest_digest"], set_=values))

    def of(self, manifest: Digest) -> tuple[PublisherSignature, ...] | None:
        """Return what is known of the signatures among a manifest's files; None where nothing is, or too little."""
        query = select(_table.c.content).where(_table.c.manifest_digest == str(manifest))
        with self._database.read() as connection:
            content = connection.execute(query).scalar()
        if content is None or any(one.get("version") != VERSION for one in content):
            return None
        return tuple(PublisherSignature.from_json(one) for one in content)
