"""The report in markdown: everything a reader needs, and hostile text that stays text."""

from __future__ import annotations

import pytest

from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.decision import Decision, Reason
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.report import Finding, ScanReport
from weighbridge.domain.text import markdown_text as text
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.intake.chain import Outcome
from weighbridge.views.markdown import SHOWN, file_rows, markdown

DIGEST = Digest("sha256", "ab" * 32)


def version(**fields: object) -> ModelVersion:
    report = ScanReport(
        DIGEST, "clamav", "1.4", "r", "binary", "completed", 4, 4, findings=(Finding("clamav.signature", "error", "x"),)
    )
    known = {
        "name": "tiny",
        "version": "1.0.0",
        "status": "PASSED",
        "source": "mock:a/b",
        "manifest": Manifest(ModelRef.parse("mock:a/b"), (FileEntry("a_b.bin", 4, DIGEST),)),
        "card": ModelCard({"architecture": Field("llama", "config.json#model_type")}),
        "decision": Decision("PASSED", "house", "d", (Reason("warn", "licence", "unknown [licence](http://evil)"),)),
        "reports": (report,),
        "published": (Publication("mlflow", "models:/tiny/1", ("import mlflow", "mlflow.load()")),),
    }
    return ModelVersion(**(known | fields))  # type: ignore[arg-type]


def test_has_what_a_reader_needs() -> None:
    page = markdown(Outcome(version(), unverified=("a.txt",), dropped=("b.txt: no part of the model",)))
    assert page.startswith("# tiny 1.0.0: passed\n")
    for words in (
        "PASSED under the policy house",
        "llama",
        "clamav",
        "4 B of 4 B",
        "    import mlflow",
        "a.txt",
        "b.txt",
    ):
        assert words in page
    assert "- **warns** licence: unknown" in page


def test_values_are_for_people() -> None:
    found = {"parameter_count": 134515008, "dtypes": {"F32": 1200}, "formats": ["json", "gguf"], "context_length": True}
    page = markdown(Outcome(version(card=ModelCard({name: Field(value, "x") for name, value in found.items()}))))
    for words in ("| 134,515,008 |", "| F32 1,200 |", "| json, gguf |", "| True |"):
        assert words in page


def test_a_quarantined_model_says_so_at_once() -> None:
    decision = Decision("FAILED", "house", "d", (Reason("reject", "clamav.signature", "EICAR", "a_b.bin"),))
    page = markdown(Outcome(version(status="FAILED", decision=decision, published=())))
    assert "quarantined" in page.splitlines()[0]
    assert r"- **rejects** clamav.signature, a\_b.bin: EICAR" in page
    assert "## Published" not in page


@pytest.mark.parametrize(
    "hostile", ["[x](http://evil)", "a | b", "# head", "<script>", "line\nbreak", "`code`", "**bold**", "www.evil.com"]
)
def test_hostile_text_stays_text(hostile: str) -> None:
    page = text(hostile)
    assert "\n" not in page
    for mark in "[]()|#<>`*":
        assert page.count(mark) == page.count(f"\\{mark}")
    assert "http://" not in page
    assert "www.e" not in page


def test_long_lists_are_counted() -> None:
    reasons = tuple(Reason("warn", "r", f"m{number}") for number in range(SHOWN + 3))
    page = markdown(Outcome(version(decision=Decision("PASSED", "house", "d", reasons))))
    assert "… and 3 more" in page
    assert f"m{SHOWN}" not in page


def test_file_rows() -> None:
    (row,) = file_rows(version())
    assert list(row.items()) == [
        ("path", "a_b.bin"),
        ("findings", "clamav.signature"),
        ("size", "4 B"),
        ("scanned as", "binary"),
        ("sha256", DIGEST.hex),
    ]
