"""Updates of ClamAV's signatures in the catalog: a row of the audit log each, and which signatures reports still name.

Not here: the update itself (intake.signatures).
"""

from __future__ import annotations

from sqlalchemy import func, select

from weighbridge.catalog import schema
from weighbridge.catalog.changes import Changes
from weighbridge.domain.signatures import UPDATED, SignatureDatabase

_OBJECT = "signatures"


class SignatureUpdates:
    """The updates of signatures; `Catalog.signatures` is one. Its errors are those of `Catalog`."""

    def __init__(self, changes: Changes) -> None:
        self._changes, self._database = changes, changes.database

    def record(self, before: SignatureDatabase | None, after: SignatureDatabase) -> None:
        """Record that other signatures are in use."""
        with self._changes.begin() as change:
            change.record(UPDATED, _OBJECT, before=before and before.to_json(), after=after.to_json())

    def named(self, limit: int) -> tuple[str, ...]:
        """Return the rules in ClamAV's reports about versions that passed, those of the newest versions first."""
        reports, links, versions = schema.reports, schema.version_reports, schema.versions
        query = (
            select(reports.c.rules)
            .join(links, links.c.report_id == reports.c.id)
            .join(versions, versions.c.id == links.c.version_id)
            .where(reports.c.scanner == "clamav", versions.c.status == "PASSED")
            .group_by(reports.c.rules)
            .order_by(func.max(versions.c.id).desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return tuple(connection.execute(query).scalars())
