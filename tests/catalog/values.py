"""Values that the catalog's tests put in."""

from __future__ import annotations

from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.decision import Decision, Reason, Verdict
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.report import Finding, ScanReport

REF = ModelRef("huggingface", "org/name", "a" * 40, (("files", "*.json"), ("files", "*.safetensors")))
CARD = ModelCard({"architecture": Field("llama", "config.json#model_type"), "parameter_count": Field(7, "shapes")})


def digest(text: str) -> Digest:
    return Digest.sha256(text.encode())


def manifest(content: str = "weights", ref: ModelRef = REF, archive: str = "") -> Manifest:
    files = (
        FileEntry("config.json", 2, digest("{}")),
        FileEntry("sub/größe ½.safetensors", len(content), digest(content)),
    )
    return Manifest(ref, files, archive)


def report(
    content: str = "weights", scanner: str = "clamav", rules: str = "db-1", status: str = "completed"
) -> ScanReport:
    return ScanReport(
        digest=digest(content),
        scanner=scanner,
        version="1.4.6",
        rules=rules,
        subject="safetensors",
        status=status,  # type: ignore[arg-type]
        reason="" if status == "completed" else "the engine went away",
        bytes_covered=7 if status == "completed" else 0,
        bytes_total=7,
        findings=(Finding("clamav.signature", "error", "“\0 \ud800 ½”", "a.zip!/b"),),
        engine=(("age_days", "3"), ("database", "test-only")),
    )


def decision(verdict: Verdict = "PASSED", reports: tuple[ScanReport, ...] = ()) -> Decision:
    reasons = (Reason("warn", "licence", "No licence is named.", "LICENSE", "abc"),)
    return Decision(verdict, "standard", "f" * 64, reasons, tuple(sorted(item.id for item in reports)))
