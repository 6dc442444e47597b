"""The command that writes models.lock: `weighbridge lock`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from weighbridge.cli.console import (
    DEFAULT_MODELS,
    AsJSON,
    ModelsOption,
    OnlyOption,
    bars,
    direct_runner,
    err,
    examples,
    out,
    say,
)
from weighbridge.config.lock_file import lock_path, read_lock, read_mended, write_lock
from weighbridge.config.models_file import read_models, requests, select
from weighbridge.config.settings import Settings
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import InvalidConfiguration
from weighbridge.intake.locking import lock_all
from weighbridge.intake.workspace import open_workspace
from weighbridge.views import terminal
from weighbridge.views.text import counted


def add_commands(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("lock", epilog=examples("weighbridge lock --only smollm2-135m-instruct"))(_lock)


def _lock(models: ModelsOption = DEFAULT_MODELS, only: OnlyOption = "", json_: AsJSON = False) -> None:
    """Write models.lock: every wanted model at its present revision, every file with its sha256."""
    path, entries = lock_path(models), read_models(models)
    wanted = requests(select(entries, only) if only else entries)
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace, direct_runner() as runner:
        done = lock_all(wanted, workspace, runner, _locked_before(path, wanted, only))
    write_lock(path, done.locked, {entry.key for entry in entries if entry.relative})
    summary = {name: str(manifest.digest) for name, (_, manifest) in done.locked.items()}
    failed = [{"name": name, "error": str(error)} for name, error in done.failed]

    def draw() -> None:
        for name, error in done.failed:
            err.print(f"{name}: {error}", markup=False, highlight=False)
        for name, dropped in done.left_out.items():
            out.print(*terminal.left_out(dropped, name), sep="\n", soft_wrap=True)
        kept = f", {len(done.failed)} could not be asked: their entries are as they were" if done.failed else ""
        out.print(f"{path}: {counted(len(done.locked), 'model')} locked{kept}.")

    left = {name: list(dropped) for name, dropped in done.left_out.items()}
    say("lock", {"lock": str(path), "models": summary, "failed": failed, "left_out": left}, draw, json_)
    if done.failed:
        raise typer.Exit(1)


def _locked_before(path: Path, wanted: Sequence[IngestRequest], only: str) -> dict[str, tuple[str, Manifest]]:
    """Return the entries of an earlier lock that are kept where a model is not asked, or cannot be."""
    if not path.exists():
        return {}
    names = {request.model for request in wanted}
    if only:
        return read_mended(path, names)
    try:
        locked = read_lock(path)
    except InvalidConfiguration:  # It is written anew, whatever is wrong with it.
        return {}
    return {name: entry for name, entry in locked.items() if name in names}
