"""Rendering: a report in markdown, for Prefect's artifacts. What a terminal shows is in `terminal`.

Everything that came from upstream is escaped: it must neither format nor link.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision, Reason
from weighbridge.domain.report import NOT_APPLICABLE, ScanReport, engine_text
from weighbridge.domain.text import markdown_text as text
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion, Publication
from weighbridge.intake.chain import Outcome
from weighbridge.views.capabilities import capabilities_of
from weighbridge.views.text import bytes_text

#: Reasons, files and findings listed before the rest is only counted.
SHOWN = 50
_WORDS = {"PASSED": "passed", "FAILED": "quarantined: kept for inspection, served to nobody", "SKIPPED": "not scanned"}
_EFFECTS = {"reject": "rejects", "warn": "warns", "waive": "waived"}
#: Fields of a card that are numbers of bytes.
_BYTES = frozenset({"weights_size", "memory_size"})


def markdown(outcome: Outcome) -> str:
    """Return what became of a request as GitHub-flavoured markdown."""
    version = outcome.version
    parts = [
        f"# {text(version.name)} {text(version.version)}: {_WORDS.get(version.status, version.status.lower())}",
        _facts(version, outcome.unchanged),
        _decision(version.decision),
        _section("Card", _card(version.card)),
        _section("Scanned", _scans(version.reports)),
        *(_publication(found) for found in version.published),
        _section("Unverified", _list(outcome.unverified, "The source promises no digest for these files.")),
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
    if found := capabilities_of(version):
        lines.append(f"**This model {', '.join(found)}.**")
    if unchanged:
        lines.append("Unchanged upstream: nothing was downloaded.")
    return "\n".join(f"- {line}" for line in lines)


def _decision(decision: Decision) -> str:
    if not decision.reasons:
        body = "Every byte was read, and nothing spoke against it."
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
    rows = [
        (text(name.replace("_", " ")), text(_value(found["value"], name in _BYTES)), text(found["read_from"]))
        for name, found in card.to_json().items()
    ]
    return (
        _table(("field", "value", "read from"), rows) if rows else "No file of a known format says what the model is."
    )


def _value(value: Any, is_bytes: bool = False) -> str:
    if is_bytes and isinstance(value, int):
        return bytes_text(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _scans(reports: Iterable[ScanReport]) -> str:
    by_scanner: dict[str, list[ScanReport]] = defaultdict(list)
    for report in reports:
        if report.reason != NOT_APPLICABLE:
            by_scanner[report.scanner].append(report)
    rows = []
    for scanner, found in sorted(by_scanner.items()):
        states = sorted({f"{one.status}{f': {one.reason}' if one.reason else ''}" for one in found})
        covered, total = sum(one.bytes_covered for one in found), sum(one.bytes_total for one in found)
        findings = sum(len(one.findings) for one in found)
        engine = text(engine_text(found[0]))
        rows.append(
            (
                text(scanner),
                engine,
                f"{len(found)}",
                f"{bytes_text(covered)} of {bytes_text(total)}",
                text("; ".join(states)),
                f"{findings}",
            )
        )
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
