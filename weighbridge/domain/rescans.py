"""Rescans: which reports are those of today's engines, what is asked of a rescan, and what one has done. Values only.

Not here: what is due (catalog.rescans), and the work (intake.rescanning).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self, get_args

from weighbridge.domain.names import checked_name
from weighbridge.domain.report import NOT_APPLICABLE, ScanReport
from weighbridge.domain.text import shown
from weighbridge.errors import UsageError

#: A version or a digest of rules, as a pair of a report's `version` and `rules`.
Mark = tuple[str, str]
RescanState = Literal["running", "done", "budget", "stopped", "failed"]
STATES: tuple[RescanState, ...] = get_args(RescanState)
#: How long the last look at a blob may be ago before it goes before the blobs of default versions: where a budget never
#: suffices for all blobs, the least wanted ones would otherwise wait forever.
OVERDUE = timedelta(days=14)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_BUDGET = re.compile(r"([0-9]{1,6})([smhd])")
_SHARE = re.compile(r"([0-9]{1,3})\s*%")


@dataclass(frozen=True)
class Marks:
    """The one rule of which reports count as those of today's engines.

    Attributes:
        accepted: by scanner, the marks of its reports that count.
    """

    accepted: Mapping[str, tuple[Mark, ...]]

    def current(self, report: ScanReport) -> bool:
        """Return whether one of today's engines wrote a report."""
        return (report.version, report.rules) in self.accepted.get(report.scanner, ())


def counts(report: ScanReport, *, partial: bool = False) -> bool:
    """Return whether the engine of a report would find nothing else today, so that the blob need not be read again.

    Args:
        report: the report.
        partial: whether a partial report counts: its engine would read no more of the blob today.
    """
    if report.status == "skipped":
        return report.reason == NOT_APPLICABLE
    return report.reusable or (partial and report.status == "partial")


@dataclass(frozen=True)
class RescanRequest:
    """What is asked of a rescan.

    Attributes:
        models: `NAME` or `NAME@VERSION`; empty for every version that passed.
        budget_s: seconds after which no other blob is begun; 0 for no limit.
        share: of the machine's processors that the rescan uses at most, above 0 and up to 1.
        whole: whether reports of a part of the signatures do not count.
    """

    models: tuple[str, ...] = ()
    budget_s: int = 0
    share: float = 1.0
    whole: bool = False

    @classmethod
    def of(cls, models: tuple[str, ...] = (), budget: str = "", share: str = "", *, whole: bool = False) -> Self:
        """Return the request that texts make, such as a budget of `2h` and a share of `50%`. Raises UsageError."""
        for one in models:
            checked_name(one.partition("@")[0])
        return cls(tuple(dict.fromkeys(models)), budget_seconds(budget), share_of(share), whole)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"models": list(self.models), "budget_s": self.budget_s, "share": self.share, "whole": self.whole}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(tuple(value["models"]), value["budget_s"], value["share"], value["whole"])


def budget_seconds(text: str) -> int:
    """Return the seconds of a budget such as `2h`; 0 where it is empty. Raises UsageError."""
    if not text:
        return 0
    found = _BUDGET.fullmatch(text.strip().lower())
    if found is None or not int(found[1]):
        raise UsageError(f"“{shown(text, 40)}” is no time budget.", "Write 90s, 30m, 2h or 1d.")
    return int(found[1]) * _UNITS[found[2]]


def share_of(text: str) -> float:
    """Return the part that a share such as `50%` means; 1 where it is empty. Raises UsageError."""
    if not text:
        return 1.0
    found = _SHARE.fullmatch(text.strip())
    if found is None or not 1 <= int(found[1]) <= 100:
        raise UsageError(f"“{shown(text, 40)}” is no share of the machine.", "Write 1% to 100%, such as 50%.")
    return int(found[1]) / 100


@dataclass(frozen=True)
class DueBlob:
    """A blob that one of today's engines has not seen.

    Attributes:
        digest: its sha256, with the algorithm.
        size: bytes.
        default: whether it belongs to a default version.
        requests: how often versions with it were asked for.
        overdue: whether the last look at it is so long ago that it goes first.
    """

    digest: str
    size: int
    default: bool
    requests: int
    overdue: bool = False


@dataclass(frozen=True)
class Gap:
    """Something that a rescan could not look at; its versions keep their verdicts.

    Attributes:
        subject: the digest of a blob, or `NAME@VERSION`.
        what: `lost`, `damaged`, `purged` or `unread`.
        detail: why, or which versions it concerns.
    """

    subject: str
    what: str
    detail: str

    def to_json(self) -> dict[str, str]:
        """Return plain JSON types."""
        return dict(vars(self))


@dataclass(frozen=True)
class Rescan:
    """One rescan, in progress or ended.

    Attributes:
        number: counts the rescans of a catalog.
        request: what was asked for.
        state: `running`; `done`; `budget` where its time was over; `stopped` from outside; `failed`.
        owner: the process that works at it; empty after its end.
        blobs_due: blobs that were due when it began.
        bytes_due: their bytes.
        blobs_done: blobs that it has looked at.
        bytes_done: their bytes.
        judged: versions that were judged again.
        changed: `NAME@VERSION` of those whose verdict changed, at most a hundred.
        gaps: what could not be looked at; how many.
        problem: why it failed; empty otherwise.
        begun_at: when it began; UTC.
        updated_at: when it last had news; UTC.
        ended_at: when it ended; None before.
    """

    number: int
    request: RescanRequest
    begun_at: datetime
    updated_at: datetime
    state: RescanState = "running"
    owner: str = ""
    blobs_due: int = 0
    bytes_due: int = 0
    blobs_done: int = 0
    bytes_done: int = 0
    judged: int = 0
    changed: tuple[str, ...] = ()
    gaps: int = 0
    problem: str = ""
    ended_at: datetime | None = field(default=None)

    @property
    def blobs_left(self) -> int:
        """Blobs that were due and were not looked at, among them those of the gaps."""
        return max(0, self.blobs_due - self.blobs_done)

    def with_blob(self, size: int) -> Self:
        """Return this rescan after another blob."""
        return replace(self, blobs_done=self.blobs_done + 1, bytes_done=self.bytes_done + size)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            **vars(self),
            "request": self.request.to_json(),
            "changed": list(self.changed),
            "begun_at": self.begun_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
        }
