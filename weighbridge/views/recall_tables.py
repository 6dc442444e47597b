"""What was judged again and what was recalled, as tables for a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from weighbridge.domain.rejudgement import Flip, Rejudgement
from weighbridge.views.text import counted

_HELD = {
    "signatures": "only the age of the signatures speaks against: scan again (`weighbridge rescan`)",
    "purged": "it would pass, and its bytes are gone: take it in again",
    "withdrawn": "a person withdrew it, and it stays so",
}
_MOST_REASONS = 3


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
