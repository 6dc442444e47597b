"""What the catalog holds as tables of a terminal: one line a row at any width, so that `grep` finds all of a row.

Not here: one version in detail (views.terminal).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from weighbridge.domain.audit import AuditRow
from weighbridge.domain.report import ScanReport, engine_text
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion, VersionSummary
from weighbridge.views.text import STATUS_COLOURS, bytes_text, count_text, counted

if TYPE_CHECKING:
    from weighbridge.catalog.listings import ModelSummary
    from weighbridge.intake.collecting import Collection
    from weighbridge.intake.comparing import Difference
    from weighbridge.intake.quarantine import Quarantined

#: The most characters of a publisher's text in any column but the last.
_CELL = 40
#: Values that say nothing.
_NOTHING: tuple[Any, ...] = (None, "", [], {})
_RIGHT = ("versions", "parameters", "size", "files", "on the disk")


class Unwrapped:
    """A table as wide as its content, on a narrow terminal too: print it with `crop=False`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table on a console that is wide enough."""
        wide = Measurement.get(console, options.update(max_width=1 << 16), self._table).maximum
        yield from console.render(self._table, options.update(width=max(wide, 1)))


def lines(headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> RenderableType:
    """Return a table of one line a row; control characters in texts are made visible."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for header in headers:
        table.add_column(header, justify="right" if header in _RIGHT else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(shown(cell)) for cell in row))
    return Unwrapped(table)


def status_text(status: str) -> Text:
    """Return the status of a version in its colour."""
    return Text(status, style=STATUS_COLOURS.get(status, ""))


def models(found: Sequence[ModelSummary]) -> RenderableType:
    """Render the models of the catalog."""
    if not found:
        return Text("None yet: `weighbridge ingest URI` takes the first one in.")
    headers = ("model", "version", "status", "architecture", "parameters", "size", "licence")
    return lines(headers, map(_model, found))


def _model(model: ModelSummary) -> tuple[str | Text, ...]:
    parameters = model.described.get("parameter_count")
    return (
        Text(shown(model.name), style="bold"),
        model.version,
        status_text(model.status),
        shown(model.described.get("architecture") or "", _CELL),
        count_text(parameters) if parameters else "",
        bytes_text(model.manifest.size),
        shown(model.described.get("licence") or "", _CELL),
    )


def versions(found: Sequence[VersionSummary]) -> RenderableType:
    """Render the versions of a model, the latest first."""
    return lines(("version", "status", "default", "size", "files", "taken in", "published"), map(_version, found))


def _version(version: VersionSummary) -> tuple[str | Text, ...]:
    return (
        Text(version.version, style="bold"),
        status_text(version.status),
        "default" if version.default else "",
        "purged" if version.purged else bytes_text(version.manifest.size),
        str(version.manifest.file_count),
        moment_text(version.created_at),
        ", ".join(version.registries),
    )


def moment_text(moment: str) -> str:
    """Return an ISO 8601 time in UTC to the second: `2026-11-27 23:01:02`."""
    return moment[:19].replace("T", " ")


def history(rows: Iterable[AuditRow]) -> RenderableType:
    """Render rows of the audit log, the oldest first."""
    cells = (
        (
            moment_text(row.at.isoformat()),
            shown(row.actor, _CELL),
            row.action,
            Text(shown(row.object), style="bold"),
            _values_text(row),
        )
        for row in rows
    )
    return lines(("when (UTC)", "who", "what", "of", "more"), cells)


def _values_text(row: AuditRow) -> str:
    before, after = dict(row.before or {}), dict(row.after or {})
    texts = []
    for name in {**after, **before}:
        now, was = (
            shown(found[name], 2 * _CELL) if found.get(name) not in _NOTHING else "" for found in (after, before)
        )
        changed = f"{name} {now}{f' (was {was})' if was and was != now else ''}" if now else f"{name} was {was}"
        texts += [changed] if now or was else []
    return ", ".join(texts)


def report(found: ScanReport) -> RenderableType:
    """Render one report: the blob, the scanner, the bytes read, and each finding in a line."""
    reason = f": {shown(found.reason)}" if found.reason else ""
    head = Text(
        f"{shown(found.scanner)} {shown(engine_text(found))}\n"
        f"{found.digest} as {shown(found.subject)}\n"
        f"{found.status}{reason}, {found.bytes_covered} of {found.bytes_total} bytes read"
    )
    if not found.findings:
        return Group(head, Text("no findings", style="dim"))
    rows = ((one.level, one.rule, one.location, one.message) for one in found.findings)
    return Group(head, lines(("level", "rule", "where", "finding"), rows))


def collection(found: Collection) -> RenderableType:
    """Render what a collection deleted, or would delete."""
    done = found.done
    verb = "would be" if found.dry_run else "was" if done.blobs == 1 else "were"
    what = "set aside" if done.waiting else "deleted"
    lines_ = [
        f"{counted(done.blobs, 'blob')} of {bytes_text(done.size)} {verb} {what}: {bytes_text(done.freed)} freed."
    ]
    if done.linked:
        lines_.append(f"{bytes_text(done.linked)} of them stay on the disk: a folder of a registry has them, too.")
    if done.waiting:
        lines_.append(
            f"{bytes_text(done.waiting)} wait: the file system of this store is for several machines, so a "
            "`weighbridge gc` that runs at least an hour later deletes them."
        )
    if done.partial:
        lines_.append(f"{bytes_text(done.partial)} of downloads that were not resumed are part of that.")
    lines_.append(f"{counted(done.kept, 'blob')} {'is' if done.kept == 1 else 'are'} kept.")
    if done.held:
        lines_.append(f"{done.held} of them only because a process works with them now.")
    if done.young:
        lines_.append(f"{done.young} of them only because they are younger than that.")
    if done.unread:
        lines_.append(f"{bytes_text(done.left)} were left, as this user may not read which blobs other work relies on:")
        lines_ += [f"  {shown(path)}" for path in done.unread]
        lines_.append("Run it again as the owner of these files. One that is not used for a week counts no more.")
    return Text("\n".join(lines_))


def quarantined(found: Sequence[ModelVersion]) -> RenderableType:
    """Render the versions that did not pass, each with the first reason."""
    if not found:
        return Text("Nothing is quarantined.")
    rows = (
        (
            Text(shown(f"{version.name}@{version.version}"), style="bold"),
            "purged" if version.purged else bytes_text(version.manifest.size),
            moment_text(version.created_at),
            first_reason(version),
        )
        for version in found
    )
    return lines(("version", "size", "taken in", "why"), rows)


def first_reason(version: ModelVersion) -> str:
    """Return the first reason why a version was rejected, with its rule."""
    rejections = [reason for reason in version.decision.reasons if reason.effect == "reject"]
    if not rejections:
        return ""
    first, more = rejections[0], f" and {len(rejections) - 1} more" if len(rejections) > 1 else ""
    return f"{first.rule}: {f'{first.path}: ' if first.path else ''}{first.message}{more}"


def quarantined_json(version: ModelVersion) -> dict[str, Any]:
    """Return the entry of a version in the list of quarantined ones."""
    return {**version.summary.to_json(), "reason": first_reason(version)}


def places(found: Quarantined) -> RenderableType:
    """Render the paths of a quarantined version's files, uncut so that they can be pasted."""
    if not found.places:
        return Text("\nIts bytes are not in the store.")
    return Group(Text("\nWhere its bytes are", style="bold"), lines(("file", "place"), found.places))


def difference(found: Difference) -> RenderableType:
    """Render the differences of two versions, a line each: `-` removed, `+` added, `~` changed."""
    one, two = (f"{version.name}@{version.version}" for version in (found.before, found.after))
    head = Text.assemble((shown(one), "bold"), " and ", (shown(two), "bold"))
    if not found.changes:
        return head.append(" do not differ.")
    rows = (
        (_sign(change.before, change.after), change.area, shown(change.what), _was(change.before), _was(change.after))
        for change in found.changes
    )
    return Group(head, lines(("", "area", "what", "before", "after"), rows))


def _sign(before: object, after: object) -> Text:
    sign, style = ("+", "green") if before is None else ("-", "red") if after is None else ("~", "yellow")
    return Text(sign, style=style)


def _was(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and value.keys() == {"size", "sha256"}:
        return f"{bytes_text(value['size'] or 0)} {(value['sha256'] or '')[:12]}"
    return shown(value, 2 * _CELL)
