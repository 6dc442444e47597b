"""What the store has as tables of a terminal: versions with their last use, and what its bytes are for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from weighbridge.domain.text import shown
from weighbridge.intake.caching import PURPOSES, CachedVersion, CacheUsage
from weighbridge.intake.evicting import Eviction
from weighbridge.intake.warming import Warmed
from weighbridge.views.catalog_tables import collection, lines, status_text
from weighbridge.views.text import bytes_text, counted

#: Characters of a version's name: with them, a line fits into 80 columns.
_NAME = 33
#: Versions of which a line says that they were removed.
_MOST = 20


def versions(found: Sequence[CachedVersion]) -> RenderableType:
    """Render versions with their last use, and why each stays."""
    if not found:
        return Text("The store has the bytes of no version.")
    rows = (
        (
            Text(shown(one.label, _NAME), style="bold"),
            bytes_text(one.used.size),
            f"{one.used.last_use:%Y-%m-%d}" if one.used.used_at else "never",
            one.kept[0] if one.kept else Text("may be evicted", style="yellow"),
        )
        for one in found
    )
    idle = [one for one in found if not one.kept]
    own = f"Evicting {counted(len(idle), 'version')} frees {bytes_text(sum(one.own for one in idle))} or more."
    return Group(lines(("version", "size", "last use", "stays, as it is"), rows), Text(own if idle else ""))


def usage(found: CacheUsage) -> RenderableType:
    """Render what the bytes of a store are for."""
    rows = [
        (PURPOSES[name], *_amounts(amount)) for name, amount in found.purposes.items() if amount.files or amount.disk
    ]
    table = lines(("for", "files", "size", "on the disk"), [*rows, ("all of it", *_amounts(found.total))])
    above = ", which it is above" if found.is_above else ""
    limit = f"\nThe limit is {bytes_text(found.limit)}{above}." if found.limit else ""
    return Group(table, Text(f"{shown(found.root)}{limit}"))


def _amounts(amount: object) -> tuple[str, str, str]:
    found = vars(amount)
    return f"{found['files']:,}", bytes_text(found["size"]), bytes_text(found["disk"])


def eviction(done: Eviction) -> RenderableType:
    """Render what was evicted, or would be."""
    verb = "would be" if done.collected.dry_run else "is"
    rows = [
        Text(f"{shown(one.label)} {verb} removed: {bytes_text(one.own)} only its own.") for one in done.versions[:_MOST]
    ]
    if len(done.versions) > _MOST:
        rows.append(Text(f"So {verb.replace('is', 'are')} {counted(len(done.versions) - _MOST, 'further version')}."))
    if done.collected.dry_run and done.versions:
        rows.append(Text(f"{bytes_text(done.freed)} would be freed in all. Of it, nothing needs already:"))
    return Group(*rows, collection(done.collected))


def warmed(found: Sequence[Warmed]) -> RenderableType:
    """Render what became of the models that were to be taken in."""
    rows = (
        (Text(shown(one.name), style="bold"), one.state, status_text(one.status), one.version, one.problem or one.job)
        for one in found
    )
    return lines(("model", "state", "status", "version", "job, or why not"), rows)
