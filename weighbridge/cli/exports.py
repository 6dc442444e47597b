"""The command `weighbridge export`: the files of a version in a folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from weighbridge.cli.console import AsJSON, NameArgument, bars, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.intake import exporting
from weighbridge.intake.exporting import ExportRequest
from weighbridge.intake.lookup import find
from weighbridge.intake.opening import open_catalog
from weighbridge.store.local import LocalBlobStore


class ExportLayout(StrEnum):
    """The layouts of `export`."""

    plain = "plain"
    huggingface = "huggingface"


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    exported = (
        "weighbridge export smollm2-135m-instruct ./smollm2",
        "weighbridge export smollm2-135m-instruct ~/.cache/huggingface/hub \\",
        "  --layout huggingface --repo org/smollm2",
    )
    app.command("export", epilog=examples(*exported))(_export)


def _export(
    name: NameArgument,
    target: Annotated[
        Path, typer.Argument(help="Folder to write to; for the layout huggingface, the HF cache (HF_HOME/hub).")
    ],
    layout: Annotated[ExportLayout, typer.Option(help="plain folder, or a Hugging Face cache.")] = ExportLayout.plain,
    repo: Annotated[
        str, typer.Option(help="Repository name in the Hugging Face cache; the model's name by default.")
    ] = "",
    json_: AsJSON = False,
) -> None:
    """Write a version that passed to a folder."""
    settings = Settings()
    with open_catalog(settings) as catalog:
        version = find(catalog, name)
    request = ExportRequest(str(target), layout.value, repo)
    with bars(json_) as shown:
        written = exporting.export(request, version, LocalBlobStore(settings.store_folder), shown)
    text = f"{version.name} {version.version} is at {written}"
    say("export", {"path": str(written)}, lambda: out.print(text, markup=False, soft_wrap=True), json_)
