"""The commands `weighbridge bundle NAME… | import | show | key`: models in a file, for a place without a network."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from weighbridge.cli.console import EXIT_REJECTED, AsJSON, PolicyOption, bars, err, examples, out, say
from weighbridge.cli.runners import direct_runner
from weighbridge.config.bundle_keys import made_key
from weighbridge.config.settings import Settings
from weighbridge.intake.bundling import BundleRequest, bundle
from weighbridge.intake.opened_bundle import opened_bundle
from weighbridge.intake.unbundling import ImportRequest, import_bundle
from weighbridge.intake.workspace import open_workspace
from weighbridge.views import bundle_tables

_MODEL = "smollm2-135m-instruct"
FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="A bundle: models.tar.zst, or - for standard input.")]


class _Bundles(TyperGroup):
    """The group of these commands; without the name of one, `create` is meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `create` before the names of models, where no command is named."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["create", *args]
        return list(super().parse_args(ctx, args))


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(
        cls=_Bundles,
        help="Models in one file, for a place without a network: pack versions that passed, import them there.",
        no_args_is_help=True,
    )
    packed = (
        f"weighbridge bundle {_MODEL} -o models.tar.zst",
        f"weighbridge bundle create {_MODEL}@1.0.0 -o models.tar.zst",
    )
    imported = (
        "weighbridge bundle import models.tar.zst",
        "weighbridge bundle import models.tar.zst --signed-by office",
    )
    group.command("create", epilog=examples(*packed))(_create)
    group.command("import", epilog=examples(*imported))(_import)
    group.command("show", epilog=examples("weighbridge bundle show models.tar.zst"))(_show)
    group.command("key", epilog=examples("weighbridge bundle key"))(_key)
    app.add_typer(group, name="bundle")


def _create(
    names: Annotated[list[str], typer.Argument(metavar="NAME[@VERSION]...", help="The default version by default.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    json_: AsJSON = False,
) -> None:
    """Pack versions that passed into one file, with reports, decision, card, results and declarations.

    The word `create` may be left out. The bundle is signed where `weighbridge bundle key` has made a key.
    """
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace:
        done = bundle(BundleRequest(tuple(names), output), workspace)
    say("bundle", done.to_json(), lambda: out.print(bundle_tables.bundled(done), crop=False), json_)


def _import(
    file: FileArgument,
    policy: PolicyOption = "",
    another_source: Annotated[
        bool, typer.Option("--another-source", help="Let a known name go on with what the bundle has.")
    ] = False,
    renumber: Annotated[
        bool,
        typer.Option("--renumber", help="Give the next number to a version whose own is not above the latest here."),
    ] = False,
    scan: Annotated[
        bool, typer.Option("--scan", help="Scan everything here, though the bundle's key is trusted.")
    ] = False,
    signed_by: Annotated[
        str, typer.Option("--signed-by", metavar="NAME", help="Refuse it unless this trusted key has signed it.")
    ] = "",
    json_: AsJSON = False,
) -> None:
    """Take the versions of a bundle in: every byte is verified, and this side's policy judges.

    Everything is scanned here, unless WEIGHBRIDGE_TRUSTED_BUNDLE_KEYS names the key that signed the bundle: then the
    other side's reports count. Exit status 2 where a version is not PASSED.
    """
    request = ImportRequest(
        file, policy, another_source=another_source, renumber=renumber, scan=scan, signed_by=signed_by
    )
    with bars(json_) as shown, open_workspace(Settings(), progress=shown) as workspace, direct_runner() as runner:
        done = import_bundle(request, workspace, runner)
    say("bundle-import", done.to_json(), lambda: out.print(bundle_tables.imported(done), crop=False), json_)
    if any(one.version.status != "PASSED" for one in done.versions):
        raise typer.Exit(EXIT_REJECTED)


def _show(file: FileArgument, json_: AsJSON = False) -> None:
    """Show what a bundle has, who signed it, and whether that key is trusted here; nothing is imported."""
    with opened_bundle(file, Settings()) as found:
        content = found.to_json()
    say("bundle-content", content, lambda: out.print(bundle_tables.content(content), crop=False), json_)


def _key(json_: AsJSON = False) -> None:
    """Print the public key that this side's bundles are signed with; the key is made where there is none.

    The other side trusts it with WEIGHBRIDGE_TRUSTED_BUNDLE_KEYS='{"NAME": "ed25519:…"}'.
    """
    key, is_new = made_key(Settings())

    def draw() -> None:
        print(key.text)  # noqa: T201 (alone on standard output, for a pipe)
        if is_new:
            err.print("The key was made. Bundles are signed with it from now on.", markup=False, highlight=False)

    say("bundle-key", {"key": key.text, "made": is_new}, draw, json_)
