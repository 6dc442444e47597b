"""The command `weighbridge bom`: the bill of materials of a version."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from weighbridge.cli.console import AsJSON, NameArgument, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.errors import UsageError
from weighbridge.intake.bills import bill, written_bill
from weighbridge.intake.lookup import find
from weighbridge.intake.opening import open_catalog
from weighbridge.system import whole_files


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    shown = (
        "weighbridge bom smollm2-135m-instruct -o smollm2.cdx.json",
        "weighbridge bom smollm2-135m-instruct@1.0.0 | jq .components",
    )
    app.command("bom", epilog=examples(*shown))(_bom)


def _bom(
    name: NameArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write; else standard output.")
    ] = None,
    json_: AsJSON = False,
) -> None:
    """Write the bill of materials of a version, a CycloneDX 1.6 ML-BOM in JSON.

    It has files with hashes, licence, parents, data sets, the card, results of benchmarks, findings and the decision.
    """
    with open_catalog(Settings()) as catalog:
        version = find(catalog, name)
        document = bill(version, catalog)
    content = written_bill(document)
    told = {"serial_number": document["serialNumber"], "sha256": hashlib.sha256(content).hexdigest()}
    if output is None:
        say("bom", {**told, "path": None, "bom": document}, lambda: _print(content), json_)
        return
    try:
        whole_files.write(output, content)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.", "Name another file.") from error
    text = f"The bill of materials of {version.name} {version.version} is at {output}"
    say("bom", {**told, "path": str(output)}, lambda: out.print(text, markup=False, soft_wrap=True), json_)


def _print(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.flush()
