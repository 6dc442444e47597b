"""The command that writes models.lock: `weighbridge lock`."""

from __future__ import annotations

from pathlib import Path

import typer

from weighbridge.cli.console import (
    AsJSON,
    ModelsOption,
    OnlyOption,
    bars,
    err,
    examples,
    out,
    say,
)
from weighbridge.cli.runners import direct_runner
from weighbridge.config.settings import Settings
from weighbridge.domain.request import MODELS_FILE
from weighbridge.intake.locking import Locking, LockRequest, lock_models
from weighbridge.intake.workspace import open_workspace
from weighbridge.views import terminal
from weighbridge.views.text import counted


def add_commands(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("lock", epilog=examples("weighbridge lock --only smollm2-135m-instruct"))(_lock)


def _lock(models: ModelsOption = Path(MODELS_FILE), only: OnlyOption = "", json_: AsJSON = False) -> None:
    """Write models.lock: every wanted model at its present revision, every file with its sha256."""
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace, direct_runner() as runner:
        done = lock_models(LockRequest(str(models), only), workspace, runner)
    say("lock", done.to_json(), lambda: _draw(done), json_)
    if done.failed:
        raise typer.Exit(1)


def _draw(done: Locking) -> None:
    for name, error in done.failed:
        err.print(f"{name}: {error}", markup=False, highlight=False)
    for name, dropped in done.left_out.items():
        out.print(*terminal.left_out(dropped, name), sep="\n", soft_wrap=True)
    kept = f", {len(done.failed)} could not be asked: their entries are as they were" if done.failed else ""
    out.print(f"{done.path}: {counted(len(done.locked), 'model')} locked{kept}.")
