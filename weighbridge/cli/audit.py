"""The commands `weighbridge audit list | verify | export`: who changed what, and the proof that the log is whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from weighbridge.cli.console import EXIT_REJECTED, AsJSON, AsJSONList, err, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.audit import Head
from weighbridge.intake.opening import open_catalog
from weighbridge.system import whole_files
from weighbridge.views import access_tables, catalog_tables


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(help="The audit log: list, verify, export.", no_args_is_help=True)
    listed = ("weighbridge audit list", "weighbridge audit list --actor cli:root --limit 20")
    group.command("list", epilog=examples(*listed))(_list)
    group.command("verify", epilog=examples("weighbridge audit verify"))(_verify)
    group.command("export", epilog=examples("weighbridge audit export"))(_export)
    app.add_typer(group, name="audit")


def _list(
    limit: Annotated[int, typer.Option(min=1, help="How many rows, the newest.")] = 100,
    actor: Annotated[str | None, typer.Option(help="cli:USER, flow:NAME, key:NAME.")] = None,
    action: Annotated[str | None, typer.Option(help="Such as version.withdrawn.")] = None,
    model: Annotated[str | None, typer.Option(help="A model, with its versions.")] = None,
    json_: AsJSONList = False,
) -> None:
    """List the newest changes, the oldest of them first: when, who, what, and the values before and after."""
    with open_catalog(Settings()) as catalog:
        rows = catalog.audit.newest(limit, model=model, actor=actor, action=action)
    content = [row.to_json() for row in rows]
    say("audit-row", content, lambda: out.print(catalog_tables.history(rows), crop=False), json_)


def _verify(
    kept: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER:HASH", help="What an earlier run printed, kept elsewhere; repeat it for more."),
    ] = None,
    json_: AsJSON = False,
) -> None:
    """Prove that no row was changed, removed or inserted; exit status 2 where one was.

    Whoever can write to the database can also write a whole new log. Only a number and hash that were kept elsewhere
    show that: keep the last line, and name it with --kept later.
    """
    heads = [Head.parse(text) for text in kept or ()]
    with open_catalog(Settings()) as catalog:
        proof = catalog.audit.prove(heads)
    say("audit-proof", proof.to_json(), lambda: out.print(access_tables.proof(proof), crop=False), json_)
    if proof.flaws:
        raise typer.Exit(EXIT_REJECTED)


def _export(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; standard output by default.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only rows with a higher number.")] = 0,
) -> None:
    """Write every row as a line of JSON, the oldest first; docs/operations.md says how to verify them elsewhere."""
    with open_catalog(Settings()) as catalog:
        lines = (json.dumps(row.to_json()) + "\n" for row in catalog.audit.each(after=after))
        if output is None:
            sys.stdout.writelines(lines)
            return
        with whole_files.replacing(output) as file:
            file.writelines(line.encode() for line in lines)
    err.print(f"{output} is written.", markup=False, highlight=False)
