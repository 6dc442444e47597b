"""The command `weighbridge serve`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from weighbridge.cli import interrupts
from weighbridge.cli.console import err, examples, log_to_stderr, verbosity
from weighbridge.config.mirror_file import mirror_of, refuse_passed_tokens
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.intake.callers import first_key
from weighbridge.intake.opening import open_catalog


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    lines = ("weighbridge serve", "weighbridge serve --port 0 --workers 2", "weighbridge serve --config mirror.yaml")
    app.command("serve", epilog=examples(*lines))(_serve)


def _serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of IPv4, :: for all of both.")] = "",
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
    config: Annotated[Path | None, typer.Option(help="YAML file of the mirror; docs/mirror.md.")] = None,
) -> None:
    """Serve the registry over HTTP, until Ctrl-C or SIGTERM.

    Where there has never been a key, a first one is made and printed, once. Requests that are under way may end
    first. /api/docs says what there is.
    """
    from weighbridge.intake.queue_worker import STOP_S
    from weighbridge.web import serving  # FastAPI takes half a second to import, which no other command needs.

    settings = Settings()
    chosen = {
        "serve_host": host or settings.serve_host,
        "serve_port": settings.serve_port if port is None else port,
        "mirror_config": config or settings.mirror_config,
    }
    settings = settings.model_copy(update=chosen)
    mirror = mirror_of(settings)
    refuse_passed_tokens(mirror, settings)
    for note in mirror.notes:
        err.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    interrupts.be_patient(serving.GRACE_S + STOP_S + interrupts.PATIENCE_S)
    with open_catalog(settings) as catalog:  # This brings its schema up to date, before several processes open it.
        key = first_key(catalog, utc_now())
    if key:
        err.print(
            f"The first key, with the role admin, is not shown again: {key}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def announce(address: str) -> None:
        err.print(f"Serving at {address}{settings.api_prefix}", markup=False, highlight=False, soft_wrap=True)

    serving.serve(settings, workers, announce, partial(log_to_stderr, verbosity()))
