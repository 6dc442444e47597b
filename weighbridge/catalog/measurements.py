"""What a leaderboard ranks: results and their versions, read from the database again only after the catalog changed.

Every change of the catalog is a row of its audit log, so that the number of the newest row says whether there was one.
Not here: the rows themselves (catalog.results), or ranking (benchmarks.leaderboard).
"""

from __future__ import annotations

from threading import Lock

from weighbridge.catalog import audit, results, summaries
from weighbridge.catalog.database import Database
from weighbridge.domain.result import BenchmarkResult
from weighbridge.domain.version import VersionSummary

#: Results of one benchmark, or of all, that are kept in memory; of more, none is.
_MOST_KEPT = 10_000
Measured = tuple[list[VersionSummary], list[BenchmarkResult]]


class Measurements:
    """The results that count with their versions; safe for threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[str | None, tuple[int, Measured]] = {}
        self._lock = Lock()

    def of(self, benchmark: str | None) -> Measured:
        """Return the results that count, of one benchmark or of all, and every version that has one."""
        with self._lock, self._database.read() as connection:
            newest = audit.newest_number(connection)
            number, measured = self._kept.get(benchmark, (-1, ([], [])))
            if number != newest:
                found = results.newest(connection, None, benchmark)
                manifests = {result.manifest_digest for result in found}
                measured = summaries.of_manifests(connection, manifests), found
                self._kept.pop(benchmark, None)
                if len(found) <= _MOST_KEPT:
                    self._kept[benchmark] = newest, measured
            return list(measured[0]), list(measured[1])
