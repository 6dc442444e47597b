"""Branches upstream: the commit that a branch or a tag of a repository is at, asked of its Hub now and then.

`max_age` in the mirror's file says for how long an answer counts. After that the Hub is asked again, once for all
processes; where it is down, slow or busy, its last answer is given, with its age and what is wrong. A commit is what it
is for ever, and no Hub is asked for it. Not here: sending the questions (intake.branch_questions).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from weighbridge.catalog import BranchKey, StoredBranch
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds.hub import DEFAULT_ENDPOINT
from weighbridge.domain.text import shown
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    ModelNotFound,
    NotInCatalog,
    NotPermitted,
    SourceError,
    SourceUnavailable,
    UnknownRevision,
    WeighbridgeError,
)
from weighbridge.intake.asker import Asker
from weighbridge.intake.mirrored_models import COMMIT, MAIN, SOURCE_KINDS, RepoKind, unqualified
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import workspace_of
from weighbridge.net.hub.commits import CommitAnswer
from weighbridge.net.retrying import Retrying
from weighbridge.sources import open_source
from weighbridge.sources.interface import Branching

#: Seconds without a byte after which a Hub counts as slow here: clients end a request after ten.
_TIMEOUT_S = 4.0
#: Seconds that a client waits for an answer where there is an earlier one, and where there is none.
_PATIENCE_S, _FIRST_PATIENCE_S = 2.5, 6.0
#: Seconds after which a client may ask again where its branch is being asked for.
_SOON_S = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Branch:
    """What is known of a branch upstream.

    Attributes:
        commit: the commit that it was at.
        age_s: seconds since its Hub said so; 0 for a commit.
        is_fresh: whether that counts still.
        problem: why the Hub did not say it again, a sentence; empty where it did, or is being asked.
    """

    commit: str
    age_s: int = 0
    is_fresh: bool = True
    problem: str = ""


def branch_now(kind: RepoKind, name: str, revision: str, resources: Resources) -> Branch:
    """Return what commit a branch or a tag of a repository is at upstream; a client waits for it.

    1. A commit is returned as it is: nothing is asked.
    2. An answer that is not older than the `max_age` of its Hub counts, whichever process got it.
    3. Otherwise the Hub is asked, by one process for all, and the answer is waited for, for some seconds.
    4. Where there is none, the last one is returned with its age.

    Args:
        kind: the kind of repository.
        name: its name at the Hub.
        revision: branch, tag or commit; empty for `main`.
        resources: those of the process.

    Raises:
        NotInCatalog: its Hub has no such repository, or what it answers makes no sense.
        UnknownRevision: the repository has no such branch or tag.
        NotPermitted: the Hub refuses access to the mirror.
        SourceUnavailable: the Hub has never said, and could not be asked now; `facts` have `retry_after_s`.
    """
    key = branch_key(kind, name, revision, resources)
    if COMMIT.fullmatch(key.revision):
        return Branch(key.revision)
    began, known = resources.clock(), resources.catalog.branches.of(key)
    if _is_due(known, name, resources):
        patience_s = _PATIENCE_S if known is not None and known.commit else _FIRST_PATIENCE_S
        resources.branch_questions.ask(key, lambda etag: _ask(kind, key, etag, resources), patience_s)
        known = resources.catalog.branches.of(key)
    if known is None or not known.commit:
        raise _unknown(known, key, resources)
    return _branch(known, began, key, resources)


def branch_lately(
    kind: RepoKind, name: str, revision: str, resources: Resources, then: Callable[[], None] | None = None
) -> Branch | None:
    """Return what was known of a branch lately, and have its Hub asked where that is old; nobody waits.

    None where its Hub has not said yet. `then` is called, in another thread, once the Hub has answered.
    """
    key = branch_key(kind, name, revision, resources)
    began, known = resources.clock(), resources.catalog.branches.of(key)
    if _is_due(known, name, resources):
        resources.branch_questions.ask(key, lambda etag: _ask(kind, key, etag, resources), 0.0, then)
    return _branch(known, began, key, resources) if known is not None and known.commit else None


def branch_key(kind: RepoKind, name: str, revision: str, resources: Resources) -> BranchKey:
    """Return the key of a branch at the Hub that has repositories of that name."""
    upstream = resources.mirror.upstream(name)
    hub = upstream.base_url or resources.settings.endpoint(SOURCE_KINDS["models"]) or DEFAULT_ENDPOINT
    return BranchKey(hub, kind, name, unqualified(revision) or MAIN)


def _is_due(known: StoredBranch | None, name: str, resources: Resources) -> bool:
    """Return whether a Hub is to be asked: its answer is old, and so is its last failure."""
    now = resources.clock()
    if known is None:
        return True
    if known.again_at is not None and now < known.again_at:
        return False
    return known.checked_at is None or _age_s(known.checked_at, now) > resources.mirror.upstream(name).max_age_s


def _age_s(checked_at: datetime, now: datetime) -> float:
    return max(0.0, (now - checked_at).total_seconds())


def _branch(known: StoredBranch, began: datetime, key: BranchKey, resources: Resources) -> Branch:
    """Return what is known of a branch to a request that began at a time."""
    assert known.checked_at is not None, "a commit comes with an answer"
    age_s = _age_s(known.checked_at, resources.clock())
    if known.checked_at >= began or age_s <= resources.mirror.upstream(key.name).max_age_s:
        return Branch(known.commit, int(age_s))
    away = "Its Hub could not be reached a moment ago." if resources.branch_questions.away_s(key.hub) else ""
    return Branch(known.commit, int(age_s), is_fresh=False, problem=known.problem or away)


def _unknown(known: StoredBranch | None, key: BranchKey, resources: Resources) -> WeighbridgeError:
    """Return the error for a branch that no answer has named."""
    left_s = resources.branch_questions.away_s(key.hub)
    if known is not None and known.failure:
        for kind in (UnknownRevision, NotPermitted, NotInCatalog):
            if known.failure == kind.__name__:
                return kind(known.problem, name=key.name)
        assert known.again_at is not None, "a failure says when to ask again"
        left_s = max(left_s, (known.again_at - resources.clock()).total_seconds(), 1.0)
    state = "could not be reached" if left_s else "is being asked for it"
    return SourceUnavailable(
        f"{key.name} is not here, and its Hub {state}.",
        "Ask again in some seconds.",
        retry_after_s=max(_SOON_S, math.ceil(left_s)),
    )


def _ask(kind: RepoKind, key: BranchKey, etag: str, resources: Resources) -> CommitAnswer:
    """Ask a Hub with the mirror's own token, once and briefly; errors are those of `branch_now`."""
    ref = ModelRef(SOURCE_KINDS[kind], key.name, key.revision)
    try:
        with workspace_of(resources, Asker(on_behalf=True)) as workspace:
            usual = workspace.source_settings(ref, AuthPlace())
            source = open_source(ref.kind, replace(usual, timeout_s=_TIMEOUT_S, retrying=Retrying(attempts=1)))
            assert isinstance(source, Branching)
            return source.commit(ref, etag)
    except SourceUnavailable:
        raise
    except ModelNotFound as error:
        if error.facts.get("revision"):
            raise UnknownRevision(f"{key.name} has no revision {shown(key.revision, 80)} upstream.") from error
        raise NotInCatalog(f"{key.name} is not here. {error.problem}", error.remedy) from error
    except SourceError as error:
        if isinstance(error, AccessDenied) and not isinstance(error, AddressRefused):
            raise NotPermitted(f"{key.name} is not here. {error.problem}", error.remedy) from error
        raise NotInCatalog(f"{key.name} is not here, and its Hub makes no sense. {error.problem}") from error
    except WeighbridgeError as error:
        _log.error("The Hub of %s cannot be asked: %s", key.name, error)
        raise NotInCatalog(
            f"{key.name} is not here, and its Hub cannot be asked.", "Ask this registry's operator."
        ) from error
