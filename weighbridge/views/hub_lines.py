"""Models of the Hub in a terminal: one line each in the colour of what stands before their files, and one in detail.

Green is public, yellow asks for terms, red for somebody's approval. Not here: the text of a line (domain.hub_labels),
and files of the list (views.hub_files).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from weighbridge.domain.estimates.shown import GIGABYTE, memory_text, parameters_text
from weighbridge.domain.hub_labels import label
from weighbridge.domain.hub_models import Gated, HubChange, HubPass, HubState
from weighbridge.domain.text import shown
from weighbridge.views.catalog_tables import Unwrapped, lines, moment_text
from weighbridge.views.memory_rows import estimate_rows
from weighbridge.views.text import bytes_text, count_text, counted

if TYPE_CHECKING:
    from weighbridge.domain.estimates.requirements import Requirements
    from weighbridge.intake.hub_answers import HubDetails, HubFinding
    from weighbridge.intake.hub_standing import Here

_COLOURS = {Gated.NO: "green", Gated.AUTO: "yellow", Gated.MANUAL: "red", Gated.YES: "red", Gated.UNKNOWN: ""}
_HERE_COLOURS = {"passed": "green", "running": "cyan", "absent": "dim", "skipped": "yellow"}
#: The most characters of a publisher's text, and of tags, in the detail of one model.
_CELL, _TAGS = 200, 400
_DAY = 86400


def model_line(finding: HubFinding, *, icons: bool = False) -> Text:
    """Return the line of a model; behind it, whether it is here, in models.yaml, or no longer on the Hub."""
    model = finding.entry.model
    line = Text(label(model, icons=icons), style=_COLOURS[model.gated], no_wrap=True)
    for mark in _marks(finding):
        line.append(f"  {mark}", style="dim")
    return line


def _marks(finding: HubFinding) -> Iterable[str]:
    here = finding.here
    if here.state != "absent":
        number = f"@{here.version}" if here.version else ""
        yield shown(f"{here.state}: {here.name}{number}" if here.name else here.state)
    if finding.curated:
        yield "in models.yaml"
    if finding.entry.model.disabled:
        yield "disabled by the Hub"
    if finding.entry.vanished_at is not None:
        yield "no longer on the Hub"


def age_line(state: HubState, now: datetime) -> str:
    """Return how many models the catalogue has, and how old it is."""
    if state.as_of is None:
        if state.running is not None and state.models:
            return (
                f"The catalogue of the Hub is not whole yet: its first refresh has brought "
                f"{counted(state.models, 'model')} so far, and `weighbridge hub refresh` goes on where it stopped."
            )
        if state.models:
            return (
                f"The catalogue of the Hub has only the {counted(state.models, 'model')} that somebody asked for: "
                "`weighbridge hub refresh` fills it."
            )
        return "The catalogue of the Hub is empty: `weighbridge hub refresh` fills it."
    age = age_text((now - state.as_of).total_seconds())
    what = "" if state.full is not None else " (a part of the Hub)"
    return f"{counted(state.models, 'model')}{what}, as of {moment_text(state.as_of.isoformat())[:16]} UTC, {age}."


def age_text(seconds: float) -> str:
    """Return a time that has passed, roughly: `just now`, `5 minutes ago`, `21 hours ago`, `3 days ago`."""
    for unit, size in (("day", _DAY), ("hour", 3600), ("minute", 60)):
        if seconds >= (2 * size if unit == "day" else size):
            return f"{counted(int(seconds // size), unit)} ago"
    return "just now"


def details(found: HubDetails) -> RenderableType:
    """Render all that is known of one model."""
    parts: list[RenderableType] = [model_line(found.finding), _fact_table(found)]
    if found.access.what_to_do:
        parts.append(Text(f"\n{shown(found.access.what_to_do)}", style="yellow"))
    if found.history:
        parts += [Text("\nWhat changed on the Hub", style="bold"), changes(found.history, named=False)]
    parts.append(Text(f"\nTake it in: weighbridge ingest {shown(found.finding.uri)}", style="bold"))
    return Group(*parts)


def _fact_table(found: HubDetails) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, value in _facts(found):
        table.add_row(name, value if isinstance(value, Text) else Text(value))
    return Unwrapped(table)


def _facts(found: HubDetails) -> list[tuple[str, str | Text]]:
    finding = found.finding
    model = finding.entry.model
    rows: tuple[tuple[str, str | Text], ...] = (
        ("here", _here_text(finding.here)),
        ("gated", _gated_text(found)),
        ("page", shown(finding.page)),
        ("task", shown(model.pipeline_tag, _CELL)),
        ("library", shown(model.library, _CELL)),
        ("licence", shown(model.licence, _CELL)),
        ("weights", _weights_text(found)),
        ("GPU memory", _memory_text(found)),
        *_estimate_rows(found.requirements),
        ("downloads", _downloads_text(found)),
        ("likes", str(model.likes) if model.likes is not None else ""),
        ("created", _moment(model.created_at)),
        ("changed", _moment(model.last_modified)),
        ("commit", shown(model.sha, _CELL)),
        ("base models", shown(", ".join(model.base_models), _CELL)),
        ("tags", shown(", ".join(model.tags), _TAGS)),
        ("listed", f"{_moment(finding.entry.seen_at)} UTC"),
        ("vanished", _moment(finding.entry.vanished_at)),
    )
    return [(name, value) for name, value in rows if value]


def _here_text(here: Here) -> Text:
    texts = {
        "passed": "passed the gate",
        "running": "being taken in now",
        "withdrawn": "withdrawn",
        "quarantined": "quarantined: it did not pass the gate",
        "skipped": "SKIPPED: the policy leaves bytes unread",
        "failed": "the last attempt to take it in failed",
        "absent": "never asked for",
    }
    name = f" as {here.name}{f'@{here.version}' if here.version else ''}" if here.name else ""
    old = ", at another commit than the Hub has now" if here.is_current is False else ""
    reason = f": {here.reason}" if here.reason else ""
    style = _HERE_COLOURS.get(here.state, "red")
    return Text(shown(f"{texts[here.state]}{name}{old}{reason}"), style=style)


def _gated_text(found: HubDetails) -> Text:
    model, access = found.finding.entry.model, found.access
    states = {
        "granted": "the token in use has access",
        "denied": "the token in use has no access",
        "no-token": "no token is named",
        "unknown": "whether the token in use has access is not known",
    }
    said = f": {states[access.state]}" if access.state in states else ""
    at = f" ({_moment(access.checked_at)} UTC)" if access.checked_at else ""
    return Text(f"{model.gated.meaning}{said}{at}", style=_COLOURS[model.gated])


def _weights_text(found: HubDetails) -> str:
    model = found.finding.entry.model
    if not model.parameters:
        return ""
    size = f", {model.weights_size / GIGABYTE:.1f} GB" if model.weights_size else ""
    source = f", from {model.parameters_from}" if model.parameters_from else ""
    return shown(f"{parameters_text(model.parameters)} ({model.parameters:,}){size}{source}")


def _memory_text(found: HubDetails) -> str:
    model = found.finding.entry.model
    return f"about {memory_text(model.memory_size)}" if model.memory_size else ""


def _estimate_rows(needed: Requirements) -> Iterable[tuple[str, str]]:
    """Yield the parts of the estimate with their sources, and which cards it fits."""
    for one in estimate_rows(needed):
        yield f"  {one.name}", shown(f"{one.value}, {one.source}" if one.source else one.value)


def _downloads_text(found: HubDetails) -> str:
    model = found.finding.entry.model
    if model.downloads is None:
        return ""
    ever = f", {count_text(model.downloads_all_time)} since it exists" if model.downloads_all_time else ""
    return f"{count_text(model.downloads)} in 30 days{ever}"


def changes(found: Sequence[HubChange], *, named: bool = True) -> RenderableType:
    """Render changes of models, the oldest first."""
    if not found:
        return Text("Nothing changed.")
    headers = ("when (UTC)", *(("model",) if named else ()), "what", "before", "after")
    rows = (
        (
            moment_text(one.at.isoformat()),
            *((Text(shown(one.id), style="bold"),) if named else ()),
            str(one.field),
            shown(one.before, _CELL),
            shown(one.after, _CELL),
        )
        for one in found
    )
    return lines(headers, rows)


def status(state: HubState, now: datetime) -> RenderableType:
    """Render what the catalogue has and how old it is, with each kind of refresh."""
    size = f", {bytes_text(state.size)} on the disk" if state.size is not None else ""
    gone = f"{counted(state.vanished, 'model')} no longer on the Hub" if state.vanished else ""
    parts: list[RenderableType] = [Text(f"{age_line(state, now).rstrip('.')}{size}.")]
    if gone:
        parts.append(Text(f"{gone}."))
    passes = (("unfinished", state.running), ("full", state.full), ("recent", state.recent), ("partial", state.partial))
    rows = [_pass_row(name, one) for name, one in passes if one is not None]
    if rows:
        headers = ("refresh", "what", "begun (UTC)", "ended (UTC)", "models", "new", "changed", "vanished")
        parts.append(lines(headers, rows))
    return Group(*parts)


def _pass_row(name: str, one: HubPass) -> tuple[str | Text, ...]:
    what = shown(one.selection, _CELL) or ("all" if one.kind == "full" else str(one.kind))
    numbers = (f"{number:,}" for number in (one.models, one.added, one.changed, one.vanished))
    return (Text(name, style="bold"), what, _moment(one.begun_at), _moment(one.ended_at), *numbers)


def _moment(moment: datetime | None) -> str:
    return moment_text(moment.isoformat()) if moment is not None else ""


def refreshed(done: HubPass) -> Text:
    """Render what a refresh found."""
    numbers = (f"{done.added:,} new", f"{done.changed:,} changed", f"{done.vanished:,} no longer there")
    return Text(f"{counted(done.models, 'model')} listed: {', '.join(numbers)}.")
