"""What was judged again and what was recalled, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from weighbridge.domain.recalls import Recall, RecallRecord
from weighbridge.domain.rejudgement import Flip, Rejudgement
from weighbridge.views.text import counted

_HELD = {
    "signatures": "only the age of the signatures speaks against: scan again (`weighbridge rescan`)",
    "purged": "it would pass, and its bytes are gone: take it in again",
    "withdrawn": "a person withdrew it, and it stays so",
}
_MOST_REASONS, _MOST_PATHS = 3, 5


def rejudgement(done: Rejudgement) -> Group:
    """Return what judging every version again came to: the versions that flip, with reasons, then the figures."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("version", "was", "is" if done.applied else "would be", "why"):
        table.add_column(column, overflow="fold")
    for flip in done.flips:
        table.add_row(f"{flip.name}@{flip.version}", flip.before, flip.after, Text(_why(flip)))
    verb = "" if done.applied else "would be "
    figures = (
        f"{counted(done.versions, 'version')} judged under {done.policy}: {done.withdrawn} {verb}withdrawn, "
        f"{done.reinstated} {verb}let in, {done.changed} decisions {'would be' if verb else 'are'} others."
    )
    lines = [figures]
    lines += [f"{counted(count, 'version')} unchanged: {_HELD.get(why, why)}." for why, count in done.held.items()]
    if len(done.flips) < done.withdrawn + done.reinstated:
        lines.append(f"Only {len(done.flips)} of them are listed.")
    lines += [f"Not finished yet, and tried again later: {why}" for why in done.unfinished]
    texts = [Text(line) for line in lines]
    return Group(table, Text(), *texts) if done.flips else Group(*texts)


def _why(flip: Flip) -> str:
    deciding = [one for one in flip.reasons if one.effect == ("reject" if flip.is_recall else "waive")]
    texts = [f"{one.path}: {one.message}" if one.path else one.message for one in deciding[:_MOST_REASONS]]
    more = f" And {len(deciding) - _MOST_REASONS} more." if len(deciding) > _MOST_REASONS else ""
    return " ".join(texts) + more


def recalls(found: Sequence[Recall]) -> Table:
    """Return recalls, a row each."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("version", "recalled", "by", "is", "default", "still in", "why"):
        table.add_column(column, overflow="fold")
    for one in found:
        default, left = one.default or "none", ", ".join(one.left) or "-"
        row = (f"{one.name}@{one.version}", _short(one.recalled_at), one.cause, one.status, default, left)
        table.add_row(*map(Text, row), Text(" ".join(one.reasons[:1])))
    return table


def record(found: RecallRecord) -> Group:
    """Return a recall with its recipients, a row each."""
    recall = found.recall
    title = Text(f"{recall.name}@{recall.version}", style="bold")
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="cyan")
    facts.add_column(overflow="fold")
    by = f"{_short(recall.recalled_at)} by a {recall.cause} ({recall.actor})" if recall.cause else "no"
    rows = {
        "status": recall.status,
        "recalled": by,
        "passes again since": _short(recall.ended_at),
        "why": "\n".join(recall.reasons[:10]),
        "default version": recall.default or "none",
        "withdrawn from": "\n".join(recall.withdrawn_from),
        "still in": "\n".join(recall.left),
    }
    for what, value in rows.items():
        if value:
            facts.add_row(what, Text(value))
    if not found.recipients:
        return Group(
            Text(f"{recall.name}@{recall.version}", style="bold"), facts, Text("Nobody was given files of it.")
        )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("who", "address", "first", "last", "whole files", "parts"):
        table.add_column(column, overflow="fold")
    for one in found.recipients:
        files = (_paths(one.whole), _paths(one.parts)) if one.paths_known else ("not recorded", "")
        early = " (before the verdict)" if one.before_verdict else ""
        table.add_row(*map(Text, (one.actor + early, one.address, _short(one.first_at), _short(one.last_at), *files)))
    return Group(title, facts, Text(), table)


def _paths(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MOST_PATHS} more" if len(paths) > _MOST_PATHS else ""
    return ", ".join(paths[:_MOST_PATHS]) + more


def _short(moment: str) -> str:
    return moment[:19].replace("T", " ")
