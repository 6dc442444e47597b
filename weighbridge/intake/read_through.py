"""Read-through: a model that is not here is handed on from its Hub while it is stored, before it is weighed.

What a Hub says of a revision is kept in the catalog as a transit, for all processes. Each file is fetched once, into
the store, and read from there by everybody who waits for it (store.growing); it is a blob only if its digest is right.
Not here: weighing it afterwards (intake.transit_worker), and what is here already (intake.mirroring).
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from threading import Lock

from weighbridge.catalog import StoredJob, Transit
from weighbridge.domain.access import Caller
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.progress import Heard, Silent
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import (
    IntegrityError,
    NotInCatalog,
    NotPermitted,
    SourceError,
    SourceUnavailable,
    UnsafePath,
    WeighbridgeError,
)
from weighbridge.intake.asker import Asker
from weighbridge.intake.fetching import fetch, known_blob, receiving_key
from weighbridge.intake.flights import Awaiting, Flight
from weighbridge.intake.mirror_ingests import reference, refuse_failed, refuse_starter, revision_name
from weighbridge.intake.mirrored_models import COMMIT, RepoKind
from weighbridge.intake.resources import Resources
from weighbridge.intake.upstream_branches import branch_key
from weighbridge.intake.workspace import Workspace, workspace_of
from weighbridge.sources import import_source
from weighbridge.store.growing import GrowingBlob
from weighbridge.store.reading import OpenBlob

#: What clients print of everything that is handed on before its verdict.
WARNING = "It has not been weighed yet: its files come from upstream as they are, and nothing has scanned them."
#: How long a branch counts as what its Hub said of it.
_FRESH = timedelta(seconds=60)
#: Bytes of a file that is received whole, and proven, before any of it is handed on.
_WHOLE_FIRST = 256 * 1024
#: Seconds after which a Hub that could not be reached is asked again.
_AWAY_S = 10
#: Held while sources are imported: threads that import parts of one library at once meet halves of it.
_importing = Lock()


class _Received(Silent):
    """Counts the bytes that come from a source."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    def advance(self, step: str, amount: int) -> None:
        """Count them."""
        self._heard(amount)


def transit_of(
    kind: RepoKind,
    name: str,
    revision: str,
    caller: Caller,
    resources: Resources,
    missing: WeighbridgeError,
    commit: str = "",
) -> Transit:
    """Return a revision of a model that is not here, as its Hub describes it, to be handed on.

    1. A name that belongs to another source here is not continued with what a Hub has under it.
    2. Only who may have a model taken in by asking gets what is not weighed.
    3. A commit is known for good once its Hub was asked for it, or for a branch that is there; a branch, for a minute
       where it is not known to what commit it is now (intake.upstream_branches).
    4. A model that could not be weighed is not handed on any more, for some minutes.

    Args:
        kind: what the client takes it for.
        name: the name of its repository.
        revision: branch, tag or commit; empty for `main`.
        caller: who asks, and may read models of that name.
        resources: those of the process.
        missing: what the catalog says of it; raised where nothing is handed on.
        commit: what commit a branch or a tag is now; empty where that is not known.

    Raises:
        Awaiting: its Hub is being asked.
        NotInCatalog: its Hub does not have it, or it could not be had or weighed.
        NotAuthenticated: only known callers get what is not weighed.
        SourceUnavailable: its Hub could not be reached.
    """
    upstream, ref = resources.mirror.upstream(name), reference(kind, name, revision)
    if ref is None:
        raise missing
    wanted = revision_name(name, revision)
    if (resources.catalog.origins(name) | resources.catalog.origins(wanted)) - {ref.origin}:
        raise missing
    plain = NotInCatalog(f"This registry has no {kind.removesuffix('s')} {name}.", name=name)
    refuse_starter(upstream, name, caller, missing if isinstance(missing, NotInCatalog) else plain)
    transits = resources.catalog.transits
    commit = revision if COMMIT.fullmatch(revision) else commit
    found = transits.of_commit(kind, name, commit) if commit else transits.newest(kind, wanted)
    if found is None or not (commit or resources.clock() - found.described_at < _FRESH):
        found = _asked(kind, wanted, ref, caller, resources, found or transits.newest(kind, wanted))
    job = job_of(found, resources)
    if job is not None and job.ended and job.state != "done":
        refuse_failed(job, name, resources.clock())
    return found


def _asked(
    kind: RepoKind, wanted: str, ref: ModelRef, caller: Caller, resources: Resources, known: Transit | None
) -> Transit:
    """Have a Hub asked what a revision is now; where it cannot say, that is what it said last."""

    def ask() -> None:
        with workspace_of(resources, Asker(on_behalf=True, actor=caller.actor)) as workspace:
            import_ahead(ref.kind)
            declared = workspace.source(ref, AuthPlace()).resolve(ref)
        resources.catalog.transits.describe(kind, wanted, declared, caller.actor)
        if not COMMIT.fullmatch(ref.revision):
            key = branch_key(kind, ref.id, ref.revision, resources)
            resources.catalog.branches.learned(key, declared.ref.revision)

    flight = resources.flights.join(("description", kind, wanted), ask)
    if flight.error is None:
        raise Awaiting.of(flight, ref.id)
    if known is not None and flight.error.retryable:
        return known
    raise _refusal(flight.error, ref.id)


def import_ahead(kind: str) -> None:
    """Import what asks a Hub: that takes a second or two, which no client should wait for."""
    with _importing:
        import_source(kind)


def job_of(transit: Transit, resources: Resources) -> StoredJob | None:
    """Return the job that weighs a transit, or None."""
    try:
        return resources.catalog.jobs.get(transit.job) if transit.job else None
    except NotInCatalog:  # It ended long ago.
        return None


def described(transit: Transit, resources: Resources) -> ModelVersion:
    """Return a transit as a version that has no verdict, with what its Hub declares in place of what is known of it."""

    def read() -> ModelVersion:
        declared = resources.catalog.transits.manifest(transit.id)
        return ModelVersion(
            name=transit.name,
            version=transit.commit,
            status="PENDING",
            source=declared.ref.uri,
            manifest=declared,
            card=ModelCard(),
            decision=Decision("SKIPPED", "", ""),
            created_at=transit.described_at.isoformat(),
        )

    return resources.open_transits.version(transit.id, read)


def open_blob(
    transit: Transit, entry: FileEntry, resources: Resources, *, begin: bool
) -> tuple[FileEntry, OpenBlob | GrowingBlob]:
    """Open a file of a transit, with its entry as it is in the store.

    A file that is here is not asked for again. Another one is fetched, with `begin`, in the background; who reads it
    follows. Where its Hub promises no sha256, or it is small, it is fetched first, so that its ETag is its sha256 in
    any case.

    Raises:
        Awaiting: it is being fetched.
        NotPermitted: a scanner has found the file harmful before.
        NotInCatalog: it cannot be had.
        SourceUnavailable: its Hub could not be reached.
        TooManyAtOnce: too many files are being fetched.
    """
    ref = described(transit, resources).manifest.ref
    workspace = resources.open_transits.workspace(transit.id, lambda: _workspace(transit, resources))
    known = known_blob(ref, entry, workspace.store)
    if known is not None:
        _refuse_harmful(entry, known, resources)
        blob = resources.readings.open(known)
        return replace(entry, digest=known, size=blob.size), blob
    promised = entry.digest if entry.digest and entry.digest.algorithm == "sha256" else None
    part = resources.store.part(receiving_key(ref, entry))
    if not begin and promised is not None and entry.size is not None:
        return entry, GrowingBlob(resources.store, part, promised, entry.size)
    flight = _fetched(transit, entry, ref, workspace, resources)
    if flight.error is not None:
        raise flight.error
    if promised is None or entry.size is None or entry.size <= _WHOLE_FIRST:
        raise Awaiting.of(flight, f"{transit.repository}/{entry.path}")
    return entry, GrowingBlob(resources.store, part, promised, entry.size, flight)


def _fetched(transit: Transit, entry: FileEntry, ref: ModelRef, workspace: Workspace, resources: Resources) -> Flight:
    """Return the flight that fetches a file; begin one where there is none.

    Another model's flight for the same bytes waits for this one's turn, and finds them then; its failure is its own.
    """

    def work() -> None:
        with resources.open_transits.flying(transit.id):
            import_ahead(ref.kind)
            source = workspace.source(ref, AuthPlace())
            heard, began = _Received(resources.received), time.monotonic()
            try:
                fetch(source, ref, entry, workspace.store, heard, workspace.retrying, workspace.pace)
            except WeighbridgeError as error:
                raise _refusal(error, f"{transit.repository}/{entry.path}") from error
            finally:
                resources.took(time.monotonic() - began)

    return resources.flights.join(("file", transit.id, entry.path), work)


def _workspace(transit: Transit, resources: Resources) -> Workspace:
    return Workspace(resources, Asker(on_behalf=True, actor=transit.asker))


def _refuse_harmful(entry: FileEntry, digest: Digest, resources: Resources) -> None:
    """Refuse a file that a scanner has found harmful before, in whichever model it was."""
    for report in resources.catalog.reports([digest]):
        found = next((one for one in report.findings if one.level == "error"), None)
        if found is not None:
            raise NotPermitted(
                f"{entry.path} is not handed on: {report.scanner} has found it harmful before. {found.message}",
                "Ask whoever runs this registry.",
                path=entry.path,
            )


def _refusal(error: WeighbridgeError, what: str) -> WeighbridgeError:
    """Return what a client hears of a failure upstream."""
    if isinstance(error, SourceUnavailable):
        retry_s = error.facts.get("retry_after_s") or _AWAY_S
        return SourceUnavailable(
            f"{what} is not here, and its Hub could not be reached.",
            "Ask again in some seconds.",
            retry_after_s=round(min(60, max(_AWAY_S, retry_s))),
        )
    if isinstance(error, SourceError | IntegrityError | UnsafePath):
        return NotInCatalog(f"{what} is not here, and could not be had. {error}")
    return error
