"""Rescanning: every blob of what passed is looked at with today's engines, and the versions are judged again.

What is done is read of the catalog's reports, so that a rescan may be killed at any moment and loses seconds of work.
Not here: which blobs are due (catalog.due_blobs), one blob's scan (intake.blob_scans), verdicts (intake.recalling).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread
from typing import Any

from weighbridge.catalog.due_blobs import DueQuery
from weighbridge.catalog.rescans import LEASE
from weighbridge.domain.rescans import DueBlob, Gap, Marks, Rescan, RescanRequest, RescanState
from weighbridge.errors import CatalogError, CatalogUnavailable, ChangedMeanwhile, WeighbridgeError
from weighbridge.intake.blob_scans import STEP, BlobScan, scan_blob
from weighbridge.intake.lookup import exact
from weighbridge.intake.machine_share import SharedSlots
from weighbridge.intake.process_owner import is_gone, own_name
from weighbridge.intake.version_reports import judged_anew
from weighbridge.intake.workspace import Workspace, workspace_of

#: Blobs that are planned at once. What passed meanwhile, and what is asked for more by now, counts from the next plan.
PAGE = 2000
#: What is scanned is stored, and the versions are judged, after so many blobs, bytes or seconds.
_BATCH_BLOBS, _BATCH_BYTES, _BATCH_S = 64, 64 * 1024**2, 5.0
#: Seconds between two looks at whether the engines have changed.
_ENGINES_S = 60.0
#: The blobs that a plan names.
MOST_SHOWN = 20


@dataclass(frozen=True)
class RescanPlan:
    """What a rescan would do.

    Attributes:
        blobs: how many are due.
        size: their bytes.
        first: those that come first.
        judge: versions whose blobs are all looked at, and that were judged before.
        purged: `NAME@VERSION` of versions whose bytes nothing needs any more, so that they cannot be looked at.
        engines: today's, by scanner: version and rules.
    """

    blobs: int
    size: int
    first: tuple[DueBlob, ...]
    judge: tuple[str, ...]
    purged: tuple[str, ...]
    engines: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        values = dict(vars(self))
        return values | {
            "first": [dict(vars(blob)) for blob in self.first],
            "judge": list(self.judge),
            "purged": list(self.purged),
        }


@dataclass(frozen=True)
class RescanReport:
    """What a rescan has done.

    Attributes:
        rescan: the rescan, at its end.
        gaps: what it could not look at.
    """

    rescan: Rescan
    gaps: tuple[Gap, ...] = ()

    @property
    def open_gaps(self) -> tuple[Gap, ...]:
        """Return the gaps that somebody has to look at; nobody needs what was purged."""
        return tuple(gap for gap in self.gaps if gap.what != "purged")

    @property
    def whole(self) -> bool:
        """Return whether everything was looked at that could be within the budget, and no verdict changed."""
        return not self.open_gaps and not self.rescan.changed

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"rescan": self.rescan.to_json(), "gaps": [gap.to_json() for gap in self.gaps]}


def plan(request: RescanRequest, workspace: Workspace) -> RescanPlan:
    """Return what a rescan would do now; nothing is changed, and no blob is opened.

    Raises:
        NotInCatalog: there is no such model or version.
        ScannerUnavailable: there is no engine to compare with.
    """
    _refuse_unknown(request, workspace)
    engines, rescans = workspace.engines, workspace.catalog.rescans
    query = DueQuery(engines.marks, request.models)
    blobs, size = rescans.totals(query)
    judge = tuple(f"{name}@{number}" for name, number in rescans.outdated(query))
    shown = {name: f"{engine.version}, rules {engine.rules}" for name, engine in engines.engines.items()}
    return RescanPlan(blobs, size, tuple(rescans.due(query, MOST_SHOWN)), judge, tuple(rescans.purged(query)), shown)


def rescan(request: RescanRequest, workspace: Workspace) -> RescanReport:
    """Look at every blob that one of today's engines has not seen, and judge the versions whose blobs all are.

    1. Overdue blobs come first, then those of default versions and of what is asked for most; each is read once.
    2. Reports are stored every few seconds; a version is judged as soon as it has all of them.
    3. No blob is begun after the budget, or that would not end within it at the speed so far; the first one always is.
    4. What is lost, damaged or cannot be read is named, and its versions keep their verdicts.

    Raises:
        NotInCatalog: there is no such model or version.
        CatalogUnavailable: another rescan of this catalog runs.
        ScannerUnavailable: an engine cannot be reached; what was scanned is kept.
        Cancelled: the work was taken back; what was scanned is kept.
    """
    _refuse_unknown(request, workspace)
    workspace.import_ahead([])
    rescans = workspace.catalog.rescans
    run = _Run(request, workspace, _begin(request, workspace))
    try:
        with run.leased():
            state = run.work()
        return RescanReport(run.end(state), tuple(rescans.gaps(run.rescan.number)))
    except ChangedMeanwhile:
        raise
    except BaseException as error:
        unavailable = isinstance(error, WeighbridgeError) and not workspace.retrying.stopped.is_set()
        with suppress(CatalogError):
            run.end("failed" if unavailable else "stopped", str(error) if unavailable else "")
        raise


def _refuse_unknown(request: RescanRequest, workspace: Workspace) -> None:
    for one in request.models:
        name, _, number = one.partition("@")
        exact(workspace.catalog, name, number)


def _begin(request: RescanRequest, workspace: Workspace) -> Rescan:
    """Begin, also where a process of this machine worked at a rescan that was killed since."""
    rescans, owner = workspace.catalog.rescans, own_name()
    try:
        return rescans.begin(request, owner)
    except CatalogUnavailable as error:
        other = str(error.facts.get("owner", ""))
        if not is_gone(other):
            raise
        rescans.release(int(error.facts["number"]), other)
    return rescans.begin(request, owner)


@dataclass
class _Run:
    """One rescan at work.

    Attributes:
        request: what was asked for.
        workspace: the asker's; each plan borrows the engines of its time.
        rescan: how far it is.
    """

    request: RescanRequest
    workspace: Workspace
    rescan: Rescan
    _lost: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._began, self._bytes = time.monotonic(), 0
        stopped = self.workspace.retrying.stopped
        self._slots = SharedSlots(self.request.share, self.workspace.settings.slots, stopped)
        self._rescans = self.workspace.catalog.rescans
        self._query = DueQuery(Marks({}), self.request.models, self.rescan.number)
        self._batch: list[BlobScan] = []
        self._stored_at = self._engines_at = self._began

    def work(self) -> RescanState:
        """Do the work and return how it ended: `done`, or `budget` where the time is over."""
        while True:
            with workspace_of(self.workspace.resources, self.workspace.asker) as lent:
                if lent.engines.marks != self._query.marks:
                    self._query = replace(self._query, marks=lent.engines.marks)
                    self._expect()
                    self._judge(None, lent)  # What a rescan that was killed has scanned, and not judged.
                page = self._rescans.due(self._query, PAGE)
                begun, held = self._go_through(page, lent)
                if held and not begun:
                    return "budget"
                if not page:
                    purged = self._rescans.purged(self._query)
                    gaps = [Gap(one, "purged", "Nothing needs its bytes any more.") for one in purged]
                    self._rescans.add_gaps(self.rescan.number, gaps)
                    self._judge(None, lent)
                    return "done"

    def _expect(self) -> None:
        """Count what is due, and tell it as progress; with newer engines it is more than before."""
        blobs, size = self._rescans.totals(self._query)
        done = self.rescan
        more = done.bytes_done + size - done.bytes_due
        self._change(blobs_due=done.blobs_done + blobs, bytes_due=done.bytes_done + size)
        self.workspace.progress.expect(STEP, more)

    def _go_through(self, page: Sequence[DueBlob], lent: Workspace) -> tuple[int, int]:
        """Scan the blobs of a plan; return how many were begun, and how many were put off for the budget."""
        paths = self._rescans.paths([blob.digest for blob in page])
        begun = held = 0
        pending: set[Future[BlobScan]] = set()
        with ThreadPoolExecutor(self._slots.threads, thread_name_prefix="rescan") as pool:
            try:
                for blob in page:
                    if len(pending) >= self._slots.threads:
                        done, pending = wait(pending, return_when=FIRST_COMPLETED)
                        self._take(done, lent)
                    self._go_on()
                    if self._engines_changed():
                        break
                    if not self._fits(blob):
                        held += 1
                        continue
                    begun += 1
                    pending.add(pool.submit(scan_blob, blob, paths.get(blob.digest, ()), lent, self._slots))
                self._take(wait(pending).done, lent)
                pending = set()
            finally:  # What else is being scanned when one fails is not scanned in vain.
                self._batch += [future.result() for future in wait(pending).done if future.exception() is None]
                self._store(lent)
        return begun, held

    def _take(self, done: Iterable[Future[BlobScan]], lent: Workspace) -> None:
        """Take scans that have ended; the first error is raised after the others are taken."""
        errors = [error for future in done if (error := future.exception()) is not None]
        self._batch += [future.result() for future in done if future.exception() is None]
        if errors:
            raise errors[0]
        size, age = sum(scan.blob.size for scan in self._batch), time.monotonic() - self._stored_at
        if len(self._batch) >= _BATCH_BLOBS or size >= _BATCH_BYTES or age >= _BATCH_S:
            self._store(lent)

    def _store(self, lent: Workspace) -> None:
        """Store the reports of the last blobs, and judge the versions that have all of theirs."""
        batch, self._batch, self._stored_at = self._batch, [], time.monotonic()
        if not batch:
            return
        lent.catalog.add_reports([report for scan in batch for report in scan.reports])
        self._rescans.add_gaps(self.rescan.number, [scan.gap for scan in batch if scan.gap is not None])
        looked_at = [scan.blob for scan in batch if scan.gap is None]
        size = sum(blob.size for blob in looked_at)
        self._bytes += size
        done = self.rescan
        self._change(blobs_done=done.blobs_done + len(looked_at), bytes_done=done.bytes_done + size)
        self._rescans.renew(self.rescan)
        self._judge([blob.digest for blob in looked_at], lent)

    def _judge(self, digests: Sequence[str] | None, lent: Workspace) -> None:
        """Judge the versions anew whose blobs are all looked at, of those with certain blobs or of all."""
        for name, number in self._rescans.outdated(self._query, digests):
            self._go_on()
            subject = f"{name}@{number}"
            try:
                changed = judged_anew(name, number, lent, self._slots)
            except CatalogError:
                raise
            except WeighbridgeError as error:
                self._rescans.add_gaps(self.rescan.number, [Gap(subject, "unread", str(error))])
                continue
            if changed is None:
                continue
            named = (*self.rescan.changed, subject) if changed else self.rescan.changed
            self._change(judged=self.rescan.judged + 1, changed=tuple(dict.fromkeys(named)))

    def _fits(self, blob: DueBlob) -> bool:
        """Return whether a blob may be begun: the first one always, so that no budget is too small for good."""
        if not self.request.budget_s or not (self.rescan.blobs_done or self._batch):
            return True
        elapsed = time.monotonic() - self._began
        left = self.request.budget_s - elapsed
        return left > 0 and blob.size <= max(self._bytes, 1) / elapsed * left * self._slots.threads

    def _engines_changed(self) -> bool:
        if time.monotonic() - self._engines_at < _ENGINES_S:
            return False
        self._engines_at = time.monotonic()
        with workspace_of(self.workspace.resources, self.workspace.asker) as probe:
            return probe.engines.marks != self._query.marks

    def _go_on(self) -> None:
        if self._lost.is_set():
            self._rescans.renew(self.rescan)  # It raises what is the matter.
        self.workspace.retrying.go_on()

    def _change(self, **values: Any) -> None:
        with self._lock:
            self.rescan = replace(self.rescan, **values)

    def end(self, state: RescanState, problem: str = "") -> Rescan:
        """Store the end."""
        with self._lock:
            self.rescan = self._rescans.end(self.rescan, state, problem)
            return self.rescan

    @contextmanager
    def leased(self) -> Iterator[None]:
        """Renew the lease while the block runs."""
        ended = Event()
        thread = Thread(target=self._keep_lease, args=(ended,), name="lease of a rescan", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _keep_lease(self, ended: Event) -> None:
        while not ended.wait(LEASE.total_seconds() / 6):
            try:
                self._rescans.renew(self.rescan)
            except ChangedMeanwhile:
                self._lost.set()
                return
            except CatalogError:
                continue  # It is tried again, before the lease runs out.
