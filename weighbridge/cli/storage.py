"""The commands about the store's bytes: `weighbridge gc`, and `weighbridge quarantine ls | show | purge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weighbridge.cli.console import (
    AsJSON,
    AsJSONList,
    YesOption,
    confirm,
    examples,
    out,
    say,
)
from weighbridge.config.settings import Settings
from weighbridge.domain.request import MODELS_FILE
from weighbridge.intake import quarantine
from weighbridge.intake.collecting import collect
from weighbridge.intake.opening import open_catalog
from weighbridge.intake.workspace import open_workspace
from weighbridge.store.local import use_reserve
from weighbridge.views import catalog_tables, terminal

OlderThan = Annotated[
    float, typer.Option("--older-than", min=0, metavar="DAYS", help="Keep what has not been here for so long.")
]
Locks = Annotated[
    list[Path] | None,
    typer.Option("--models", help="A models file; what the lock beside it holds is kept. Repeated for several."),
]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("gc", epilog=examples("weighbridge gc --dry-run", "weighbridge gc --older-than 7"))(_gc)
    group = typer.Typer(help="What did not pass: list it, look at it, purge its bytes.", no_args_is_help=True)
    group.command("ls", epilog=examples("weighbridge quarantine ls"))(_ls)
    group.command("show", epilog=examples("weighbridge quarantine show smollm2-135m-instruct@1.0.0"))(_show)
    group.command("purge", epilog=examples("weighbridge quarantine purge --older-than 30 --yes"))(_purge)
    app.add_typer(group, name="quarantine")


def _gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    older_than: OlderThan = 0.0,
    models: Locks = None,
    json_: AsJSON = False,
) -> None:
    """Delete the bytes that no version, no lock and no running ingest needs; safe beside running ingests.

    Quarantined versions need theirs until `weighbridge quarantine purge`. Downloads that were cut off stay for a week.
    """
    settings = Settings()
    use_reserve(settings.store_folder)
    with open_workspace(settings) as workspace:
        done = collect(workspace, models or (Path(MODELS_FILE),), older_than_days=older_than, dry_run=dry_run)
    say("collection", done.to_json(), lambda: out.print(catalog_tables.collection(done)), json_)


def _ls(json_: AsJSONList = False) -> None:
    """List the versions that did not pass, each with the first reason."""
    with open_catalog(Settings()) as catalog:
        found = quarantine.quarantined(catalog)
    content = [catalog_tables.quarantined_json(version) for version in found]
    say("quarantined", content, lambda: out.print(catalog_tables.quarantined(found), crop=False), json_)


def _show(name: Annotated[str, typer.Argument(metavar="NAME@VERSION")], json_: AsJSON = False) -> None:
    """Show why a version did not pass, and where its bytes lie for a closer look."""
    with open_workspace(Settings()) as workspace:
        found = quarantine.inspect(name, workspace)

    def draw() -> None:
        out.print(terminal.verdict_panel(found.version), *terminal.details(found.version), crop=False)
        out.print(catalog_tables.places(found), crop=False)

    say("version", found.to_json(), draw, json_)


def _purge(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME@VERSION]...", help="All when left out.")] = None,
    older_than: OlderThan = 0.0,
    models: Locks = None,
    yes: YesOption = False,
    json_: AsJSON = False,
) -> None:
    """Delete the bytes of versions that did not pass; their verdicts and reports stay."""
    with open_workspace(Settings()) as workspace:
        found = quarantine.purgeable(names or (), older_than, workspace)
        labels = [f"{version.name}@{version.version}" for version in found]
        if found:
            confirm(f"Delete the bytes of {', '.join(labels)}?", yes, json_)
        done = quarantine.delete(found, models or (Path(MODELS_FILE),), workspace) if found else None
    content = {"purged": labels, "freed": done.done.freed if done else 0}

    def draw() -> None:
        if done is None:
            out.print("There is nothing to purge.")
            return
        out.print("\n".join(f"{label} is purged." for label in labels), markup=False, highlight=False)
        out.print(catalog_tables.collection(done))

    say("purge", content, draw, json_)
