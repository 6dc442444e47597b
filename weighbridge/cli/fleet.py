"""Commands for all models at once: sync and fsck. Added to the command line by `cli.app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weighbridge.cli import interrupts
from weighbridge.cli.console import (
    EXIT_REJECTED,
    AsJSON,
    LockedOption,
    ModelsOption,
    OnlyOption,
    ViaOption,
    bars,
    examples,
    out,
    say,
    via_prefect,
)
from weighbridge.cli.runners import direct_runner
from weighbridge.config.settings import Settings
from weighbridge.domain.request import MODELS_FILE
from weighbridge.intake import chain, syncing
from weighbridge.intake.checking import CheckRequest, check
from weighbridge.intake.job import Job
from weighbridge.intake.syncing import SyncRequest
from weighbridge.intake.workspace import open_workspace
from weighbridge.views import terminal


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(
        "sync",
        epilog=examples(
            "weighbridge sync --only smollm2-135m-instruct",
            "weighbridge sync --only smollm2-135m-instruct --dry-run",
        ),
    )(_sync)
    app.command("fsck", epilog=examples("weighbridge fsck", "weighbridge fsck --repair --registries"))(_fsck)


def _sync(
    models: ModelsOption = Path(MODELS_FILE),
    only: OnlyOption = "",
    locked: LockedOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is to do, and do nothing.")] = False,
    via: ViaOption = None,
    json_: AsJSON = False,
) -> None:
    """Take in what changed of models.yaml, and judge again what policy, engines or time changed.

    Exit status 2 as long as a wanted model is not PASSED, 1 where one could not be taken in.
    """
    request = SyncRequest(str(models), only, locked)
    if dry_run:
        _plan(request, json_)
        return
    if via_prefect(via):
        interrupts.be_patient()
        from flows.embedded import run_sync  # Prefect takes longer to import than everything else together.

        with bars(json_) as shown:
            done = run_sync(request, shown)
    else:
        with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace:
            done = syncing.sync(request, workspace, _take_in)
    say("sync", done.to_json(), lambda: out.print(terminal.sync_table(done)), json_)
    _leave(bool(done.failed), bool(done.rejected))


def _take_in(job: Job) -> chain.Outcome:
    """Take one model in with threads of its own, so that another model's slow server does not delay it."""
    with direct_runner() as runner:
        return chain.ingest(job, runner)


def _plan(request: SyncRequest, as_json: bool) -> None:
    with bars(as_json) as shown, open_workspace(Settings(), progress=shown) as workspace:
        plan = syncing.plan(request, workspace)
    say("plan", plan.to_json(), lambda: out.print(terminal.plan_table(plan)), as_json)
    _leave(bool(plan.failed), bool(plan.held))


def _leave(failed: bool, rejected: bool) -> None:
    if failed:
        raise typer.Exit(1)
    if rejected:
        raise typer.Exit(EXIT_REJECTED)


def _fsck(
    repair: Annotated[
        bool, typer.Option("--repair", help="Bring back what is broken or missing; only damaged pieces where possible.")
    ] = False,
    registries: Annotated[
        bool, typer.Option("--registries", help="Compare what registries list and serve with the catalog, too.")
    ] = False,
    models: ModelsOption = Path(MODELS_FILE),
    json_: AsJSON = False,
) -> None:
    """Hash every blob of the store again and report what is broken or missing."""
    request = CheckRequest(repair, registries, str(models))
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace:
        done = check(request, workspace)

    def draw() -> None:
        out.print(terminal.check_table(done.found, done.repairs), crop=False)
        if registries:
            out.print(terminal.differences_table(done.differences), crop=False)

    say("fsck", done.to_json(), draw, json_)
    if not done.whole:
        raise typer.Exit(1)
