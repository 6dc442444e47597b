"""What a rescan would do and what one did, as a sentence and as tables for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from weighbridge.intake.rescanning import RescanPlan, RescanReport
from weighbridge.views.text import bytes_text, counted

_MOST_NAMED = 10
_MOST_GAPS = 20


def summary(done: RescanReport) -> str:
    """Return what a rescan did in one line."""
    rescan = done.rescan
    looked_at = f"{counted(rescan.blobs_done, 'blob')} of {bytes_text(rescan.bytes_done)} scanned"
    parts = [
        f"{looked_at}, {counted(rescan.judged, 'version')} judged again, {len(rescan.changed)} with another verdict"
    ]
    if rescan.changed:
        more = f" and {len(rescan.changed) - _MOST_NAMED} more" if len(rescan.changed) > _MOST_NAMED else ""
        parts[0] += f": {', '.join(rescan.changed[:_MOST_NAMED])}{more}"
    if rescan.state == "budget":
        left = bytes_text(max(0, rescan.bytes_due - rescan.bytes_done))
        parts.append(f"The time is over; {counted(rescan.blobs_left, 'blob')} of {left} are left to the next rescan")
    if done.open_gaps:
        first = done.open_gaps[0]
        count = (
            counted(len(done.open_gaps), "blob or version") if len(done.open_gaps) == 1 else f"{len(done.open_gaps)}"
        )
        parts.append(f"{count} could not be looked at: {first.subject}: {first.detail.rstrip('.')}")
    purged = len(done.gaps) - len(done.open_gaps)
    if purged:
        parts.append(f"{counted(purged, 'version')} cannot be looked at, as nothing needs their bytes any more")
    return ". ".join(parts) + "."


def plan_table(plan: RescanPlan) -> Group:
    """Return what a rescan would do: its amount, what comes first, and what cannot be looked at."""
    lines = [Text(f"{counted(plan.blobs, 'blob')} of {bytes_text(plan.size)} are due.")]
    if plan.judge:
        lines.append(Text(f"{counted(len(plan.judge), 'version')} would be judged again at once."))
    if plan.purged:
        lines.append(
            Text(f"Without their bytes here, and so not to be looked at: {', '.join(plan.purged[:_MOST_NAMED])}.")
        )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("first", "size", "of a default version", "requests", "waits for weeks"):
        table.add_column(column, overflow="fold")
    for blob in plan.first:
        default, overdue = ("yes" if yes else "" for yes in (blob.default, blob.overdue))
        table.add_row(blob.digest, bytes_text(blob.size), default, f"{blob.requests:,}", overdue)
    engines = Text(f"Engines: {'; '.join(f'{name} {shown}' for name, shown in plan.engines.items())}.", style="dim")
    rows: list[RenderableType] = [Text(), table] if plan.first else []
    return Group(*lines, *rows, engines)


def report_table(done: RescanReport) -> Group:
    """Return what a rescan did, with what it could not look at."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("not looked at", "why", ""):
        table.add_column(column, overflow="fold")
    for gap in done.gaps[:_MOST_GAPS]:
        table.add_row(gap.subject, gap.what, gap.detail)
    rows: list[RenderableType] = [Text(), table] if done.gaps else []
    return Group(Text(summary(done)), *rows)
