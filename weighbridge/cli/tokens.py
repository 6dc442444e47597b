"""The commands `weighbridge token create | list | revoke`: the keys of the served registry."""

from __future__ import annotations

from typing import Annotated

import typer

from weighbridge.cli.console import AsJSON, AsJSONList, YesOption, confirm, err, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.clock import utc_now
from weighbridge.intake.callers import create_key
from weighbridge.intake.opening import open_catalog
from weighbridge.views import access_tables

KeyName = Annotated[str, typer.Argument(metavar="NAME")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(help="Keys of the served registry: make, list, revoke.", no_args_is_help=True)
    created = (
        "weighbridge token create ci --role publisher --expires 90d",
        "weighbridge token create team-a --role publisher --models 'team-a/*'",
    )
    group.command("create", epilog=examples(*created))(_create)
    group.command("list", epilog=examples("weighbridge token list"))(_list)
    group.command("revoke", epilog=examples("weighbridge token revoke ci --yes"))(_revoke)
    app.add_typer(group, name="token")


def _create(
    name: KeyName,
    role: Annotated[str, typer.Option(help="reader, publisher, or admin.")],
    expires: Annotated[str, typer.Option(help="90d, 12h, 8w, or its last day, 2027-03-31; no end by default.")] = "",
    models: Annotated[
        list[str] | None, typer.Option("--models", help="Pattern of model names that it is for; repeat it for more.")
    ] = None,
    json_: AsJSON = False,
) -> None:
    """Make a key and print it, alone on standard output; it is shown this once, and only its hash is stored."""
    now = utc_now()
    with open_catalog(Settings()) as catalog:
        key, text = create_key(catalog, name, role, now=now, expires=expires, models=tuple(models or ()))

    def draw() -> None:
        print(text)  # noqa: T201 (alone on standard output, for a pipe)
        err.print(f"{access_tables.key_text(key)} It is not shown again.", markup=False, highlight=False)

    say("access-key", key.to_json(now) | {"key": text}, draw, json_)


def _list(json_: AsJSONList = False) -> None:
    """List every key, the newest first: role, models, last use; never the key itself."""
    now = utc_now()
    with open_catalog(Settings()) as catalog:
        keys = catalog.keys.listed()
    content = [key.to_json(now) for key in keys]
    say("access-key", content, lambda: out.print(access_tables.keys(keys, now), crop=False), json_)


def _revoke(name: KeyName, yes: YesOption = False, json_: AsJSON = False) -> None:
    """Make a key invalid for good, from the next request on; its name is free again."""
    with open_catalog(Settings()) as catalog:
        confirm(f"Revoke the key {name}? What uses it is refused from then on.", yes, json_)
        key = catalog.keys.revoke(name)
    text = f"The key {key.name} is revoked."
    say("access-key", key.to_json(utc_now()), lambda: out.print(text, markup=False, highlight=False), json_)
