"""What a person sees in a terminal: bars while a run works, then a report worth reading. Shows, decides nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision
from weighbridge.domain.declarations import ModelDeclaration
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.report import ScanReport
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion
from weighbridge.views.report_rows import (
    MEANINGS,
    NO_CARD,
    NO_PROMISE,
    NOTHING_AGAINST,
    UNCHANGED,
    card_rows,
    declared_rows,
    scan_rows,
    sync_rows,
    warning_of,
)
from weighbridge.views.text import STATUS_COLOURS, bytes_text, counted

if TYPE_CHECKING:
    from weighbridge.intake.auditing import RegistryDifference
    from weighbridge.intake.chain import Outcome
    from weighbridge.intake.doctor_check import DoctorCheck
    from weighbridge.intake.receiving import Arrival
    from weighbridge.intake.repairing import RepairReport
    from weighbridge.intake.syncing import Plan, SyncReport
    from weighbridge.store.checking import StoreCheck

_EFFECTS = {"reject": ("✗", "red"), "warn": ("!", "yellow"), "waive": ("~", "cyan")}
_REPAIRS = {
    "range": "repaired with {size} of {source}.",
    "whole": "fetched again, {size} of {source}.",
    "archive": "unpacked again.",
    "lost": "not recovered; its remains stay in the store's corrupt folder.",
}
#: How many reasons and findings are shown; the rest is only counted, `--json` has all.
SHOWN = 12


def report(outcome: Outcome) -> RenderableType:
    """Render the outcome of a request: card, scans, decision, where it is and how to load it."""
    version = outcome.version
    parts: list[RenderableType] = [verdict_panel(version, outcome.unchanged), *details(version)]
    if outcome.unverified:
        names = "\n".join(map(shown, outcome.unverified[:SHOWN]))
        parts.append(_section("Unverified", Text(f"{NO_PROMISE}\n{names}", style="yellow")))
    if outcome.dropped:
        parts.append(_section("Left out", Text("\n".join(map(shown, outcome.dropped[:SHOWN])), style="dim")))
    return Group(*parts)


def verdict_panel(version: ModelVersion, unchanged: bool = False) -> Panel:
    """Render the verdict in one box."""
    colour = STATUS_COLOURS.get(version.status, "white")
    text = Text.assemble(
        (shown(f"{version.name} {version.version}"), "bold"),
        "  ",
        (version.status, f"bold {colour}"),
        (f"  {MEANINGS['FAILED']}" if version.status == "FAILED" else "", colour),
        f"\n{version.source}",
        f"\n{_files_text(version.manifest)}, ",
        (str(version.manifest.digest), "dim"),
    )
    if warning := warning_of(version):
        text.append(f"\n{warning}", style="bold yellow")
    if unchanged:
        text.append(f"\n{UNCHANGED}", style="dim")
    return Panel(text, border_style=colour, expand=False)


def details(version: ModelVersion) -> list[RenderableType]:
    """Render card, scans, decision and publications."""
    parts = [
        _section("Card", card_table(version.card)),
        _section("Scanned", scans_table(version.reports)),
        _section("Decision", decision_text(version.decision)),
    ]
    for publication in version.published:
        place = _section("Published", Text(f"{publication.registry}: {publication.location}"))
        # The lines are neither indented, wrapped nor cut, so that they can be pasted.
        code = (Text(line, style="green", no_wrap=True, overflow="ignore") for line in publication.load)
        parts.append(Group(place, *code))
    return parts


def declaration(declared: ModelDeclaration, warnings: Iterable[str]) -> RenderableType:
    """Render what a person says of a model, and where the files contradict it."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for row in declared_rows(declared):
        table.add_row(row.name, escape(shown(row.value)))
    contradicted = Text("\n".join(shown(warning) for warning in warnings), style="bold yellow")
    return _section(f"Declared by {shown(declared.by)}", Group(table, *([contradicted] if contradicted.plain else [])))


def _section(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(f"\n{title}", style="bold"), Padding(body, (0, 0, 0, 2), expand=False))


def card_table(card: ModelCard) -> Table:
    """Render a card, each value with where it was read."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style="dim", overflow="fold")
    for row in card_rows(card):
        table.add_row(row.name, escape(shown(row.value)), escape(shown(_place_text(row.read_from))))
    if not card.fields:
        table.add_row("nothing", NO_CARD, "")
    return table


def _place_text(read_from: str) -> str:
    """Return where a field was read, with long file names cut to their ends; `--json` has them whole."""
    words = (f"…{word[-16:]}" if len(word) > 24 and "#" not in word else word for word in read_from.split(" "))
    return re.sub(r"[^\s#]{9,}(\.\w+)(?=[#:])", r"…\1", " ".join(words))


def scans_table(reports: Iterable[ScanReport]) -> Table:
    """Render one row for each scanner, with the bytes it covered."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for header in ("scanner", "engine", "files", "bytes covered", "status", "findings"):
        table.add_column(header, justify="right" if header in ("files", "bytes covered") else "left")
    for row in scan_rows(reports):
        worst = row.findings[0][0] if row.findings else "note"
        table.add_row(
            row.scanner,
            escape(row.engine),
            str(row.files),
            row.covered,
            Text(row.states, style="green" if row.whole else "yellow"),
            Text(row.findings_text, style={"error": "red", "warning": "yellow", "note": "green"}[worst]),
        )
    return table


def decision_text(decision: Decision) -> RenderableType:
    """Render a verdict with its reasons, rejections first."""
    lines = [
        Text.assemble(
            (decision.verdict, f"bold {STATUS_COLOURS[decision.verdict]}"), f" under the policy {decision.policy}"
        )
    ]
    for reason in decision.reasons[:SHOWN]:
        mark, colour = _EFFECTS[reason.effect]
        where = f"{reason.path}: " if reason.path else ""
        lines.append(
            Text.assemble(
                (f"{mark} ", f"bold {colour}"), f"{shown(where)}{shown(reason.message)} ", (reason.rule, "dim")
            )
        )
    if len(decision.reasons) > SHOWN:
        lines.append(Text(f"… and {len(decision.reasons) - SHOWN} more; --json has all", style="dim"))
    if not decision.reasons:
        lines.append(Text(NOTHING_AGAINST, style="dim"))
    return Group(*lines)


def _files_text(manifest: Manifest) -> str:
    count = len(manifest.files)
    return f"{counted(count, 'file')}, {bytes_text(manifest.size)}"


def arrival_table(arrival: Arrival) -> RenderableType:
    """Render what was fetched: every file with its digest."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for header in ("file", "size", "sha256"):
        table.add_column(header, justify="right" if header == "size" else "left", overflow="fold")
    for entry in arrival.manifest.files[:SHOWN]:
        table.add_row(
            escape(shown(entry.path)), bytes_text(entry.size or 0), entry.digest.hex[:16] + "…" if entry.digest else ""
        )
    more = len(arrival.manifest.files) - SHOWN
    held = f"{len(arrival.unverified)} without a digest of the source's" if arrival.unverified else "all as promised"
    lines: list[RenderableType] = [
        Text(f"{'Nothing new: ' if arrival.unchanged else ''}{arrival.manifest.ref.uri}", style="bold"),
        Text(f"{_files_text(arrival.manifest)}, {held}"),
        Text(f"manifest {arrival.manifest.digest}", style="dim"),
        table,
        *([Text(f"and {more} more", style="dim")] if more > 0 else []),
        *left_out(arrival.dropped),
        Text("In the store, unscanned and unpublished: weighbridge ingest takes it in.", style="dim"),
    ]
    return Group(*lines)


def left_out(dropped: Sequence[str], model: str = "") -> Iterator[Text]:
    """Yield a line for each of the first paths that do not belong to the model, and one for the rest."""
    start = f"{shown(model)}: left out: " if model else "left out: "
    yield from (Text(f"{start}{shown(name)}", style="dim") for name in dropped[:SHOWN])
    if len(dropped) > SHOWN:
        yield Text(f"{start}{len(dropped) - SHOWN:,} more", style="dim")


def check_table(check: StoreCheck, report: RepairReport | None = None) -> RenderableType:
    """Render the results of a check of the store and of a repair."""
    whole = f"{counted(check.blobs, 'blob')}, {bytes_text(check.size)} hashed again"
    foreign = [Text(f"{shown(path)} is not a blob: remove it", style="yellow") for path in check.foreign]
    if check.sound and not (report and report.repairs):
        return Group(Text.assemble(("sound  ", "bold green"), whole), *foreign)
    repaired = report is not None and report.whole
    lines = [Text.assemble(("repaired  ", "bold green") if repaired else ("damaged  ", "bold red"), whole)]
    for damage in check.damaged:
        became = f"has become {damage.actual}" if damage.actual else "cannot be read from the disk"
        lines.append(Text(f"{damage.digest} {became}" + ("" if report else f"; moved to {damage.moved_to}")))
    lines += [Text(f"{digest} is missing") for digest in check.missing]
    if report is None:
        remedy = "`weighbridge fsck --repair`, or an ingest, recovers what it lost"
        lines += [Text(f"{name}: {remedy}", style="yellow") for name in check.concerned]
        return Group(*lines, *foreign)
    for repair in report.repairs:
        style = "red" if repair.how == "lost" else ""
        how = _REPAIRS[repair.how].format(size=bytes_text(repair.received), source=repair.source)
        lines.append(Text(f"{repair.digest} {how} {repair.note}".rstrip(), style=style))
    lines += [Text(f"{where} is repaired") for where in report.given_out]
    lines += [Text(where, style="red") for where in report.failed]
    return Group(*lines, *foreign)


def differences_table(differences: Sequence[RegistryDifference]) -> RenderableType:
    """Render the differences between registries and the catalog."""
    if not differences:
        return Text("registries and catalog agree", style="green")
    table = Table(box=None, pad_edge=False, show_header=False)
    for one in differences:
        place = f"{one.registry} at {one.address}"
        table.add_row(
            Text(shown(one.model), style="bold"), Text(place, style="dim"), Text(shown(one.what), style="red")
        )
    return table


def doctor_table(checks: Sequence[DoctorCheck]) -> Table:
    """Render the doctor's checks, each with the command that fixes it."""
    table = Table(box=None, pad_edge=False, show_header=False)
    marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "missing": ("✗", "red")}
    for check in checks:
        mark, colour = marks[check.state]
        mend = Text(f"\n→ {check.mend}", style="bold") if check.mend else Text("")
        table.add_row(Text(mark, style=colour), Text(check.what, style="cyan"), Text(check.found) + mend)
    return table


def plan_table(plan: Plan) -> RenderableType:
    """Render what a sync would do: one line for each action, and how many models need none."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for due in plan.due:
        for why in due.why:
            table.add_row(Text(shown(due.job.request.model), style="bold"), Text(shown(why)))
    for held in plan.held:
        table.add_row(Text(shown(held.name), style="bold"), Text(f"{held.version} stays {held.status}"))
    for failure in plan.failed:
        table.add_row(Text(shown(failure.name), style="bold"), Text(shown(failure.error), style="red"))
    return Group(table, Text(f"{len(plan.unchanged)} unchanged", style="dim"))


def sync_table(done: SyncReport) -> RenderableType:
    """Render the result of a sync: one line a model that changed, failed or is not PASSED, and how many did not."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for row in sync_rows(done):
        status = Text(row.status, style="red" if row.status == "ERROR" else STATUS_COLOURS.get(row.status, ""))
        table.add_row(Text(shown(row.model), style="bold"), row.version, status, Text(shown(row.why)))
    return Group(table, Text(f"{len(done.unchanged)} unchanged", style="dim"))
