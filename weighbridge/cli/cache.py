"""The commands `weighbridge cache ls | du | evict | warm`: what the mirror took in, and what takes up the store."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from weighbridge.cli.console import (
    EXIT_REJECTED,
    AsJSON,
    AsJSONList,
    ModelsOption,
    YesOption,
    bars,
    confirm,
    examples,
    out,
    say,
)
from weighbridge.config.settings import Settings
from weighbridge.domain.durations import duration
from weighbridge.domain.request import MODELS_FILE
from weighbridge.errors import UsageError
from weighbridge.intake import caching, evicting, warming
from weighbridge.intake.caching import CachedVersion
from weighbridge.intake.workspace import open_resources, open_workspace
from weighbridge.store.local import use_reserve
from weighbridge.views import cache_tables
from weighbridge.views.text import bytes_text


class SortBy(StrEnum):
    """By what versions are sorted."""

    name = "name"
    size = "size"
    use = "use"


_KEYS: dict[SortBy, Callable[[CachedVersion], Any]] = {
    SortBy.name: lambda one: one.label,
    SortBy.size: lambda one: -one.used.size,
    SortBy.use: lambda one: one.used.last_use,
}
Repositories = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="org/name, datasets/org/name; @revision may follow.")
]
Unused = Annotated[
    str, typer.Option(metavar="TIME", help="Versions that nobody asked the mirror for since then: 90d, 12h, 8w.")
]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(help="What the mirror took in: list, sum up, evict, warm.", no_args_is_help=True)
    group.command("ls", epilog=examples("weighbridge cache ls --sort use"))(_ls)
    group.command("du", epilog=examples("weighbridge cache du"))(_du)
    evicts = ("weighbridge cache evict --unused 90d --dry-run", "weighbridge cache evict org/name@1.0.0")
    group.command("evict", epilog=examples(*evicts))(_evict)
    warms = ("weighbridge cache warm org/name", "weighbridge cache warm --from names.txt --no-wait")
    group.command("warm", epilog=examples(*warms))(_warm)
    app.add_typer(group, name="cache")


def _ls(
    sort: Annotated[SortBy, typer.Option(help="By name, size (the largest first) or last use (the oldest first).")] = (
        SortBy.name
    ),
    models: ModelsOption = Path(MODELS_FILE),
    json_: AsJSONList = False,
) -> None:
    """List the versions whose bytes the store has: when each was last asked for, and why it stays."""
    with open_workspace(Settings()) as workspace:
        found = sorted(caching.Holdings(workspace, (models,)).versions, key=_KEYS[sort])
    content = [one.to_json() for one in found]
    say("cached", content, lambda: out.print(cache_tables.versions(found), crop=False), json_)


def _du(models: ModelsOption = Path(MODELS_FILE), json_: AsJSON = False) -> None:
    """Say what the bytes of the store are for; together they are what `du` finds in its folder."""
    with open_workspace(Settings()) as workspace:
        found = caching.usage(workspace, (models,))
    say("cache-usage", found.to_json(), lambda: out.print(cache_tables.usage(found), crop=False), json_)


def _evict(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME[@VERSION]]...")] = None,
    unused: Unused = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    models: ModelsOption = Path(MODELS_FILE),
    yes: YesOption = False,
    json_: AsJSON = False,
) -> None:
    """Remove versions that only the mirror took in, and delete what nothing needs; a request takes them in again.

    What was taken in by hand stays, and so do models of models.yaml and its lock, and those with a default version that
    a person set. Without a name and --unused, only what nothing needs goes.
    """
    unused_for = duration(unused) if unused else None
    settings = Settings()
    use_reserve(settings.store_folder)
    with open_workspace(settings) as workspace:
        holdings = caching.Holdings(workspace, (models,))
        found = evicting.chosen(names or (), unused_for, holdings, workspace)
        if found and not dry_run:
            size = bytes_text(sum(one.own for one in found))
            confirm(f"Remove {', '.join(one.label for one in found)} ({size} or more)?", yes, json_)
        done = evicting.evict(found, holdings, (models,), workspace, dry_run=dry_run)
    say("eviction", done.to_json(), lambda: out.print(cache_tables.eviction(done), crop=False), json_)


def _warm(
    names: Repositories = None,
    revision: Annotated[str, typer.Option(help="Branch, tag or commit, where a name has none.")] = "",
    from_: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="A file of names, one a line; - for stdin.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the verdicts, or leave them to `serve`.")] = (
        True
    ),
    json_: AsJSONList = False,
) -> None:
    """Take models in ahead of time, by the jobs that the mirror's clients start by asking for them.

    Exit status 2 where one did not pass, 1 where one could not be taken in.
    """
    wanted = [warming.WantedRepository.parse(name, revision) for name in names or ()]
    if from_ is not None:
        wanted += warming.wanted_in(_lines(from_), revision)
    if not wanted:
        raise UsageError("Nothing is named.", "Write org/name, or --from FILE.")
    with open_resources(Settings()) as resources:
        found = warming.start(list(dict.fromkeys(wanted)), resources)
        if wait:
            with bars(json_) as shown:
                found = warming.wait(found, resources, shown)
    content = [one.to_json() for one in found]
    say("warmed", content, lambda: out.print(cache_tables.warmed(found), crop=False), json_)
    if any(one.state in ("failed", "cancelled") for one in found):
        raise typer.Exit(1)
    if any(one.status and not one.passed for one in found):
        raise typer.Exit(EXIT_REJECTED)


def _lines(path: Path) -> list[str]:
    try:
        return (sys.stdin.read() if str(path) == "-" else path.read_text()).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"{path} cannot be read: {reason}.", "Name a file with one name a line.") from error
