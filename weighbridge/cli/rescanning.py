"""The command `rescan`. Added to the command line by `cli.app`."""

from __future__ import annotations

from typing import Annotated

import typer

from weighbridge.cli.console import EXIT_REJECTED, AsJSON, bars, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.rescans import RescanRequest
from weighbridge.intake.rescanning import plan, rescan
from weighbridge.intake.workspace import open_workspace
from weighbridge.views import rescan_tables


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        "rescan",
        epilog=examples(
            "weighbridge rescan --dry-run",
            "weighbridge rescan --budget 2h --share 50%",
            "weighbridge rescan smollm2-135m-instruct",
        ),
    )(_rescan)


def _rescan(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME[@VERSION]…", help="What to look at, whatever its verdict; all that passed without."
        ),
    ] = None,
    budget: Annotated[str, typer.Option("--budget", help="Begin no blob after this time: 30m, 2h, 1d.")] = "",
    share: Annotated[str, typer.Option("--share", help="Use at most this much of the processors: 50%.")] = "",
    whole: Annotated[
        bool, typer.Option("--whole", help="Scan with all signatures where the new ones alone would do.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is to do, and do nothing.")] = False,
    json_: AsJSON = False,
) -> None:
    """Look at what passed with today's engines and signatures, and judge it again.

    The next rescan resumes one that was stopped. Exit status 2 where a verdict changed, 1 where something could not
    be looked at.
    """
    request = RescanRequest.of(tuple(models or ()), budget, share, whole=whole)
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace:
        if dry_run:
            found = plan(request, workspace)
        else:
            done = rescan(request, workspace)
    if dry_run:
        say("rescan-plan", found.to_json(), lambda: out.print(rescan_tables.plan_table(found)), json_)
        return
    say("rescan", done.to_json(), lambda: out.print(rescan_tables.report_table(done)), json_)
    if done.open_gaps:
        raise typer.Exit(1)
    if done.rescan.changed:
        raise typer.Exit(EXIT_REJECTED)
