"""The catalog as the rest of Weighbridge sees it: one transaction a method, safe for threads and processes.

Every method raises `CatalogUnavailable` when the database is locked or not reachable (try again later) and
`CatalogError` when it cannot be used. Reading a missing entry returns None; changing it raises CatalogError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from weighbridge.catalog import (
    events,
    ingests,
    manifests,
    publications,
    removals,
    reports,
    results,
    summaries,
    versions,
)
from weighbridge.catalog.database import Database
from weighbridge.catalog.events import Event
from weighbridge.catalog.ingests import Ingest, IngestStatus
from weighbridge.catalog.job_queue import JobQueue
from weighbridge.catalog.lists import Lists
from weighbridge.catalog.publications import Place
from weighbridge.catalog.regressions import regressions
from weighbridge.catalog.versions import Settlement
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision, VersionStatus
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.report import ScanReport
from weighbridge.domain.result import OF_RUN, BenchmarkResult
from weighbridge.domain.version import ModelVersion, Publication, VersionSummary


class Catalog:
    """The catalog in a database whose schema is up to date; `Catalog.open` makes one."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    def open(cls, url: str, clock: Callable[[], datetime], *, timeout_s: float = 30.0) -> Catalog:
        """Open a catalog, creating it or bringing its schema up to date.

        Args:
            url: `sqlite:////path/catalog.db` or `postgresql+psycopg://user:password@host/database`.
            clock: returns the current time, with a time zone.
            timeout_s: seconds to wait for another process's lock, or for a connection.

        Raises:
            InvalidConfiguration: the URL names no such database.
            CatalogError: the database cannot be used, or was written by a newer Weighbridge.
            CatalogUnavailable: it is locked or not reachable.
        """
        database = Database(url, timeout_s)
        try:
            database.upgrade()
        except BaseException:  # Also after an interrupt: nothing else would close the connections.
            database.close()
            raise
        return cls(database, clock)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def lists(self) -> Lists:
        """Models and versions in lists, read without files and reports."""
        return Lists(self._database)

    @property
    def jobs(self) -> JobQueue:
        """Work that others asked for."""
        return JobQueue(self._database, self._clock)

    # Ingests

    def begin_ingest(self, name: str, uri: str, *, run_url: str = "") -> int:
        """Record a new attempt to take a model in, as PENDING, and return its id."""
        with self._database.write() as connection:
            return ingests.begin(connection, name, uri, run_url, self._clock())

    def update_ingest(
        self,
        ingest_id: int,
        status: IngestStatus,
        *,
        version: str | None = None,
        error: str | None = None,
        run_url: str | None = None,
    ) -> None:
        """Change the recorded state of an attempt; arguments that are None change nothing."""
        known = {"version": version, "error": error, "run_url": run_url}
        changes: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
        with self._database.write() as connection:
            ingests.update(connection, ingest_id, changes | {"status": status}, self._clock())

    def ingests(self, name: str | None = None, *, limit: int = 100) -> list[Ingest]:
        """Return the newest attempts first, of one model or of all."""
        with self._database.read() as connection:
            return ingests.listed(connection, name, limit)

    # Resolutions

    def remember_resolution(self, fingerprint: str, computed: Manifest, dropped: tuple[str, ...] = ()) -> None:
        """Record the computed manifest of a declared one, so that an unchanged model is not fetched again.

        Args:
            fingerprint: of the declared manifest; equal fingerprints mean equal bytes.
            computed: the manifest of the bytes received.
            dropped: declared paths that do not belong to the model.
        """
        with self._database.write() as connection:
            manifests.remember(connection, fingerprint, computed, dropped, self._clock())

    def recall_resolution(self, fingerprint: str) -> Manifest | None:
        """Return the computed manifest of a declared one, or None; `FileEntry.version` and `locator` are empty."""
        with self._database.read() as connection:
            return manifests.recall(connection, fingerprint)

    def holding(self, digest: Digest) -> list[Manifest]:
        """Return every recorded manifest that has a file of that digest, the newest record first."""
        with self._database.read() as connection:
            return manifests.holding(connection, str(digest))

    def recall_dropped(self, fingerprint: str) -> tuple[str, ...]:
        """Return the declared paths that do not belong to the model."""
        with self._database.read() as connection:
            return manifests.dropped(connection, fingerprint)

    def settled(self, fingerprints: Iterable[str]) -> dict[tuple[str, str], str]:
        """Return, by model name and fingerprint, the number of an existing version; one query for thousands."""
        with self._database.read() as connection:
            return manifests.settled(connection, fingerprints)

    # Reports

    def add_reports(self, new: Iterable[ScanReport]) -> None:
        """Store scan reports; the one added last under a `ScanReport.key` counts, the others stay as history."""
        with self._database.write() as connection:
            reports.add(connection, new, self._clock())

    def reports(self, digests: Iterable[Digest]) -> list[ScanReport]:
        """Return the reports that count for these blobs, however many, sorted by key."""
        with self._database.read() as connection:
            return reports.newest(connection, digests)

    def report(self, id_: str) -> ScanReport | None:
        """Return the report with an id, as versions and decisions name it, or None."""
        with self._database.read() as connection:
            return reports.by_id(connection, id_)

    # Results

    def add_result(self, result: BenchmarkResult) -> None:
        """Store a benchmark's result beside earlier ones. A failure of the run is not stored: it is no fact of a model.

        Each metric that is worse, beyond both intervals, than the comparable one of the version before adds an event
        `version.regressed`.
        """
        if result.cause == OF_RUN:
            return
        now = self._clock()
        with self._database.write() as connection:
            results.add(connection, result, now)
            for regression in regressions(connection, result):
                events.record(connection, "version.regressed", regression.subject, regression.to_json(), now)

    def results(
        self, manifests: Iterable[Digest] | None = None, benchmark: str | None = None, *, samples: bool = False
    ) -> list[BenchmarkResult]:
        """Return the newest result of each manifest, benchmark and comparable key, the newest first.

        Raw samples are read only on request.
        """
        wanted = None if manifests is None else [str(digest) for digest in manifests]
        with self._database.read() as connection:
            return results.newest(connection, wanted, benchmark, samples=samples)

    def measured(self, benchmark: str | None = None) -> tuple[list[VersionSummary], list[BenchmarkResult]]:
        """Return what a leaderboard ranks: the results that count, and every version, passed or not, that has one."""
        with self._database.read() as connection:
            found = results.newest(connection, None, benchmark)
            return summaries.of_manifests(connection, {result.manifest_digest for result in found}), found

    # Versions

    def settle_version(
        self,
        name: str,
        source_uri: str,
        manifest: Manifest,
        card: ModelCard,
        decision: Decision,
        reports: Iterable[ScanReport],
        choose: Callable[[ModelVersion | None], str],
    ) -> ModelVersion:
        """Store the verdict on a manifest of a named model, in one transaction, and return its version.

        A manifest that already is a version of that model keeps its number and gets the new card, decision, reports
        and status; else `choose` gives the number for the latest version there is (None for the first). The status is
        the decision's verdict, unless a person withdrew the version: then it stays FAILED. Of two processes that
        settle the same manifest at once, the second updates the first one's version.

        Raises:
            CatalogError: `choose` gave a number that belongs to other files.
            InvalidName: the name is not valid.
        """
        settlement = Settlement(name, source_uri, manifest, card, decision, tuple(reports))
        now = self._clock()
        with self._database.write() as connection:
            version = versions.settle(connection, settlement, choose, now)
            detail = {"status": version.status, "manifest": str(manifest.digest), "policy": decision.policy}
            events.record(connection, "version.settled", f"{name}@{version.version}", detail, now)
        return version

    def get(self, name: str, version: str | None = None) -> ModelVersion | None:
        """Return a version; without a number the default one, or the latest where there is no default."""
        with self._database.read() as connection:
            if version is not None:
                return versions.get(connection, name, version)
            return versions.default(connection, name) or versions.latest(connection, name)

    def state(self, name: str, version: str) -> tuple[VersionStatus, bool] | None:
        """Return a version's status and whether it is the default one, or None; `get` reads all of it."""
        with self._database.read() as connection:
            return versions.state(connection, name, version)

    def having(self, name: str, manifest: Digest) -> ModelVersion | None:
        """Return the version of a model that has exactly these files under these names, or None."""
        with self._database.read() as connection:
            return versions.having(connection, name, str(manifest))

    def versions(self, name: str) -> list[ModelVersion]:
        """Return every version of a model, the latest first; none for an unknown name."""
        with self._database.read() as connection:
            return versions.listed(connection, name)

    def origins(self, name: str) -> set[tuple[str, ...]]:
        """Return the origins of a model's versions (`ModelRef.origin`); nothing for an unknown name."""
        with self._database.read() as connection:
            return versions.origins(connection, name)

    def set_default(self, name: str, version: str | None) -> None:
        """Fix a model's default version; None lets it follow the newest PASSED one again.

        While a fixed version is not PASSED the model has no default: no other version takes its place by itself.

        Raises:
            CatalogError: no such version, or it is not PASSED.
        """
        now = self._clock()
        with self._database.write() as connection:
            versions.fix_default(connection, name, version)
            events.record(connection, "model.default", name, {"version": version}, now)

    def withdraw(self, name: str, version: str, reason: str) -> None:
        """Make a version FAILED on a person's request; later decisions do not change that until `reinstate`.

        Its publications stay recorded until `remove_publications`, so that they can be found and taken down.

        Raises:
            CatalogError: no such version.
        """
        now = self._clock()
        with self._database.write() as connection:
            versions.withdraw(connection, name, version, reason, now)
            events.record(connection, "version.withdrawn", f"{name}@{version}", {"reason": reason}, now)

    def reinstate(self, name: str, version: str) -> None:
        """Take a withdrawal back: the version has its last decision's verdict again.

        Raises:
            CatalogError: no such version.
        """
        now = self._clock()
        with self._database.write() as connection:
            versions.reinstate(connection, name, version, now)
            events.record(connection, "version.reinstated", f"{name}@{version}", {}, now)

    def remove(self, name: str, version: str) -> None:
        """Hide a version: nothing shows it, and no upload of it becomes visible; a second call is harmless.

        Its number belongs to its files for good: an ingest of the same files restores the version, and a withdrawal.

        Raises:
            CatalogError: there was never such a version.
        """
        now = self._clock()
        with self._database.write() as connection:
            removals.remove(connection, name, version, now)
            events.record(connection, "version.removed", f"{name}@{version}", {}, now)

    def purge(self, name: str, version: str) -> None:
        """Mark the bytes of a FAILED version as no longer needed; its verdict stays.

        Raises:
            CatalogError: no such version, or it is not FAILED.
        """
        now = self._clock()
        with self._database.write() as connection:
            removals.purge(connection, name, version, now)
            events.record(connection, "version.purged", f"{name}@{version}", {}, now)

    def needed(self) -> set[Digest]:
        """Return every blob of every version, whatever its status, except removed and purged ones."""
        with self._database.read() as connection:
            return removals.needed(connection)

    @property
    def blank(self) -> bool:
        """Whether the catalog has never had a model."""
        with self._database.read() as connection:
            return removals.is_blank(connection)

    # Publications

    def begin_upload(self, name: str, version: str, registry: str, address: str) -> bool:
        """Record that an upload to a registry begins; return False, recording nothing, unless the version is PASSED.

        Raises:
            CatalogError: no such version.
        """
        now = self._clock()
        with self._database.write() as connection:
            version_id, status = versions.require(connection, name, version, hold=True, removed=True)
            if status == "PASSED":
                publications.begin_upload(connection, version_id, registry, address, now)
            return status == "PASSED"

    def add_publication(self, name: str, version: str, publication: Publication) -> bool:
        """Record where a version was published, and that its upload ended; a second call is harmless.

        Returns False, recording nothing, when the version is no longer PASSED: the caller has to take it back.

        Raises:
            CatalogError: no such version.
        """
        now = self._clock()
        with self._database.write() as connection:
            version_id, status = versions.require(connection, name, version, hold=True, removed=True)
            if status != "PASSED":
                return False
            publications.add(connection, version_id, publication, now)
            publications.end_upload(connection, version_id, publication.registry, publication.address)
            detail = {"registry": publication.registry, "location": publication.location}
            events.record(connection, "version.published", f"{name}@{version}", detail, now)
            return True

    def remove_publications(self, name: str, version: str, registry: str, address: str = "") -> None:
        """Delete the records of publications and uploads to a registry, once the version is withdrawn there.

        Raises:
            CatalogError: no such version.
        """
        now = self._clock()
        with self._database.write() as connection:
            version_id, _ = versions.require(connection, name, version, removed=True)
            publications.remove(connection, version_id, registry, address)
            publications.end_upload(connection, version_id, registry, address)
            detail = {"registry": registry, "address": address}
            events.record(connection, "version.unpublished", f"{name}@{version}", detail, now)

    def places(self, name: str, version: str) -> list[Place]:
        """Return every registry that has a version, or may have parts of it from an upload that did not end.

        Raises:
            CatalogError: no such version.
        """
        with self._database.read() as connection:
            version_id, _ = versions.require(connection, name, version, removed=True)
            return publications.places(connection, version_id, self._clock())

    # Events

    def history(self, name: str) -> list[Event]:
        """Return what was done to a model and its versions, in order."""
        with self._database.read() as connection:
            return events.of_model(connection, name)

    def events(
        self, *, subject: str | None = None, kind: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[Event]:
        """Return the audit log in order, from the event after id `after` on."""
        with self._database.read() as connection:
            return events.listed(connection, subject, kind, after, limit)
