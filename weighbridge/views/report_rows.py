"""The content of a report, row by row, for everything that draws it: the terminal, markdown, and pages to come.

Texts are whole and not escaped: the module that draws them cuts long ones and escapes markup. Not here: how rows are
drawn (views.terminal, views.markdown, views.step_lines).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.declarations import FIELDS, ModelDeclaration
from weighbridge.domain.report import NOT_APPLICABLE, Level, ScanReport, engine_text
from weighbridge.domain.version import ModelVersion
from weighbridge.views.capabilities import capabilities_of
from weighbridge.views.memory_rows import requirement_rows
from weighbridge.views.text import bytes_text, counted

if TYPE_CHECKING:
    from weighbridge.intake.syncing import SyncReport

#: What a status means, for a reader of the report.
MEANINGS: dict[VersionStatus, str] = {
    "PASSED": "passed",
    "FAILED": "quarantined: kept for inspection, served to nobody",
    "SKIPPED": "not scanned",
}
NOTHING_AGAINST = "Every byte was read, and nothing spoke against it."
NO_CARD = "No file of a known format says what the model is."
UNCHANGED = "Unchanged upstream: nothing was downloaded."
NO_PROMISE = "The source promises no digest for these files."
_LEVELS: tuple[Level, ...] = ("error", "warning", "note")
#: Fields of a card that are numbers of bytes.
_BYTES = frozenset({"weights_size", "memory_size"})


@dataclass(frozen=True)
class CardRow:
    """One field of a card: its name, its value, and where that was read."""

    name: str
    value: str
    read_from: str


@dataclass(frozen=True)
class ScanRow:
    """What one scanner read of a model.

    Attributes:
        scanner: its name.
        engine: its version and its signatures.
        files: how many it scanned.
        covered: how many of their bytes it read: `93.8 MiB of 93.8 MiB`.
        states: the states of its reports, each with the reason.
        whole: whether it read all of them to their end.
        findings: how many there are of each level, the worst first.
    """

    scanner: str
    engine: str
    files: int
    covered: str
    states: str
    whole: bool
    findings: tuple[tuple[Level, int], ...]

    @property
    def findings_text(self) -> str:
        """The findings as a cell: `1 error, 2 warnings`."""
        return ", ".join(counted(number, level) for level, number in self.findings) or "none"


@dataclass(frozen=True)
class SyncRow:
    """The result of a sync for one model; `status` is ERROR where it could not be taken in."""

    model: str
    version: str
    status: str
    why: str


def card_rows(card: ModelCard) -> list[CardRow]:
    """Return the fields of a card in their order; the parts of the memory that it needs have a row each."""
    rows = []
    for name, field in card.to_json().items():
        value = field["value"]
        if name == "requirements" and isinstance(value, dict):
            parts = [CardRow(f"memory: {row.name}", row.value, row.source) for row in requirement_rows(value)]
            value = {key: item for key, item in value.items() if key not in ("parts", "cards")}
        else:
            parts = []
        rows += [CardRow(name.replace("_", " "), _value(value, name in _BYTES), field["read_from"]), *parts]
    return rows


def declared_rows(declared: ModelDeclaration) -> list[CardRow]:
    """Return the fields of what a person says of a model in their order."""
    by = f"declared {declared.at}"
    return [
        CardRow(name.replace("_", " "), _value(declared.content[name]), by)
        for name in FIELDS
        if name in declared.content
    ]


def _value(value: Any, is_bytes: bool = False) -> str:
    if is_bytes and isinstance(value, int):
        return bytes_text(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def scan_rows(reports: Iterable[ScanReport]) -> list[ScanRow]:
    """Return one row for each scanner that scanned any file, sorted by name."""
    by_scanner: dict[str, list[ScanReport]] = defaultdict(list)
    for report in reports:
        if report.reason != NOT_APPLICABLE:
            by_scanner[report.scanner].append(report)
    return [_scan_row(scanner, found) for scanner, found in sorted(by_scanner.items())]


def _scan_row(scanner: str, reports: list[ScanReport]) -> ScanRow:
    covered, total = (sum(getattr(one, name) for one in reports) for name in ("bytes_covered", "bytes_total"))
    levels = [finding.level for one in reports for finding in one.findings]
    return ScanRow(
        scanner,
        engine_text(reports[0]),
        len(reports),
        f"{bytes_text(covered)} of {bytes_text(total)}",
        "; ".join(sorted({f"{one.status}{f': {one.reason}' if one.reason else ''}" for one in reports})),
        all(one.status == "completed" for one in reports),
        tuple((level, levels.count(level)) for level in _LEVELS if level in levels),
    )


def warning_of(version: ModelVersion) -> str:
    """Return the sentence about what a model can do when it is loaded; empty where nothing is known."""
    found = capabilities_of(version)
    return f"This model {', '.join(found)}." if found else ""


def sync_rows(done: SyncReport) -> list[SyncRow]:
    """Return one row a model that changed, stays rejected, or failed."""
    return [
        *(SyncRow(one.version.name, one.version.version, one.version.status, "") for one in done.ingested),
        *(SyncRow(held.name, held.version, held.status, "as before") for held in done.held),
        *(SyncRow(failure.name, "", "ERROR", str(failure.error)) for failure in done.failed),
    ]
