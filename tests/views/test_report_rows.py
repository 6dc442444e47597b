"""What a report says, before anything draws it."""

from __future__ import annotations

from dataclasses import replace

from tests.views.test_markdown import version
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.report import NOT_APPLICABLE, Finding
from weighbridge.errors import SourceUnavailable
from weighbridge.intake.chain import Outcome
from weighbridge.intake.syncing import Failure, Held, SyncReport
from weighbridge.views.report_rows import CardRow, ScanRow, SyncRow, card_rows, scan_rows, sync_rows, warning_of


def test_values_of_a_card_have_their_units() -> None:
    found = {"parameter_count": 134515008, "weights_size": 2048, "dtypes": {"F32": 1200}, "formats": ["json", "gguf"]}
    rows = card_rows(ModelCard({name: Field(value, "a.json#x") for name, value in found.items()}))
    assert {row.value for row in rows} == {"134,515,008", "2.0 KiB", "F32 1,200", "json, gguf"}
    assert CardRow("parameter count", "134,515,008", "a.json#x") in rows


def test_a_row_is_a_scanner_that_had_anything_to_say() -> None:
    (whole,) = version().reports
    findings = (Finding("a", "note", "n"), Finding("b", "error", "e"), Finding("c", "note", "n"))
    part = replace(whole, status="partial", reason="encrypted", bytes_covered=1, findings=findings)
    nothing = replace(whole, scanner="pickles", status="skipped", reason=NOT_APPLICABLE)
    (row,) = scan_rows([whole, part, nothing])
    levels = (("error", 2), ("note", 2))
    assert row == ScanRow("clamav", "1.4", 2, "5 B of 8 B", "completed; partial: encrypted", False, levels)
    assert row.findings_text == "2 errors, 2 notes"
    assert scan_rows([replace(whole, findings=())])[0].findings_text == "none"


def test_what_a_model_can_do_is_one_sentence() -> None:
    assert warning_of(version(reports=())) == ""
    report = replace(version().reports[0], findings=(Finding("pickle.global", "error", "os.system"),))
    assert warning_of(version(reports=(report,))).startswith("This model ")


def test_a_sync_has_a_row_for_each_model_with_news() -> None:
    failure = Failure("far", SourceUnavailable("The server is away.", "Try again later."))
    done = SyncReport(("same",), (Outcome(version()),), (failure,), (Held("old", "1.0.0", "FAILED"),))
    assert sync_rows(done) == [
        SyncRow("tiny", "1.0.0", "PASSED", ""),
        SyncRow("old", "1.0.0", "FAILED", "as before"),
        SyncRow("far", "", "ERROR", "The server is away. Try again later."),
    ]
