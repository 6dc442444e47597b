"""The commands `weighbridge scan | doctor`: a folder in place, and this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weighbridge.cli.console import AsJSON, AsJSONList, PolicyOption, bars, examples, finish, out, say
from weighbridge.config.settings import Settings
from weighbridge.intake import doctor
from weighbridge.intake.inspecting import inspect_folder
from weighbridge.intake.workspace import open_workspace
from weighbridge.views import terminal


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    scanned = ("weighbridge scan ./folder", "weighbridge scan model.safetensors --policy strict")
    app.command("scan", epilog=examples(*scanned))(_scan)
    app.command("doctor", epilog=examples("weighbridge doctor"))(_doctor)


def _scan(
    path: Annotated[Path, typer.Argument(help="Folder or file of this machine.")],
    policy: PolicyOption = "",
    json_: AsJSON = False,
) -> None:
    """Scan, describe and judge a folder in place; nothing is stored or published."""
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace:
        version = inspect_folder(path, workspace, policy)

    def draw() -> None:
        out.print(terminal.verdict_panel(version), *terminal.details(version), crop=False)

    finish(version.to_json(), draw, version.status, json_)


def _doctor(json_: AsJSONList = False) -> None:
    """Say what is missing on this machine, and the command that mends it."""
    checks = list(doctor.examine(Settings()))
    say("check", [vars(check) for check in checks], lambda: out.print(terminal.doctor_table(checks)), json_)
    if any(check.state == "missing" for check in checks):
        raise typer.Exit(1)
