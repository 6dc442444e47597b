"""The result of each step of an ingest in one or a few lines, for the log of a run.

Text from upstream is escaped, so that a line stays a line. Not here: reports (markdown), bars (progress_bars).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.manifest import Comparison, Manifest
from weighbridge.domain.report import Finding, ScanReport
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import steps
from weighbridge.intake.job import Received
from weighbridge.views.report_rows import NO_CARD, scan_rows
from weighbridge.views.text import bytes_text, count_text, counted

#: How many findings, reasons and names are listed; the rest is only counted.
SHOWN = 10
_LEVELS = ("error", "warning", "note")


def lines_of(step: Callable[..., Any], result: Any) -> Iterator[str]:
    """Yield the lines about the result of a step of `intake.steps`; nothing for an unknown step."""
    told = _LINES.get(step)
    return map(shown, told(result)) if told else iter(())


def _resolved(declared: Manifest) -> Iterator[str]:
    promised = sum(entry.digest is not None for entry in declared.files)
    yield f"{declared.ref} is {_files(declared.files)}; {promised} have a promised digest"
    yield from _some(f"left out: {name}" for name in declared.left_out)


def _fetched(received: Received) -> Iterator[str]:
    yield f"{_files(received.files)} in the store: {', '.join(entry.path for entry in received.files[:3])}" + (
        f" and {len(received.files) - 3} more" if len(received.files) > 3 else ""
    )
    yield from _some(f"left out: {name}" for name in received.dropped)


def _scanned(reports: Sequence[ScanReport]) -> Iterator[str]:
    for row in scan_rows(reports):
        found = row.findings_text if row.findings else "no findings"
        yield f"{row.scanner} {row.engine}: {counted(row.files, 'file')}, {row.covered}, {row.states}, {found}"
    yield from _some(_finding(finding) for finding in _worst_first(reports))


def _worst_first(reports: Sequence[ScanReport]) -> list[Finding]:
    findings = {finding for report in reports for finding in report.findings}
    return sorted(findings, key=lambda finding: (_LEVELS.index(finding.level), finding))


def _finding(finding: Finding) -> str:
    where = f" ({finding.location})" if finding.location else ""
    return f"{finding.level} {finding.rule}: {finding.message}{where}"


def _verified(result: tuple[Manifest, Comparison]) -> Iterator[str]:
    manifest, comparison = result
    unverified = f", {len(comparison.unverified)} without a promised digest" if comparison.unverified else ""
    yield f"{counted(len(manifest.files), 'file')} as promised{unverified}; manifest {manifest.digest}"


def _described(card: ModelCard) -> Iterator[str]:
    fields = card.fields
    told = [str(fields[name].value) for name in ("architecture", "task", "licence") if name in fields]
    if (count := fields.get("parameter_count")) and isinstance(count.value, int):
        told.append(f"{count_text(count.value)} parameters")
    yield ", ".join(told) or NO_CARD


def _decided(decision: Decision) -> Iterator[str]:
    yield f"{decision.verdict} under the policy {decision.policy}, {counted(len(decision.reasons), 'reason')}"
    yield from _some(
        f"{reason.effect} {reason.rule}{f' {reason.path}' if reason.path else ''}: {reason.message}"
        for reason in decision.reasons
    )


def _settled(version: ModelVersion) -> Iterator[str]:
    subject = f"{version.name} {version.version}"
    if not version.published:
        yield f"{subject} is published nowhere"
    for found in version.published:
        yield f"{subject} is published to {found.registry}: {found.location}"


def _files(files: Sequence[Any]) -> str:
    return f"{counted(len(files), 'file')}, {bytes_text(sum(entry.size or 0 for entry in files))}"


def _some(lines: Iterable[str]) -> Iterator[str]:
    every = list(lines)
    yield from every[:SHOWN]
    if len(every) > SHOWN:
        yield f"… and {len(every) - SHOWN} more"


_LINES: Mapping[Callable[..., Any], Callable[[Any], Iterator[str]]] = {
    steps.resolve: _resolved,
    steps.fetch: _fetched,
    steps.scan: _scanned,
    steps.verify: _verified,
    steps.describe: _described,
    steps.decide: _decided,
    steps.publish: _settled,
}
