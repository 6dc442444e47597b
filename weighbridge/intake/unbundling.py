"""Unbundling: takes the versions of a bundle in, under this installation's own gate.

1. Of every bundle, bytes are taken: each blob is hashed on its way into the store, under the digest that the index
   promises. Nothing becomes a version before the bundle was read to its end.
2. Without a trusted key nothing else is believed: the files are scanned, described and judged here, as those of any
   source. Where the model came from is kept as what the bundle says of it.
3. With a trusted key, facts are believed: where the model came from, the reports, results and declarations, each with
   the name of that key. This installation's policy judges by them; the other one's verdict is only recorded.

A kill leaves blobs that no version needs yet, and versions that are whole; the same command again does the rest. Not
here: reading a bundle (content.bundles), and who signed it (intake.opened_bundle).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from semver import Version

from weighbridge.content.bundles.reading import BundleReader
from weighbridge.domain.bundle import BundledVersion, BundleIndex, scanned_by
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.report import SCANNED_BY
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import IntegrityError, StateConflict, StoreFull
from weighbridge.intake import chain, publishing
from weighbridge.intake.bundle_facts import believe, facts_of
from weighbridge.intake.chain import Runner
from weighbridge.intake.job import Job
from weighbridge.intake.opened_bundle import OpenedBundle, Signer, opened_bundle
from weighbridge.intake.workspace import Workspace
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.bundle import BundleSource

#: How a version was taken in: scanned here, on the reports of a trusted key, or not at all, as it is here already.
How = Literal["scanned", "taken over", "unchanged"]


@dataclass(frozen=True)
class ImportRequest:
    """The bundle to import, and how; plain values.

    Attributes:
        path: the file.
        policy: preset or policy file; the configured one when empty.
        another_source: whether a name that is known here may go on with what the bundle has.
        renumber: whether a version whose number is no higher than the latest one here gets the next number.
        scan: whether everything is scanned here, though the key is trusted.
        signed_by: the name of the trusted key that has to have signed it; any, or none, when empty.
    """

    path: str
    policy: str = ""
    another_source: bool = False
    renumber: bool = False
    scan: bool = False
    signed_by: str = ""


@dataclass(frozen=True)
class ImportedVersion:
    """A version that a bundle brought.

    Attributes:
        version: as it is here.
        number: its number in the bundle.
        how: it was taken in.
        notes: what to know of it, a sentence each.
    """

    version: ModelVersion
    number: str
    how: How
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """What an import came to.

    Attributes:
        index: that of the bundle: every file in it was read, and has the digest and size that are there.
        signer: the installation that signed it.
        versions: what it brought.
    """

    index: BundleIndex
    signer: Signer
    versions: tuple[ImportedVersion, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "bundle": str(self.index.digest),
            "verified": {"files": len(self.index.members), "size": self.index.size},
            "signed_by": self.signer.key or None,
            "trusted_as": self.signer.name or None,
            "versions": [
                {
                    **one.version.summary.to_json(),
                    "number_there": one.number,
                    "how": one.how,
                    "reasons": [vars(reason) for reason in one.version.decision.reasons],
                    "notes": list(one.notes),
                }
                for one in self.versions
            ],
        }


@dataclass(frozen=True)
class _Plan:
    """What becomes of one version of a bundle: what is here of it, the job that takes it in, and the way."""

    bundled: BundledVersion
    here: ModelVersion | None
    job: Job
    manifest: Manifest
    how: How


def import_bundle(request: ImportRequest, workspace: Workspace, runner: Runner) -> Imported:
    """Take in every version of a bundle; see the module. What is here already and passed stays as it is.

    Raises:
        UsageError: there is no such file, it is no bundle, or one of another format.
        IntegrityError: it is damaged, contradicts itself, or its signature is not one of it, or not of the key that was
            asked for; nothing was imported.
        NameTaken: a name belongs to another source here; nothing was imported.
        StateConflict: a version has a number that cannot follow here; nothing was imported.
        StoreFull: there is too little room; nothing was imported.
        WeighbridgeError: a version could not be taken in; the same command again goes on from there.
    """
    with opened_bundle(request.path, workspace.settings) as bundle:
        _require_signer(bundle.signer, request)
        plans = list(_plans(bundle, request, workspace))
        _receive(bundle.reader, workspace)
        bundle.reader.finish()
    index, signer = bundle.reader.index, bundle.signer
    return Imported(index, signer, tuple(_take_in(plan, index.digest, signer, workspace, runner) for plan in plans))


def _require_signer(signer: Signer, request: ImportRequest) -> None:
    if request.signed_by and request.signed_by != signer.name:
        by = signer.name or (f"{signer.key}, which is not trusted here" if signer.key else "nobody")
        raise IntegrityError(
            f"The bundle was to be signed by {request.signed_by}, and is signed by {by}.",
            "Nothing was imported. Ask for a signed one, or import it without --signed-by: then it is scanned here.",
            expected=request.signed_by,
            key=signer.key,
        )


def _plans(bundle: OpenedBundle, request: ImportRequest, workspace: Workspace) -> Iterator[_Plan]:
    """Yield what becomes of each version; refuse here, before a blob is received, whatever can be refused."""
    numbers = _Numbers(request.renumber, workspace)
    for bundled in bundle.versions:
        here = workspace.catalog.having(bundled.name, bundled.manifest.digest)
        ref = here.manifest.ref if here is not None else _ref(bundled, bundle.signer)
        wanted = IngestRequest(
            ref,
            name=bundled.name,
            version="" if here is not None else numbers.of(bundled),
            policy=request.policy,
            another_source=request.another_source,
        )
        workspace.refuse_taken(wanted, ref, workspace.catalog.origins(bundled.name))
        manifest = replace(bundled.manifest, ref=ref, gated=bundled.manifest.gated and bool(bundle.signer.name))
        job = Job(wanted, workspace, BundleSource(SourceSettings(), (manifest,)), workspace.policy(wanted))
        yield _Plan(bundled, here, job, manifest, _how(bundled, here, bundle.signer, request, workspace))


def _ref(bundled: BundledVersion, signer: Signer) -> ModelRef:
    """Return where a version came from: what a trusted key says, or the bundle itself with what it says."""
    upstream = bundled.manifest.ref
    if signer.name:
        return upstream
    return ModelRef("bundle", bundled.name, bundled.number, (("upstream", upstream.uri),))


def _how(
    bundled: BundledVersion, here: ModelVersion | None, signer: Signer, request: ImportRequest, workspace: Workspace
) -> How:
    if here is not None and here.status == "PASSED" and not here.purged:
        return "unchanged"
    trusted = bool(signer.name) and not request.scan
    # What was judged here, or alarmed a scanner here, is not judged anew by what somebody else found.
    return "taken over" if trusted and here is None and not _alarmed(bundled.manifest, workspace) else "scanned"


def _alarmed(manifest: Manifest, workspace: Workspace) -> bool:
    """Return whether a scanner of this installation reported an error in one of the files, under any name."""
    known = workspace.catalog.reports(entry.digest for entry in manifest.files if entry.digest)
    own = (report for report in known if SCANNED_BY not in dict(report.engine))
    return any(finding.level == "error" for report in own for finding in report.findings)


class _Numbers:
    """The numbers that new versions get: their own, where it is higher than every number of the model here."""

    def __init__(self, renumber: bool, workspace: Workspace) -> None:
        self._renumber, self._workspace = renumber, workspace
        self._latest: dict[str, str] = {}

    def of(self, bundled: BundledVersion) -> str:
        """Return the number of a version; empty for the next one. Raises StateConflict."""
        name, number = bundled.name, bundled.number
        if name not in self._latest:
            listed = self._workspace.catalog.lists.versions(name)
            self._latest[name] = listed[0].version if listed else ""
        latest = self._latest[name]
        if not latest or Version.parse(number).compare(latest) > 0:
            self._latest[name] = number
            return number
        if self._renumber:
            return ""
        raise StateConflict(
            f"The bundle has {name} {number}, which is not here, and cannot follow {latest}, the latest version here.",
            "Nothing was imported. With --renumber it gets the next number here; it becomes the default version then.",
            name=name,
            version=number,
        )


def _receive(reader: BundleReader, workspace: Workspace) -> None:
    """Bring the blobs of a bundle into the store; read, and hash, also those that are there."""
    store, progress = workspace.store, workspace.progress
    blobs = reader.index.blobs
    need, free = sum(blob.size for blob in blobs if not store.has(blob.digest)), shutil.disk_usage(store.root).free
    if need > free:
        raise StoreFull(
            f"The bundle needs {need:,} bytes in the store at {store.root}, and {free:,} are free.",
            "Nothing was imported. Make room (`weighbridge gc`), or import on a machine that has it.",
            need=need,
            free=free,
        )
    progress.expect("import", sum(blob.size for blob in blobs))
    for blob, chunks in reader.blobs():
        progress.say("import", blob.path)
        if store.has(blob.digest):
            for chunk in chunks:
                progress.advance("import", len(chunk))
            continue
        with store.receive(str(blob.digest), size=blob.size) as incoming:
            incoming.restart()  # A bundle is read once from its beginning: nothing can be resumed.
            try:
                for chunk in chunks:
                    incoming.write(chunk)
                    progress.advance("import", len(chunk))
            except IntegrityError:
                incoming.restart()
                raise
            incoming.commit(blob.digest)


def _take_in(plan: _Plan, bundle: Digest, signer: Signer, workspace: Workspace, runner: Runner) -> ImportedVersion:
    bundled = plan.bundled
    if plan.how == "taken over":
        reports = tuple(scanned_by(report, signer.name, bundled.decided_at) for report in bundled.reports)
        version = chain.take_over(plan.job, plan.manifest, reports, runner).version
    elif plan.how == "scanned" or plan.here is None:
        version = chain.ingest(plan.job, runner).version
    else:  # A kill may have left it unpublished.
        version = publishing.reconcile(plan.here, workspace.registries(plan.job.request), workspace)
    facts = {"bundle": str(bundle), "how": plan.how, **facts_of(bundled, signer)}
    workspace.catalog.bundles.note_imported(version.name, version.version, facts)
    notes = [*_notes(plan, version, signer)]
    if signer.name:
        notes += believe(bundled, version, signer, workspace)
    return ImportedVersion(version, bundled.number, plan.how, tuple(notes))


def _notes(plan: _Plan, version: ModelVersion, signer: Signer) -> Iterator[str]:
    bundled = plan.bundled
    if version.version != bundled.number:
        yield f"It is {bundled.number} in the bundle, and {version.version} here."
    if plan.how == "taken over" and version.status != "PASSED":
        yield f"It was judged by what {signer.name} scanned: the same import with --scan scans it here."
    if (bundled.results or bundled.declared) and not signer.name:
        yield "Results of benchmarks and declarations in the bundle were left out, as its key is not trusted here."
    if bundled.acknowledge and signer.name:
        yield f"At {signer.name}, its licence {bundled.licence} has to be acknowledged before files are given out."
