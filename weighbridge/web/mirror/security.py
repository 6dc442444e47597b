"""The gate's verdict on a file, in the words of the Hub's `securityFileStatus`.

Not here: the verdict (domain.gate).
"""

from __future__ import annotations

from typing import Any, Literal

from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.report import NOT_APPLICABLE, ScanReport, engine_text
from weighbridge.domain.version import ModelVersion

Word = Literal["safe", "suspicious", "unscanned"]


def security_of(version: ModelVersion, entry: FileEntry) -> dict[str, Any]:
    """Return the status of one file of a version that passed, or is handed on before its verdict.

    `status` is `unscanned` before the verdict, then `safe`, or `suspicious` where a waiver let the file in or the gate
    warns of it. `avScan` is ClamAV's report, and `pickleImportScan` that of the pickle scanner.
    """
    reports = {one.scanner: one for one in version.reports if one.digest == entry.digest}
    doubted = any(one.path == entry.path for one in version.decision.reasons)
    weighed: Word = "suspicious" if doubted else "safe"
    return {
        "status": "unscanned" if version.status == "PENDING" else weighed,
        "avScan": _scan(reports.get("clamav")),
        "pickleImportScan": _scan(reports.get("pickles")),
    }


def _scan(report: ScanReport | None) -> dict[str, Any]:
    if report is None or report.status in ("failed", "skipped"):
        word: Word = "safe" if report is not None and report.reason == NOT_APPLICABLE else "unscanned"
    else:
        word = "suspicious" if any(one.level != "note" for one in report.findings) else "safe"
    message = "; ".join(one.message for one in report.findings) if report is not None else ""
    return {"status": word, "message": message, "version": engine_text(report) if report is not None else ""}
