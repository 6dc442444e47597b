"""What a leaderboard ranks: results and their versions, read from the database again only after the catalog changed.

Not here: the rows themselves (catalog.results), or ranking (benchmarks.leaderboard).
"""

from __future__ import annotations

from threading import Lock

from weighbridge.catalog import audit, results, summaries
from weighbridge.catalog.database import Database
from weighbridge.catalog.kept import Kept
from weighbridge.domain.result import BenchmarkResult
from weighbridge.domain.version import VersionSummary

#: Results that are kept in memory.
_MOST_KEPT = 20_000
Measured = tuple[list[VersionSummary], list[BenchmarkResult]]


class Measurements:
    """The results that count with their versions; safe for threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: Kept[str | None, Measured] = Kept(_MOST_KEPT)
        self._lock = Lock()

    def of(self, benchmark: str | None) -> Measured:
        """Return the results that count, of one benchmark or of all, and every version that has one."""
        with self._lock, self._database.read() as connection:
            newest = audit.newest(connection)
            measured = self._kept.get(newest, benchmark)
            if measured is None:
                found = results.newest(connection, None, benchmark)
                manifests = {result.manifest_digest for result in found}
                measured = summaries.of_manifests(connection, manifests), found
                self._kept.put(newest, benchmark, measured, len(found))
            return list(measured[0]), list(measured[1])
