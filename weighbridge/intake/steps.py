"""The steps a model goes through, each a function of a job: resolve, fetch, scan, verify, describe, decide, publish.

Every step may die at any moment and be called again. Not here: their order (intake.chain) or how they are run (tasks).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from weighbridge.content.cards.describe import describe as describe_files
from weighbridge.content.unpacking import UNPACKERS
from weighbridge.domain import gate
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Comparison, FileEntry, Manifest
from weighbridge.domain.next_version import next_version
from weighbridge.domain.progress import one_of
from weighbridge.domain.report import ScanReport
from weighbridge.domain.selection import Selection
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import CatalogError, IntegrityError
from weighbridge.intake import fetching, publishers, publishing, scanning, verifying
from weighbridge.intake.job import Job, Received
from weighbridge.registries.interface import Registry
from weighbridge.store.nar import nar_digest

#: Files of at least this many bytes are fetched and scanned on their own, smaller ones together.
LARGE_FILE = 32 * 1024 * 1024


def prepare(registries: Iterable[Registry]) -> None:
    """Open the registries that a new version will be published to, while its files are still being fetched."""
    for registry in registries:
        registry.prepare()


def resolve(job: Job) -> Manifest:
    """Return the manifest that the source declares now; with a lock, at the locked revision.

    Raises:
        IntegrityError: the source declares something else than what is locked, as a folder, a bucket or a URL does
            that has changed.
    """
    with one_of(job.workspace.progress, "resolve", "models", job.request.model):
        return _resolve(job)


def _resolve(job: Job) -> Manifest:
    if job.locked is None:
        return job.source.resolve(job.request.ref)
    # A lock holds no credentials of a signed URL.
    declared = job.source.resolve(replace(job.locked.ref, secret=job.request.ref.secret))
    known = job.workspace.catalog.recall_resolution(declared.fingerprint) if declared.fingerprint else None
    if known is not None:
        verifying.hold_to_lock(known, job.locked)
    return declared


def admit(job: Job, declared: Manifest) -> None:
    """Refuse a name that belongs to another source; see `Workspace.refuse_taken`. Raises NameTaken."""
    origins = job.workspace.catalog.origins(job.request.model)
    job.workspace.refuse_taken(job.request, declared.ref, origins)


def recall(job: Job, declared: Manifest) -> Received | None:
    """Return the files that an equal declaration led to before, if all are still in the store; reads no blob."""
    if not declared.fingerprint:
        return None
    catalog, store = job.workspace.catalog, job.workspace.store
    found = catalog.recall_resolution(declared.fingerprint)
    if found is None or not all(entry.digest and store.has(entry.digest) for entry in found.files):
        return None
    return Received(found.files, catalog.recall_dropped(declared.fingerprint))


def keep(job: Job, version: ModelVersion) -> None:
    """Prevent every collection from deleting a version's bytes while the job lasts.

    Its last step settles the version as one that has its bytes, even where no step reads them.

    Raises:
        BlobMissing: some are not in the store, as after a purge.
    """
    store = job.workspace.store
    for entry in version.manifest.files:
        if entry.digest and not store.has(entry.digest):
            store.path(entry.digest)


def groups(declared: Manifest) -> tuple[tuple[FileEntry, ...], ...]:
    """Return the groups of files that are fetched and scanned together: the small ones first, then each large one."""
    small = tuple(entry for entry in declared.files if (entry.size or 0) < LARGE_FILE)
    large = tuple((entry,) for entry in declared.files if (entry.size or 0) >= LARGE_FILE)
    return ((small,) if small else ()) + large


def fetch(job: Job, declared: Manifest, wanted: Sequence[FileEntry]) -> Received:
    """Bring some files of a declared manifest into the store, and unpack an archive."""
    store, progress = job.workspace.store, job.workspace.progress

    def one(entry: FileEntry) -> FileEntry:
        with job.slots:
            progress.say("fetch", entry.path)
            began = time.monotonic()
            try:
                return fetching.fetch(
                    job.source, declared.ref, entry, store, progress, job.workspace.retrying, job.workspace.pace
                )
            finally:
                job.workspace.resources.took(time.monotonic() - began)

    progress.expect("fetch", sum(entry.size or 0 for entry in wanted))
    with ThreadPoolExecutor(max_workers=job.workspace.settings.connections, thread_name_prefix="fetch") as pool:
        files = tuple(pool.map(one, wanted))
    if declared.archive:
        (archive,) = files
        assert archive.digest is not None
        chosen = Selection.of(job.request.ref)
        unpacked = UNPACKERS[declared.archive](store.path(archive.digest), store, progress, chosen)
        return Received(unpacked.files, tuple(f"{gone.path}: {gone.reason}" for gone in unpacked.dropped))
    return Received(files)


def scan(job: Job, received: Received) -> tuple[ScanReport, ...]:
    """Scan files that are in the store; reports are stored at once, so that a later crash costs no second scan."""
    workspace = job.workspace
    settled = _settled(job, received)
    if settled is not None and (again := scanning.recall_version(settled, workspace.engines)):
        return again
    digests = [entry.digest for entry in received.files if entry.digest]
    known = workspace.catalog.reports(digests)
    wanted = scanning.subjects(received.files, workspace.store)
    recalled = scanning.recall(wanted, known, workspace.engines)
    if recalled is not None:
        return recalled
    reports = scanning.scan(wanted, workspace.engines, known, workspace.scan_slots, workspace.progress)
    workspace.catalog.add_reports(reports)
    return reports


def _settled(job: Job, received: Received) -> ModelVersion | None:
    """Return the model's version that has exactly these files under exactly these names, or None."""
    return job.workspace.catalog.having(job.request.model, Manifest(job.request.ref, received.files).digest)


def verify(job: Job, declared: Manifest, received: Iterable[Received]) -> tuple[Manifest, Comparison]:
    """Compare the received files with the promises of the source, the pins and the lock.

    1. Files, manifest digest and lock, as `verifying.verify` does; this reads no bytes.
    2. The Nix archive of the tree has the sha256 of the request's `nar`. A manifest for which that was proven before
       is not read again: it determines every byte of the archive.

    Raises:
        IntegrityError: anything differs.
        StoreError: a blob that step 2 reads is missing or has another size.
    """
    files = tuple(entry for part in received for entry in part.files)
    computed = Manifest(declared.ref, files, gated=declared.gated)
    comparison = verifying.verify(declared, computed, pin=job.request.hash, locked=job.locked)
    if job.request.nar is not None:
        _verify_nar(job, computed, job.request.nar)
    return computed, comparison


def _verify_nar(job: Job, computed: Manifest, expected: Digest) -> None:
    proof = f"nar:{expected}"  # It identifies the whole tree, like a declaration's fingerprint, and is stored as one.
    known = job.workspace.catalog.recall_resolution(proof)
    if known is not None and known.digest == computed.digest:
        return
    actual = nar_digest(computed, job.workspace.store, job.workspace.progress)
    if actual != expected:
        raise IntegrityError(
            f"The NAR hash of {computed.ref} does not fit: expected {expected.sri}, but the model's is {actual.sri}.",
            "Nothing was published. If you trust the new content, put the second value into `hash` as nar:….",
            expected=expected.sri,
            actual=actual.sri,
        )
    job.workspace.catalog.remember_resolution(proof, computed)


def remember(job: Job, declared: Manifest, computed: Manifest, received: Iterable[Received]) -> None:
    """Record the computed manifest of a declaration, so that an equal one needs no fetch."""
    if declared.fingerprint:
        dropped = tuple(name for part in received for name in part.dropped)
        job.workspace.catalog.remember_resolution(declared.fingerprint, computed, dropped)


def describe(job: Job, manifest: Manifest) -> ModelCard:
    """Return the model's card; content that was described before is not read again."""
    settled = _settled(job, Received(manifest.files))
    return settled.card if settled is not None else describe_files(manifest, job.workspace.store)


def decide(job: Job, manifest: Manifest, reports: Iterable[Sequence[ScanReport]], card: ModelCard) -> Decision:
    """Judge the model under the job's policy, with what is known of its publisher's signatures."""
    flat = {found.id: found for part in reports for found in part}
    signatures = publishers.signatures_of(manifest, job.policy, job.workspace)
    return gate.decide(manifest, tuple(flat.values()), card, job.policy, job.workspace.clock(), signatures)


def publish(
    job: Job, manifest: Manifest, reports: Iterable[Sequence[ScanReport]], card: ModelCard, decision: Decision
) -> ModelVersion:
    """Settle the version in the catalog and bring the registries in line with it; see `publishing.reconcile`.

    With a lock, the locked version becomes the default one again where another one has taken its place.

    Raises:
        CatalogError: the model has these files under another number than the request's.
        RegistryError: a registry refused; the version is settled but not published there.
    """
    catalog = job.workspace.catalog
    flat = tuple({found.id: found for part in reports for found in part}.values())

    origins = catalog.origins(job.request.model)

    def choose(previous: ModelVersion | None) -> str:
        if previous is not None:  # It may be the version of another process that was faster.
            job.workspace.refuse_taken(job.request, manifest.ref, origins | {previous.manifest.ref.origin})
        before = (previous.version, previous.card, previous.manifest) if previous else None
        return next_version(before, card, manifest, job.request.version)

    version = catalog.settle_version(job.request.model, manifest.ref.uri, manifest, card, decision, flat, choose)
    if job.locked is not None and version.status == "PASSED" and not version.default:
        catalog.set_default(version.name, version.version)
        version = replace(version, default=True)
    version = publishing.reconcile(version, job.workspace.registries(job.request), job.workspace)
    if job.request.version not in ("", version.version):
        raise CatalogError(
            f"{version.name} has these files as {version.version}, so they cannot become {job.request.version}.",
            "A version keeps its number, since people load it by that: leave `version` out, or give the model another "
            "name.",
            version=version.version,
        )
    return version
