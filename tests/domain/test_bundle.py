"""Values of bundles: what the index is known by, and the marks of what another installation found."""

from __future__ import annotations

from dataclasses import replace

from tests.content.bundles.packing import documents, index_of, version
from weighbridge.domain.bundle import measured_by, scanned_by
from weighbridge.domain.report import ScanReport, engine_text
from weighbridge.domain.result import BenchmarkResult

REPORT = version().reports[0]
AT = "2026-11-28T12:00:00+00:00"


def test_the_digest_of_an_index_holds_all_else() -> None:
    whole = index_of([version()], documents(version()))
    assert whole.digest == index_of([version()], documents(version())).digest
    other = version(number="1.0.1")
    assert index_of([other], documents(other)).digest != whole.digest
    blob = whole.blobs[-1]
    assert replace(whole, blobs=(*whole.blobs[:-1], replace(blob, size=blob.size + 1))).digest != whole.digest


def test_a_report_names_who_scanned_and_is_no_report_of_an_engine_here() -> None:
    marked = scanned_by(REPORT, "office", AT)
    assert dict(marked.engine) == {"database": "official", "scanned_at": AT, "scanned_by": "office"}
    assert marked.key != REPORT.key
    assert marked.findings == REPORT.findings
    assert ScanReport.from_json(marked.to_json()) == marked
    assert engine_text(marked) == "1.4, official database, at office"


def test_a_report_that_crossed_two_gaps_names_both() -> None:
    marked = scanned_by(scanned_by(REPORT, "office", AT), "gate", "2026-12-01T00:00:00+00:00")
    assert dict(marked.engine)["scanned_by"] == "office, through gate"
    assert dict(marked.engine)["scanned_at"] == AT


def test_a_result_names_who_measured_and_stays_comparable() -> None:
    result = BenchmarkResult("mmlu", "mmlu/1", "sha256:" + "a" * 64, (), {}, {"processor": "x"}, {"torch": "2.1"})
    marked = measured_by(measured_by(result, "office"), "gate")
    assert marked.software["measured_by"] == "office, through gate"
    assert marked.comparable_key == result.comparable_key
