"""Recalls as values: which stored reports count when a version is judged again, what was taken back, and who has it.

Not here: the judgement (domain.gate), and what follows from it (intake.recalling).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from weighbridge.domain.digest import Digest
from weighbridge.domain.receipts import Recipient
from weighbridge.domain.report import NOT_APPLICABLE, SCANNED_BY, ScanReport

#: The fact of an engine by which a report is one about a part of the signatures, beside the report that it builds on.
_MODE, _DELTA = "mode", "delta"


def counting(linked: Iterable[ScanReport], stored: Sequence[ScanReport]) -> tuple[ScanReport, ...]:
    """Return the reports by which a version is judged again, sorted by key.

    1. Of each blob, format and scanner the newest whole report counts: the one whose signatures are of the latest date,
       and of the same date or without one, the one that came last.
    2. A report that failed counts only where none did its work: a scanner that was down for a night recalls nothing.
    3. What a bundle brought from another installation counts for the versions that it brought it for.
    4. Delta reports that are newer than the whole one count beside it.

    Args:
        linked: those that the version rests on now.
        stored: every report about its blobs, in the order in which they came.
    """
    own = [one for one in stored if not _is_foreign(one)]
    order = {one.id: place for place, one in enumerate(stored, start=1)}
    by_subject: dict[tuple[Digest, str, str], list[ScanReport]] = {}
    for one in (*linked, *own):
        by_subject.setdefault((one.digest, one.subject, one.scanner), []).append(one)
    found: dict[str, ScanReport] = {}
    for candidates in by_subject.values():
        ranked = sorted(candidates, key=lambda one: _rank(one, order))
        whole = [one for one in ranked if not _is_delta(one)] or ranked
        newest = whole[-1]
        found[newest.id] = newest
        if _did_its_work(newest):
            newer = ranked[ranked.index(newest) + 1 :]
            found |= {one.id: one for one in newer if _is_delta(one) and _did_its_work(one)}
    return tuple(sorted(found.values(), key=lambda one: one.key))


def _rank(report: ScanReport, order: dict[str, int]) -> tuple[bool, str, int]:
    return _did_its_work(report), dict(report.engine).get("database_date", "")[:10], order.get(report.id, 0)


def _did_its_work(report: ScanReport) -> bool:
    return report.reusable or (report.status == "skipped" and report.reason == NOT_APPLICABLE)


def _is_foreign(report: ScanReport) -> bool:
    return bool(dict(report.engine).get(SCANNED_BY))


def _is_delta(report: ScanReport) -> bool:
    return dict(report.engine).get(_MODE) == _DELTA


@dataclass(frozen=True)
class Recall:
    """A version that was taken back, by a verdict or by a person.

    Attributes:
        name: the model's name.
        version: its number.
        status: that it has now; `REMOVED` where it is not in the catalog any more.
        cause: `verdict` or `person`; empty where it was never taken back.
        recalled_at: when; ISO 8601, UTC; empty where it was never taken back.
        actor: by whose work, as the audit log names callers.
        reasons: why it does not pass, a sentence each.
        policy: the name of the policy of the newest decision.
        default: the number of the model's default version now; empty where there is none.
        withdrawn_from: registries that took it back since then, `registry at address`.
        left: registries that still have it, or parts of it, and are asked again.
        ended_at: when it passed again; empty where it does not.
    """

    name: str
    version: str
    status: str
    cause: Literal["", "verdict", "person"]
    recalled_at: str
    actor: str
    reasons: tuple[str, ...]
    policy: str
    default: str
    withdrawn_from: tuple[str, ...]
    left: tuple[str, ...]
    ended_at: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        lists = ("reasons", "withdrawn_from", "left")
        return {**vars(self), **{name: list(getattr(self, name)) for name in lists}}


@dataclass(frozen=True)
class RecallRecord:
    """A recall, and who has files of the version.

    Attributes:
        recall: the recall.
        recipients: who was given files, sorted.
    """

    recall: Recall
    recipients: tuple[Recipient, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**self.recall.to_json(), "recipients": [one.to_json() for one in self.recipients]}
