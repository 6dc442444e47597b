"""Rendering: a report in markdown, for Prefect's artifacts. Not here: what a terminal shows (terminal).

Everything from upstream is escaped: it must neither format nor link.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision, Reason
from weighbridge.domain.report import ScanReport
from weighbridge.domain.text import markdown_text as text
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.views.report_rows import (
    MEANINGS,
    NO_CARD,
    NO_PROMISE,
    NOTHING_AGAINST,
    UNCHANGED,
    card_rows,
    scan_rows,
    warning_of,
)
from weighbridge.views.text import bytes_text

if TYPE_CHECKING:
    from weighbridge.intake.chain import Outcome

#: How many reasons, files and findings are listed; the rest is only counted.
SHOWN = 50
_EFFECTS = {"reject": "rejects", "warn": "warns", "waive": "waived"}


def markdown(outcome: Outcome) -> str:
    """Return the outcome of a request as GitHub-flavoured markdown."""
    version = outcome.version
    parts = [
        f"# {text(version.name)} {text(version.version)}: {MEANINGS.get(version.status, version.status.lower())}",
        _facts(version, outcome.unchanged),
        _decision(version.decision),
        _section("Card", _card(version.card)),
        _section("Scanned", _scans(version.reports)),
        *(_publication(found) for found in version.published),
        _section("Unverified", _list(outcome.unverified, NO_PROMISE)),
        _section("Left out", _list(outcome.dropped)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def file_rows(version: ModelVersion) -> list[dict[str, Any]]:
    """Return one row a file: path, rules of its findings, size, formats it was scanned as, sha256."""
    by_digest: dict[str, list[ScanReport]] = defaultdict(list)
    for report in version.reports:
        by_digest[str(report.digest)].append(report)
    rows = []
    for entry in version.manifest.files:
        reports = by_digest[str(entry.digest)]
        findings = sorted(finding.rule for report in reports for finding in report.findings)
        rows.append(
            {
                "path": shown(entry.path),
                "findings": ", ".join(dict.fromkeys(findings)),
                "size": bytes_text(entry.size or 0),
                "scanned as": ", ".join(sorted({report.subject for report in reports})),
                "sha256": entry.digest.hex if entry.digest else None,
            }
        )
    return rows


def _facts(version: ModelVersion, unchanged: bool) -> str:
    files = version.manifest.files
    lines = [
        f"Source: {text(version.source)}",
        f"Files: {len(files)}, {bytes_text(version.manifest.size)}",
        f"Manifest: {text(version.manifest.digest)}",
    ]
    if warning := warning_of(version):
        lines.append(f"**{warning}**")
    if unchanged:
        lines.append(UNCHANGED)
    return "\n".join(f"- {line}" for line in lines)


def _decision(decision: Decision) -> str:
    if not decision.reasons:
        body = NOTHING_AGAINST
    else:
        # A list, because it wraps: a table with sentences in it is wider than the page.
        body = "\n".join(map(_reason, decision.reasons[:SHOWN]))
        if (left := len(decision.reasons) - SHOWN) > 0:
            body += f"\n\n… and {left} more."
    return f"## Decision: {decision.verdict} under the policy {text(decision.policy)}\n\n{body}"


def _reason(reason: Reason) -> str:
    where = f", {text(reason.path)}" if reason.path else ""
    return f"- **{_EFFECTS[reason.effect]}** {text(reason.rule)}{where}: {text(reason.message)}"


def _card(card: ModelCard) -> str:
    rows = [(text(row.name), text(row.value), text(row.read_from)) for row in card_rows(card)]
    return _table(("field", "value", "read from"), rows) if rows else NO_CARD


def _scans(reports: Iterable[ScanReport]) -> str:
    rows = [
        (text(row.scanner), text(row.engine), f"{row.files}", row.covered, text(row.states), row.findings_text)
        for row in scan_rows(reports)
    ]
    return _table(("scanner", "engine", "files", "bytes covered", "status", "findings"), rows) if rows else ""


def _publication(found: Publication) -> str:
    lines = "".join(f"\n    {shown(line)}" for line in found.load)
    return f"## Published\n\n{text(found.registry)}: {text(found.location)}" + (f"\n{lines}" if lines else "")


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _list(names: Sequence[str], lead: str = "") -> str:
    if not names:
        return ""
    lines = "\n".join(f"- {text(name)}" for name in names[:SHOWN])
    more = f"\n- … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{lead}\n\n{lines}{more}" if lead else lines + more


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
