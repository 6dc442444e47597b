"""The chain of the audit log: what was changed, removed or inserted is found, wherever it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from weighbridge.domain.audit import EMPTY, MAX_FLAWS, AuditRow, Head, prove

AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
Rows = list[AuditRow]


def chained(count: int, actor: str = "cli:me") -> Rows:
    """Return a whole log."""
    rows, last = [], EMPTY
    for number in range(1, count + 1):
        row = AuditRow(number, AT, actor, "model.default", f"m{number}", None, {"version": "1.0.0"})
        last = Head(number, row.hash_after(last.hash))
        rows.append(replace(row, hash=last.hash))
    return rows


def head(rows: Rows) -> Head:
    return Head(rows[-1].number, rows[-1].hash)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_a_log_that_was_left_alone_has_no_flaw(count: int) -> None:
    rows = chained(count)
    proof = prove(rows, head(rows), [head(rows[: count // 2 or 1])])
    assert (proof.rows, proof.head, proof.flaws) == (count, head(rows), ())


def test_an_empty_log_has_no_flaw() -> None:
    assert prove([], EMPTY).flaws == ()


def _renumbered(rows: Rows) -> Rows:
    return [replace(row, number=number) for number, row in enumerate(rows, start=1)]


TAMPERED: dict[str, tuple[Callable[[Rows], Rows], str]] = {
    "another actor": (lambda r: [*r[:3], replace(r[3], actor="key:x"), *r[4:]], "Row 4 .* does not fit"),
    "another value": (lambda r: [*r[:3], replace(r[3], after={"version": "9"}), *r[4:]], "Row 4 "),
    "a value more": (lambda r: [*r[:3], replace(r[3], before={}), *r[4:]], "Row 4 "),
    "another time": (lambda r: [*r[:3], replace(r[3], at=AT + timedelta(microseconds=1)), *r[4:]], "Row 4 "),
    "the first": (lambda r: [replace(r[0], object="x"), *r[1:]], "Row 1 "),
    "the last": (lambda r: [*r[:-1], replace(r[-1], object="x")], "Row 8 "),
    "one removed": (lambda r: [*r[:3], *r[4:]], "^Row 4 is missing"),
    "two removed": (lambda r: [*r[:3], *r[5:]], "^Rows 4 to 5 are missing"),
    "the first removed": (lambda r: r[1:], "^Row 1 is missing"),
    "the newest removed": (lambda r: r[:-2], "^Rows 7 to 8 are missing: the newest"),
    "all removed": (lambda r: [], "^Rows 1 to 8 are missing"),
    "removed and renumbered": (lambda r: _renumbered([*r[:3], *r[4:]]), "Row 4 "),
    "inserted": (lambda r: _renumbered([*r[:3], replace(r[3], object="x"), *r[3:]]), "Row 4 "),
    "inserted at the end": (lambda r: [*r, replace(chained(9)[8], object="x")], "Row 9 "),
    "a whole row at the end": (lambda r: chained(9), "^Row 9 is not in the log's count"),
    "swapped": (lambda r: _renumbered([*r[:3], r[4], r[3], *r[5:]]), "Row 4 "),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_done_to_a_log_is_found(name: str) -> None:
    rows = chained(8)
    tamper, expected = TAMPERED[name]
    flaws = prove(tamper(list(rows)), head(rows)).flaws
    assert flaws
    assert any(re.search(expected, flaw) for flaw in flaws), flaws


def test_a_log_written_anew_is_found_by_a_head_that_was_kept() -> None:
    kept, rows = head(chained(5)), chained(8, actor="cli:somebody-else")
    assert prove(rows, head(rows)).flaws == ()
    (flaw,) = prove(rows, head(rows), [kept]).flaws
    assert flaw.startswith("Row 5 does not have the hash that was kept")


def test_a_shortened_log_with_its_head_is_found_by_a_head_that_was_kept() -> None:
    kept, rows = head(chained(5)), chained(4)
    (flaw,) = prove(rows, head(rows), [kept]).flaws
    assert flaw == "Row 5, whose hash was kept, is missing."


def test_a_head_of_another_row_is_a_flaw() -> None:
    rows = chained(3)
    assert prove(rows, Head(3, "f" * 64)).flaws == ("The newest row, 3, is not the one that was written last.",)


def test_a_log_without_a_right_row_is_not_told_without_end() -> None:
    rows = [replace(row, hash="") for row in chained(MAX_FLAWS * 3)]
    assert len(prove(rows, head(rows)).flaws) == MAX_FLAWS + 1


def test_the_hash_is_of_the_moment_not_of_its_time_zone() -> None:
    (row,) = chained(1)
    elsewhere = replace(row, at=row.at.astimezone(timezone(timedelta(hours=5))))
    assert elsewhere.hash_after(EMPTY.hash) == row.hash
