"""The commands `weighbridge jobs list | show | cancel`: the work that others asked the served registry for."""

from __future__ import annotations

from typing import Annotated

import typer

from weighbridge.catalog import JobState
from weighbridge.cli.console import AsJSON, AsJSONList, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.intake.opening import open_catalog
from weighbridge.views import job_tables

_ID = "0123456789abcdef0123456789abcdef"
Id = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as `jobs list` and the API have it.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(help="Work that the served registry was asked for: list, show, cancel.", no_args_is_help=True)
    group.command("list", epilog=examples("weighbridge jobs list", "weighbridge jobs list --state running"))(_list)
    group.command("show", epilog=examples(f"weighbridge jobs show {_ID}"))(_show)
    group.command("cancel", epilog=examples(f"weighbridge jobs cancel {_ID}"))(_cancel)
    app.add_typer(group, name="jobs")


def _list(
    state: Annotated[
        JobState | None, typer.Option(help="Only those that are queued, running, done, failed, or cancelled.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest.")] = 100,
    json_: AsJSONList = False,
) -> None:
    """List jobs, the newest first: state, kind, model, and the end."""
    with open_catalog(Settings()) as catalog:
        found = catalog.jobs.listed(state=state, limit=limit)
    content = [job.to_json() for job in found]
    say("job", content, lambda: out.print(job_tables.jobs(found), crop=False), json_)


def _show(id_: Id, json_: AsJSON = False) -> None:
    """Show a job: who asked for what, how far each step is, and the end."""
    with open_catalog(Settings()) as catalog:
        found = catalog.jobs.get(id_)
    say("job", found.to_json(), lambda: out.print(job_tables.job(found), crop=False), json_)


def _cancel(id_: Id, json_: AsJSON = False) -> None:
    """Cancel a job: one that waits at once, one that runs within a second; what it received stays."""
    with open_catalog(Settings()) as catalog:
        found = catalog.jobs.cancel(id_)
    text = (
        f"The job {id_} is cancelled." if found.ended else f"The job {id_} stops soon: `weighbridge jobs show {id_}`."
    )
    say("job", found.to_json(), lambda: out.print(text, markup=False, highlight=False), json_)
