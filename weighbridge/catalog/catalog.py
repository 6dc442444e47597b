"""The catalog as the rest of Weighbridge sees it: one transaction a method, safe for threads and processes.

Every method raises `CatalogUnavailable` when the database is locked or not reachable (try again later) and
`CatalogError` when it cannot be used. Reading a missing entry returns None; changing it raises CatalogError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from weighbridge.catalog import ingests, manifests, removals, reports, results, versions
from weighbridge.catalog.acknowledgements import Acknowledgements
from weighbridge.catalog.audit import AuditLog
from weighbridge.catalog.branches import Branches
from weighbridge.catalog.bundles import Bundles
from weighbridge.catalog.changes import UNKNOWN, Changes
from weighbridge.catalog.database import Database
from weighbridge.catalog.declarations import Declarations
from weighbridge.catalog.deliveries import Deliveries
from weighbridge.catalog.hub_announcements import HubAnnouncements
from weighbridge.catalog.ingests import Ingest, IngestCause, IngestStatus
from weighbridge.catalog.job_queue import JobQueue
from weighbridge.catalog.keys import Keys
from weighbridge.catalog.listings import ModelSummary
from weighbridge.catalog.lists import Lists
from weighbridge.catalog.measurements import Measurements
from weighbridge.catalog.places import Places
from weighbridge.catalog.regressions import regressions
from weighbridge.catalog.repositories import Repositories
from weighbridge.catalog.subscriptions import Subscriptions
from weighbridge.catalog.transits import Transits
from weighbridge.catalog.uses import VersionUses
from weighbridge.catalog.versions import Settlement, StatusCheck
from weighbridge.domain.access import Role
from weighbridge.domain.audit import SERVED
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision, VersionStatus
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.report import ScanReport
from weighbridge.domain.result import OF_RUN, BenchmarkResult
from weighbridge.domain.version import ModelVersion, VersionSummary


class Catalog:
    """The catalog in a database whose schema is up to date; `Catalog.open` makes one.

    Attributes:
        acknowledgements: who has read which licence.
        audit: the log of all changes.
        branches: what commits branches of Hubs were at when they were last asked.
        bundles: which versions were packed into bundles, and came in them.
        declarations: what people say of models.
        deliveries: messages about changes and ends of jobs, on their way to receivers.
        hub_announcements: what was told of changes on the Hub.
        jobs: work that others asked for.
        keys: by what callers are known.
        lists: models and versions in lists, read without files and reports.
        places: the registries that have each version.
        repositories: what is here of the repositories of a Hub.
        subscriptions: who is told of which changes.
        transits: what the mirror hands on before its verdict, and to whom.
        uses: when versions were last asked for, and which of them came in by the mirror.
    """

    def __init__(self, changes: Changes, lists: Lists | None = None) -> None:
        self._changes, self._database = changes, changes.database
        self.acknowledgements = Acknowledgements(changes)
        self.audit = AuditLog(self._database)
        self.branches = Branches(changes)
        self.bundles = Bundles(changes)
        self.declarations = Declarations(changes)
        self.deliveries = Deliveries(changes)
        self.hub_announcements = HubAnnouncements(changes)
        self.jobs = JobQueue(changes)
        self.keys = Keys(changes)
        self.lists = lists or Lists(self._database)
        self._measurements = Measurements(self._database)
        self.places = Places(changes)
        self.repositories = Repositories(self._database)
        self.subscriptions = Subscriptions(changes)
        self.transits = Transits(changes)
        self.uses = VersionUses(self._database)

    @classmethod
    def open(cls, url: str, clock: Callable[[], datetime], *, timeout_s: float = 30.0, actor: str = UNKNOWN) -> Catalog:
        """Open a catalog, creating it or bringing its schema up to date.

        Args:
            url: `sqlite:////path/catalog.db` or `postgresql+psycopg://user:password@host/database`.
            clock: returns the current time, with a time zone.
            timeout_s: seconds to wait for another process's lock, or for a connection.
            actor: whose changes the audit log says they are.

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
        return cls(Changes(database, clock, actor))

    def acting(self, actor: str) -> Catalog:
        """Return this catalog, with its connections and what it keeps in memory, for changes of another actor."""
        return Catalog(self._changes.of(actor), self.lists)

    def nearby(self) -> Catalog | None:
        """Return this catalog over a connection of its own, for one reader; None where reading waits for a network."""
        return Catalog(self._changes.over(nearby)) if (nearby := self._database.nearby()) else None

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # Ingests

    def begin_ingest(self, name: str, uri: str, *, run_url: str = "", cause: IngestCause = "") -> int:
        """Record a new attempt to take a model in, as PENDING, and return its id."""
        with self._changes.begin() as change:
            id_ = ingests.begin(change.connection, name, uri, run_url, cause, change.now)
            after = {"status": "PENDING", "model": name, "uri": uri, **({"cause": cause} if cause else {})}
            change.record("ingest.begun", f"ingest:{id_}", after=after)
            return id_

    def update_ingest(
        self,
        ingest_id: int,
        status: IngestStatus,
        *,
        version: str | None = None,
        error: str | None = None,
        run_url: str | None = None,
        cause: IngestCause | None = None,
    ) -> None:
        """Change the recorded state of an attempt; arguments that are None change nothing."""
        known = {"version": version, "error": error, "run_url": run_url, "cause": cause}
        changes: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
        with self._changes.begin() as change:
            before = ingests.update(change.connection, ingest_id, changes | {"status": status}, change.now)
            after = {name: value for name, value in changes.items() if name != "run_url"}
            change.record(
                "ingest.updated", f"ingest:{ingest_id}", before={"status": before}, after={"status": status, **after}
            )

    def ingests(self, name: str | None = None, *, run: str = "", limit: int = 100) -> list[Ingest]:
        """Return the newest attempts first, of one model or of all; with a run's id, only those of that run."""
        with self._database.read() as connection:
            return ingests.listed(connection, name, run, limit)

    # Resolutions

    def remember_resolution(self, fingerprint: str, computed: Manifest, dropped: tuple[str, ...] = ()) -> None:
        """Record the computed manifest of a declared one, so that an unchanged model is not fetched again.

        Args:
            fingerprint: of the declared manifest; equal fingerprints mean equal bytes.
            computed: the manifest of the bytes received.
            dropped: declared paths that do not belong to the model.
        """
        with self._changes.begin() as change:
            before = manifests.remember(change.connection, fingerprint, computed, dropped, change.now)
            change.record(
                "resolution.remembered",
                fingerprint,
                before={"manifest": before} if before else None,
                after={"manifest": str(computed.digest), "uri": computed.ref.uri},
            )

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

    def add_reports(self, new: Iterable[ScanReport]) -> None:
        """Store scan reports; the one added last under a `ScanReport.key` counts, the others stay as history."""
        added = tuple(new)
        with self._changes.begin() as change:
            reports.add(change.connection, added, change.now)
            if added:
                change.record("reports.added", "reports", after={"ids": sorted({report.id for report in added})})

    def reports(self, digests: Iterable[Digest]) -> list[ScanReport]:
        """Return the reports that count for these blobs, however many, sorted by key."""
        with self._database.read() as connection:
            return reports.newest(connection, digests)

    def report(self, id_: str) -> ScanReport | None:
        """Return the report with an id, as versions and decisions name it, or None."""
        with self._database.read() as connection:
            return reports.by_id(connection, id_)

    def add_result(self, result: BenchmarkResult) -> None:
        """Store a benchmark's result beside earlier ones. A failure of the run is not stored: it is no fact of a model.

        Each metric that is worse, beyond both intervals, than the comparable one of the version before adds a row
        `version.regressed` to the audit log.
        """
        if result.cause == OF_RUN:
            return
        with self._changes.begin() as change:
            results.add(change.connection, result, change.now)
            about = {"benchmark": result.benchmark, "comparable_key": result.comparable_key}
            change.record("result.added", str(result.manifest_digest), after={**about, "failed": bool(result.failure)})
            for regression in regressions(change.connection, result):
                change.record("version.regressed", regression.subject, after=regression.to_json())

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
        return self._measurements.of(benchmark)

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
        with self._changes.begin() as change:
            version, before = versions.settle(change.connection, settlement, choose, change.now)
            change.record(
                "version.settled",
                f"{name}@{version.version}",
                before={"status": before} if before else None,
                after={"status": version.status, "manifest": str(manifest.digest), "policy": decision.policy},
            )
        return version

    def get(self, name: str, version: str | None = None) -> ModelVersion | None:
        """Return a version; without a number the default one, or the latest where there is no default."""
        with self._database.read() as connection:
            if version is not None:
                return versions.get(connection, name, version)
            return versions.shown(connection, name)

    def state(self, name: str, version: str) -> tuple[VersionStatus, bool] | None:
        """Return a version's status and whether it is the default one, or None; `get` reads all of it."""
        with self._database.read(single=True) as connection:
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

    def set_default(self, name: str, version: str | None, check: Callable[[ModelSummary], None] | None = None) -> None:
        """Fix a model's default version; None lets it follow the newest PASSED one again.

        While a fixed version is not PASSED the model has no default: no other version takes its place by itself.
        `check` gets the model's line in the same transaction; what it raises prevents the change.

        Raises:
            CatalogError: no such version, or it is not PASSED.
        """
        with self._changes.begin() as change:
            before = versions.fix_default(change.connection, name, version, check)
            change.record("model.default", name, before={"version": before}, after={"version": version})

    def withdraw(self, name: str, version: str, reason: str, role: Role = "admin") -> None:
        """Make a version FAILED on a person's request; later decisions do not change that until `reinstate`.

        Its publications stay recorded until `places.remove`, so that they can be found and taken down. `role` is the
        person's: it takes that one, or a higher one, to reinstate the version.

        Raises:
            CatalogError: no such version.
        """
        with self._changes.begin() as change:
            before = versions.withdraw(change.connection, name, version, reason, role, change.now)
            after = {"status": "FAILED", "reason": reason}
            change.record("version.withdrawn", f"{name}@{version}", before={"status": before}, after=after)

    def withdrawals(self, name: str) -> dict[str, Role]:
        """Return the numbers of a model's withdrawn versions, each with the role that takes the withdrawal back."""
        with self._database.read() as connection:
            return versions.withdrawals(connection, name)

    def reinstate(
        self, name: str, version: str, role: Role = "admin", reason: str = "", check: StatusCheck | None = None
    ) -> None:
        """Take a withdrawal back: the version has its last decision's verdict again, unless `check` raises.

        Raises:
            CatalogError: no such version, or its bytes were removed.
            NotPermitted: it was withdrawn on the word of a higher role.
        """
        with self._changes.begin() as change:
            before, status = versions.reinstate(change.connection, name, version, role, change.now)
            if check is not None:
                check(status)
            after = {"status": status, "reason": reason} if reason else {"status": status}
            change.record("version.reinstated", f"{name}@{version}", before={"status": before}, after=after)

    def remove(self, name: str, version: str, reason: str = "") -> None:
        """Hide a version: nothing shows it, and no upload of it becomes visible; a second call is harmless.

        Its number belongs to its files for good: an ingest of the same files restores the version, and a withdrawal.

        Raises:
            CatalogError: there was never such a version.
        """
        with self._changes.begin() as change:
            before = removals.remove(change.connection, name, version, change.now)
            after = {"reason": reason} if reason else None
            change.record("version.removed", f"{name}@{version}", before={"status": before}, after=after)

    def purge(self, name: str, version: str) -> None:
        """Mark the bytes of a FAILED version as no longer needed; its verdict stays.

        Raises:
            CatalogError: no such version, or it is not FAILED.
        """
        with self._changes.begin() as change:
            removals.purge(change.connection, name, version, change.now)
            change.record("version.purged", f"{name}@{version}", before={"purged": False}, after={"purged": True})

    def record_served(self, name: str, version: str, manifest: Digest, address: str) -> None:
        """Record in the audit log that the actor is given files of a version, at an address; call it before.

        Nothing else changes by it.
        """
        with self._changes.begin() as change:
            change.record(SERVED, f"{name}@{version}", after={"manifest": str(manifest), "address": address})

    def needed(self) -> set[Digest]:
        """Return every blob of every version, whatever its status, except removed and purged ones."""
        with self._database.read() as connection:
            return removals.needed(connection)

    @property
    def blank(self) -> bool:
        """Whether the catalog has never had a model."""
        with self._database.read() as connection:
            return removals.is_blank(connection)
