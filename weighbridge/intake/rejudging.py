"""Rejudging: every version is judged again from stored facts, under today's policy, or under one that is only tried.

A part of the versions is in memory at a time. How far a call came is in the audit log now and then, so that the next
one goes on where a killed one ended. Not here: one version (intake.recalling), and reading blobs anew (intake.chain).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from weighbridge.catalog.recalls import Candidate, PolicyPass
from weighbridge.domain.policy import Policy
from weighbridge.domain.progress import counted
from weighbridge.domain.rejudgement import MOST_NAMED, Flip, Rejudgement
from weighbridge.errors import NotInCatalog
from weighbridge.intake.recalling import Judged, Policies, finish, judge_again, settle, weigh
from weighbridge.intake.workspace import Workspace

#: Versions in memory at once, and after how many the audit log has how far a call came.
_PART, _NOTED_EVERY = 50, 500
#: How long ago a call may have been killed for the next one to go on where it ended.
_RESUMED_WITHIN = timedelta(days=1)


@dataclass
class _Sums:
    """The figures of a call so far; those of one that was killed are in `done`."""

    done: PolicyPass
    changed: int = 0
    held: Counter[str] = field(default_factory=Counter)
    flips: list[Flip] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    def add(self, judged: Judged, after: int) -> None:
        """Count one version, whose row has the id `after`."""
        withdrawn, reinstated = self.done.withdrawn, self.done.reinstated
        if judged.flipped:
            withdrawn, reinstated = withdrawn + (judged.before == "PASSED"), reinstated + (judged.after == "PASSED")
            if len(self.flips) < MOST_NAMED:
                self.flips.append(_flip(judged))
        self.done = PolicyPass(after, self.done.versions + 1, withdrawn, reinstated)
        self.changed += judged.changed
        if judged.held:
            self.held[judged.held] += 1
        self.unfinished += judged.unfinished[: max(0, MOST_NAMED - len(self.unfinished))]

    def result(self, policy: Policy, *, applied: bool, resumed: bool = False) -> Rejudgement:
        """Return them."""
        return Rejudgement(
            policy=policy.name,
            policy_digest=policy.digest,
            applied=applied,
            resumed=resumed,
            versions=self.done.versions,
            changed=self.changed,
            withdrawn=self.done.withdrawn,
            reinstated=self.done.reinstated,
            held=dict(sorted(self.held.items())),
            flips=tuple(self.flips),
            unfinished=tuple(self.unfinished),
        )


def try_policy(policy: Policy, workspace: Workspace) -> Rejudgement:
    """Return what a policy would change as the operator's, without changing anything.

    Raises:
        InvalidConfiguration: models.yaml, or a policy that it names, cannot be read.
        CatalogError: the catalog cannot be read.
    """
    policies, sums = Policies(workspace, policy), _Sums(PolicyPass())
    for candidate in _candidates(workspace, 0):
        judged, _ = weigh(candidate, policies.of(candidate.version.name), workspace)
        sums.add(judged, candidate.id)
    return sums.result(policy, applied=False)


def apply_policy(workspace: Workspace) -> Rejudgement:
    """Judge every version again under today's policy, and bring registries in line with the verdicts.

    What registries refused before, and refuse now, is tried again at the end.

    Raises:
        InvalidConfiguration: a policy or models.yaml cannot be read.
        CatalogError: the catalog cannot be read or written; the next call goes on where this one ended.
    """
    policies, recalls = Policies(workspace), workspace.catalog.recalls
    begun = recalls.unfinished_pass(policies.digest, workspace.clock() - _RESUMED_WITHIN)
    sums = _Sums(begun or PolicyPass())
    for candidate in _candidates(workspace, sums.done.after):
        judged = _judged(candidate, policies, workspace)
        if judged is not None:
            sums.add(judged, candidate.id)
            if sums.done.versions % _NOTED_EVERY == 0:
                recalls.note_pass(policies.operators.name, policies.digest, sums.done)
    finished = finish(workspace)
    sums.unfinished = [f"{which}: {why}" for which, reasons in finished.unfinished.items() for why in reasons]
    recalls.note_pass(policies.operators.name, policies.digest, sums.done, ended=True)
    return sums.result(policies.operators, applied=True, resumed=begun is not None)


def _judged(candidate: Candidate, policies: Policies, workspace: Workspace) -> Judged | None:
    """Judge a version and carry it out; None where it was removed meanwhile."""
    judged = settle(candidate, policies, workspace)
    if judged is not None:
        return judged
    try:  # Another process changed it since it was read.
        return judge_again(candidate.version.name, candidate.version.version, workspace, policies=policies)
    except NotInCatalog:
        return None


def _candidates(workspace: Workspace, after: int) -> Iterator[Candidate]:
    """Yield every version after the one whose row has an id, in order, a few read at a time."""

    def named() -> Iterator[tuple[str, Candidate]]:
        last = after
        while part := workspace.catalog.recalls.candidates(last, _PART):
            last = part[-1].id
            yield from ((f"{one.version.name}@{one.version.version}", one) for one in part)

    total = workspace.catalog.recalls.count(after)
    return counted(workspace.progress, "judge", "versions", named(), total)


def _flip(judged: Judged) -> Flip:
    order = {"reject": 0, "waive": 1, "warn": 2}
    reasons = tuple(sorted(judged.decision.reasons, key=lambda reason: (order[reason.effect], reason)))
    return Flip(judged.name, judged.version, judged.before, judged.after, judged.decision.policy, reasons)
