"""Recalls as values: which of the stored reports count when a version is judged again.

Not here: the judgement (domain.gate), and what follows from it (intake.recalling).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weighbridge.domain.digest import Digest
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
