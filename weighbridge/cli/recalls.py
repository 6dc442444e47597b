"""The commands `weighbridge recall list | show`: what was taken back, from where, and who has it."""

from __future__ import annotations

from typing import Annotated

import typer

from weighbridge.cli.console import AsJSON, AsJSONList, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.errors import UsageError
from weighbridge.intake.opening import open_catalog
from weighbridge.intake.recall_records import recall_record, recalls
from weighbridge.views import recall_tables

Numbered = Annotated[str, typer.Argument(metavar="NAME@VERSION")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(help="What was taken back: list it, say who has it.", no_args_is_help=True)
    group.command("list", epilog=examples("weighbridge recall list"))(_list)
    group.command("show", epilog=examples("weighbridge recall show smollm2-135m-instruct@1.0.0"))(_show)
    app.add_typer(group, name="recall")


def _list(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest.")] = 100, json_: AsJSONList = False
) -> None:
    """List versions that were taken back, the newest first: when, why, what the default is, where it still is."""
    with open_catalog(Settings()) as catalog:
        found = recalls(catalog, limit)
    content = [one.to_json() for one in found]
    say("recall", content, lambda: out.print(recall_tables.recalls(found), crop=False), json_)


def _show(name: Numbered, json_: AsJSON = False) -> None:
    """Show a version that was taken back, and everybody who was given files of it: key, address, times, files.

    It works for versions that were not taken back, and for removed ones.
    """
    model, _, number = name.rpartition("@")
    if not model:
        raise UsageError(f"“{name}” names no version.", f"Write {name}@1.0.0.")
    with open_catalog(Settings()) as catalog:
        found = recall_record(model, number, catalog)
    say("recall", found.to_json(), lambda: out.print(recall_tables.record(found), crop=False), json_)
