"""The commands `weighbridge attest export | verify | key`: decisions as signed statements that others can verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weighbridge.cli.console import EXIT_REJECTED, AsJSON, NameArgument, bars, err, examples, note, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.attestations import STEPS
from weighbridge.errors import UsageError
from weighbridge.intake.attesting import AttestationRequest, export, verify, write
from weighbridge.intake.lookup import find
from weighbridge.intake.opening import open_catalog
from weighbridge.signing.keys import made_key
from weighbridge.views import attestation_tables

_MODEL = "smollm2-135m-instruct"


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(
        help="Decisions as signed statements (in-toto, SLSA) that others verify: export, verify, the key.",
        no_args_is_help=True,
    )
    exported = (
        f"weighbridge attest export {_MODEL} -o model.intoto.jsonl",
        f"weighbridge attest export {_MODEL} --only verdict -o vsa.json",
    )
    verified = (
        "weighbridge attest verify model.intoto.jsonl ./model",
        "weighbridge attest verify model.intoto.jsonl ./model --key office.pub",
    )
    group.command("export", epilog=examples(*exported))(_export)
    group.command("verify", epilog=examples(*verified))(_verify)
    group.command("key", epilog=examples("weighbridge attest key > office.pub", "weighbridge attest key --rotate"))(
        _key
    )
    app.add_typer(group, name="attest")


def _export(
    name: NameArgument,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The file to write; standard output by default.")
    ] = "",
    only: Annotated[
        str, typer.Option("--only", metavar="STEP", help=f"One statement: {', '.join(STEPS)}; all by default.")
    ] = "",
    json_: AsJSON = False,
) -> None:
    """Write the decision on a version, and the steps before it, as signed statements: one envelope a line.

    A version that did not pass, or was withdrawn, is attested as FAILED. `weighbridge attest key` makes the key.
    """
    if only and only not in STEPS:
        raise UsageError(f"--only {only} is not a step.", f"Write one of {', '.join(STEPS)}.")
    settings = Settings()
    with open_catalog(settings) as catalog:
        done = export(find(catalog, name), catalog, settings, only)
    if output:
        write(done, Path(output))
        content = done.to_json() | {"path": str(Path(output).absolute())}
        say("attestation", content, lambda: out.print(attestation_tables.exported(done, output)), json_)
        return
    envelopes = [line.decode() for line in done.envelopes]
    content = done.to_json() | {"path": None, "envelopes": envelopes}
    say("attestation", content, lambda: print(done.content.decode(), end=""), json_)  # noqa: T201 (for a pipe)


def _verify(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `attest export` or the API gave.")],
    folder: Annotated[
        str, typer.Argument(metavar="[FOLDER]", help="The model's files, which have to be exactly those attested.")
    ] = "",
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="FILE", help="Trust this public key alone; may be given several times."),
    ] = None,
    verifier: Annotated[
        str, typer.Option("--verifier", metavar="URI", help="Refuse the word of another installation than this.")
    ] = "",
    json_: AsJSON = False,
) -> None:
    """Verify an attestation, check by check, and the files of a folder against it; nothing is stored.

    Keys are trusted that are in the folder attestation-keys below WEIGHBRIDGE_HOME, and this installation's own. Exit
    status 2 where a check fails.
    """
    request = AttestationRequest(file, folder, tuple(key or ()), verifier)
    with bars(json_) as shown:
        done = verify(request, Settings(), shown)
    say("attestation-proof", done.to_json(), lambda: out.print(attestation_tables.proof(done), crop=False), json_)
    if not folder and not json_:
        note("No folder was named, so no file was compared.")
    if not done.verified:
        raise typer.Exit(EXIT_REJECTED)


def _key(
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make another key; attestations by the old one stay valid here.")
    ] = False,
    json_: AsJSON = False,
) -> None:
    """Print the public key of this installation's attestations, in PEM; the key is made where there is none.

    Others trust it as a file in attestation-keys below their WEIGHBRIDGE_HOME, or by --key; cosign by --key.
    """
    key, is_new = made_key(Settings().folder, rotate=rotate)

    def draw() -> None:
        print(key.public.pem, end="")  # noqa: T201 (alone on standard output, for a pipe)
        if is_new:
            err.print("The key was made. Attestations are signed with it from now on.", markup=False, highlight=False)

    say("attestation-key", {"id": key.public.id, "key": key.public.pem, "made": is_new}, draw, json_)
