"""The commands `weighbridge signatures update | status`, and the signatures that a first ingest fetches.

Not here: the update itself (intake.signatures).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weighbridge.cli.console import AsJSON, bars, examples, note, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.progress import Progress
from weighbridge.errors import WeighbridgeError
from weighbridge.intake import signatures
from weighbridge.intake.opening import open_catalog
from weighbridge.views import signature_lines


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(
        help="ClamAV's signatures: bring new ones, say which are in use and how old.", no_args_is_help=True
    )
    update = ("weighbridge signatures update", "weighbridge signatures update --from /media/usb/clamav")
    group.command("update", epilog=examples(*update))(_update)
    group.command("status", epilog=examples("weighbridge signatures status --json"))(_status)
    app.add_typer(group, name="signatures")


def _update(
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Take them from a folder, on a machine without a network."),
    ] = None,
    json_: AsJSON = False,
) -> None:
    """Bring new signatures by freshclam or from a folder, try them, and use them from the next scan on.

    Broken, older and test-only ones change nothing. WEIGHBRIDGE_CLAMAV_MIRRORS names private mirrors. Running servers
    and workers need no restart.
    """
    settings = Settings()
    with bars(json_) as progress, open_catalog(settings) as catalog:
        done = signatures.update(settings, catalog, source, progress)
    say("signatures-update", done.to_json(), lambda: out.print(signature_lines.updated(done)), json_)


def _status(json_: AsJSON = False) -> None:
    """Say which engine and signatures scan here, and how old they are; a clamd elsewhere is asked for its own."""
    found = signatures.status(Settings())
    say("signatures", found.to_json(), lambda: out.print(signature_lines.status(found)), json_)


def fetch_first(settings: Settings, progress: Progress) -> None:
    """Fetch signatures on a machine that has none, and say so before; where that fails, say why, and go on."""
    if not signatures.are_missing(settings):
        return
    note(signature_lines.before_first(signatures.first_source(settings)))
    try:
        with open_catalog(settings) as catalog:
            done = signatures.update(settings, catalog, None, progress)
        note(signature_lines.updated(done))
    except WeighbridgeError as error:
        note(signature_lines.without(error.problem))
