"""Following: where branches upstream have moved, the newer commit is taken in, or handed on before it is weighed.

In the mode `gated`, where the mirror's file says `follow`, a model whose branch has moved is taken in anew. Clients go
on getting the version that passed; the newer one becomes the default when it has passed, as after a sync. In the mode
`read-through` they get the newer one. Not here: what is served (intake.mirroring), and asking where a branch is
(intake.upstream_branches).
"""

from __future__ import annotations

from datetime import timedelta

from weighbridge.domain.access import Caller
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import NotInCatalog, NotPermitted, SourceUnavailable
from weighbridge.intake.mirror_ingests import begun, revision_name
from weighbridge.intake.mirrored_models import COMMIT, MAIN, SOURCE_KINDS, RepoKind, unqualified
from weighbridge.intake.resources import Resources
from weighbridge.intake.upstream_branches import Branch, branch_key, branch_lately, branch_now

#: Whose jobs they are: the operator's, who has written `follow`, and not those of a client that came by.
FOLLOWER = Caller("follow", "publisher", kind="mirror")
#: A commit whose job has ended is not taken in again within that time, unless its Hub was away.
_ONCE_IN = timedelta(hours=6)


def followed(kind: RepoKind, name: str, revision: str, resources: Resources) -> Branch | None:
    """Return what is known of the branch that a model follows, and have it followed; nobody waits.

    None where it follows none: its Hub's `follow` is off, the mode is not `gated`, the revision is a commit, or the
    model came from elsewhere.

    Args:
        kind: the kind of repository.
        name: its name at the Hub.
        revision: branch or tag; empty for `main`.
        resources: those of the process.
    """
    upstream, branch = resources.mirror.upstream(name), unqualified(revision) or MAIN
    if not upstream.follow or upstream.mode_of(name) != "gated" or COMMIT.fullmatch(branch) or kind not in SOURCE_KINDS:
        return None
    wanted = revision_name(name, branch)
    model = resources.kept.model(wanted)
    ref = ModelRef(SOURCE_KINDS[kind], name, "" if branch == MAIN else branch)
    if model is None or resources.catalog.origins(wanted) != {ref.origin}:
        return None
    return branch_lately(kind, name, branch, resources, lambda: _take_in(kind, ref, wanted, resources))


def revalidated(kind: RepoKind, name: str, revision: str, resources: Resources) -> Branch | None:
    """Return what commit a branch is at upstream for a request in the mode `read-through`, which waits for it.

    None where nothing says so: the revision is a commit, or nothing of it is here yet; or what is here came from
    elsewhere, or a person chose an older version of it as the default.

    Args:
        kind: the kind of repository.
        name: its name at the Hub.
        revision: branch or tag; empty for `main`.
        resources: those of the process.
    """
    branch = unqualified(revision) or MAIN
    if COMMIT.fullmatch(branch) or kind not in SOURCE_KINDS:
        return None
    wanted = revision_name(name, branch)
    model = resources.kept.model(wanted)
    if model is None:
        known = resources.catalog.branches.of(branch_key(kind, name, branch, resources))
        return branch_now(kind, name, branch, resources) if known is not None and known.commit else None
    newest = next((one.number for one in model.versions if one.passed), "")
    if model.default not in ("", newest) or resources.catalog.origins(wanted) != {(SOURCE_KINDS[kind], name)}:
        return None
    try:
        return branch_now(kind, name, branch, resources)
    except (NotInCatalog, NotPermitted, SourceUnavailable):  # Its Hub has never said, and what passed is here.
        return None


def _take_in(kind: RepoKind, ref: ModelRef, wanted: str, resources: Resources) -> None:
    """Have the commit taken in that a branch is at, unless the catalog has it, or a job is about it."""
    branch, model = branch_lately(kind, ref.id, ref.revision, resources), resources.kept.model(wanted)
    if branch is None or model is None or any(one.commit == branch.commit for one in model.versions):
        return
    newer, jobs = ref.pinned(branch.commit), resources.catalog.jobs
    earlier = jobs.newest_ingest(wanted, newer.uri, resources.clock() - _ONCE_IN)
    is_tried = earlier is not None and not (earlier.end is not None and earlier.end.retryable)
    if is_tried or jobs.newest_ingest(wanted) is not None:
        return
    begun(newer, wanted, FOLLOWER, resources)
