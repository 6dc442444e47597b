"""A decision: the verdict on a model version, its reasons, and the reports it rests on. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

#: The states of a version (spec 4); the last three are verdicts. FAILED is quarantined.
VersionStatus = Literal["PENDING", "FETCHING", "SCANNING", "PASSED", "FAILED", "SKIPPED"]
Verdict = Literal["PASSED", "FAILED", "SKIPPED"]
Effect = Literal["reject", "warn", "waive"]
#: The rule of the reason that a person's withdrawal adds to a decision.
WITHDRAWN = "withdrawn"


@dataclass(frozen=True, order=True)
class Reason:
    """Why a verdict is what it is.

    Attributes:
        effect: `reject`, `warn`, or `waive` (would reject, but a waiver covers it).
        rule: the policy's rule, such as `scanners.required` or `licence`.
        message: one sentence for a person.
        path: the file it concerns, or empty.
        report: the id of the report it rests on, or empty.
    """

    effect: Effect
    rule: str
    message: str
    path: str = ""
    report: str = ""


@dataclass(frozen=True)
class Decision:
    """The gate's verdict on one manifest under one policy.

    Attributes:
        verdict: `PASSED`, `FAILED`, or `SKIPPED` (a policy that scans nothing was chosen on purpose).
        policy: the policy's name.
        policy_digest: sha256 of the policy's content.
        reasons: rejections first.
        reports: ids of every report taken into account, sorted.
    """

    verdict: Verdict
    policy: str
    policy_digest: str
    reasons: tuple[Reason, ...] = ()
    reports: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self) | {"reasons": [asdict(reason) for reason in self.reasons], "reports": list(self.reports)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Decision:
        """Read what `to_json` wrote."""
        reasons = tuple(Reason(**reason) for reason in value["reasons"])
        return cls(**{**value, "reasons": reasons, "reports": tuple(value["reports"])})
