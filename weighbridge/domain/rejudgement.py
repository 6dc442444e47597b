"""What judging every version again came to, or would come to, under a policy. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from weighbridge.domain.decision import Reason, VersionStatus

#: Flips and failures that a summary names; the others are counted.
MOST_NAMED = 1000
_MOST_REASONS = 10


@dataclass(frozen=True)
class Flip:
    """A version that is let in where it was not, or the other way round.

    Attributes:
        name: the model's name.
        version: its number.
        before: the status that it had.
        after: the status that it has now, or would have.
        policy: the policy's name.
        reasons: why, the ones that decide it first.
    """

    name: str
    version: str
    before: VersionStatus
    after: VersionStatus
    policy: str
    reasons: tuple[Reason, ...]

    @property
    def is_recall(self) -> bool:
        """Whether it is taken back."""
        return self.before == "PASSED"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        reasons = [asdict(reason) for reason in self.reasons[:_MOST_REASONS]]
        return {**vars(self), "reasons": reasons, "reasons_left_out": max(0, len(self.reasons) - _MOST_REASONS)}


@dataclass(frozen=True)
class Rejudgement:
    """What judging every version again came to.

    Attributes:
        policy: the name of the policy of models that have none of their own.
        policy_digest: of its rules.
        applied: whether it was carried out; otherwise nothing was changed.
        resumed: whether an earlier call that was killed had judged a part of the versions.
        versions: how many were judged, those of that part included.
        changed: how many have another decision: another verdict, reason, policy or report.
        withdrawn: how many had passed and do not any more.
        reinstated: how many pass that did not.
        held: how many keep their status although the verdict is another one, by why: `signatures` (only too old: a
            rescan is due), `purged`, `withdrawn`.
        flips: the versions withdrawn and reinstated, of this call, `MOST_NAMED` at most.
        unfinished: what registries could not do yet, a sentence each; it is tried again.
    """

    policy: str
    policy_digest: str
    applied: bool
    resumed: bool
    versions: int
    changed: int
    withdrawn: int
    reinstated: int
    held: Mapping[str, int]
    flips: tuple[Flip, ...]
    unfinished: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            **vars(self),
            "held": dict(self.held),
            "flips": [flip.to_json() for flip in self.flips],
            "unfinished": list(self.unfinished),
        }
