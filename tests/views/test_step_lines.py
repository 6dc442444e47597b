"""The lines of a run's log: what a step came to, hostile names on one line, many findings counted."""

from __future__ import annotations

from dataclasses import replace

from tests.views.test_markdown import DIGEST, version
from weighbridge.domain.decision import Decision, Reason
from weighbridge.domain.report import Finding, ScanReport
from weighbridge.intake import steps
from weighbridge.intake.job import Received
from weighbridge.views.step_lines import SHOWN, lines_of

REPORT = ScanReport(DIGEST, "clamav", "1.4", "r", "binary", "completed", 4096, 4096)


def test_a_scan_tells_bytes_engine_and_findings_worst_first() -> None:
    found = (Finding("a.note", "note", "n"), Finding("clamav.signature", "error", "EICAR", "a.zip"))
    first, second, third = lines_of(steps.scan, (replace(REPORT, findings=found),))
    assert first == "clamav 1.4: 1 file, 4.0 KiB of 4.0 KiB, completed, 1 error, 1 note"
    assert second == "error clamav.signature: EICAR (a.zip)"
    assert third.startswith("note a.note")


def test_many_findings_are_counted() -> None:
    found = tuple(Finding("a.b", "warning", f"m{number}") for number in range(SHOWN + 5))
    lines = list(lines_of(steps.scan, (replace(REPORT, findings=found),)))
    assert (len(lines), lines[-1]) == (SHOWN + 2, "… and 5 more")


def test_a_decision_tells_verdict_and_reasons() -> None:
    decision = Decision("FAILED", "house", "d", (Reason("reject", "licence.denied", "no", "README.md"),))
    assert list(lines_of(steps.decide, decision)) == [
        "FAILED under the policy house, 1 reason",
        "reject licence.denied README.md: no",
    ]


def test_a_version_tells_where_it_is_and_that_it_is_nowhere() -> None:
    assert list(lines_of(steps.publish, version())) == ["tiny 1.0.0 is published to mlflow: models:/tiny/1"]
    assert list(lines_of(steps.publish, version(published=()))) == ["tiny 1.0.0 is published nowhere"]


def test_a_hostile_name_stays_on_its_line() -> None:
    (_, line) = lines_of(steps.fetch, Received((), ("a\n12:00 | INFO | PASSED\x1b[2J\u202e: no part",)))
    assert line == r"left out: a 12:00 | INFO | PASSED\x1b[2J\u202e: no part"
