"""The command `weighbridge hub refresh`: keeps the local catalogue of the Hub.

Not here: the refresh (intake.hub_refresh).
"""

from __future__ import annotations

from typing import Annotated

import typer

from weighbridge.cli.console import AsJSON, bars, examples, note, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.clock import utc_now
from weighbridge.domain.hub_models import PassKind
from weighbridge.domain.refresh_request import RefreshRequest
from weighbridge.errors import UsageError
from weighbridge.intake.hub_answers import pass_json
from weighbridge.views import hub_lines


def add_commands(group: typer.Typer) -> None:
    """Add the command to the group `hub`."""
    shown = ("weighbridge hub refresh --recent", "weighbridge hub refresh --filter text-generation --limit 10000")
    group.command("refresh", epilog=examples("weighbridge hub refresh", *shown))(_refresh)


def _refresh(
    recent: Annotated[bool, typer.Option("--recent", help="Only what changed since the last one: some pages.")] = False,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="TAG", help="Only models with this tag: text-generation; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Only so many models, the most downloaded ones; 0 for all.")] = 0,
    token_env: Annotated[str, typer.Option(help="Variable with the Hub's token; HF_TOKEN by default.")] = "",
    token_file: Annotated[str, typer.Option(help="File with the Hub's token.")] = "",
    json_: AsJSON = False,
) -> None:
    """Bring the local catalogue up to date: all of the Hub's models, what changed lately, or a part of them.

    It keeps to the Hub's limit of requests: all models take at least 25 minutes, with a free token 12.5. A refresh
    that was stopped is resumed where it stopped, by the same command.
    """
    from weighbridge.intake.hub_refresh import refresh
    from weighbridge.intake.workspace import open_workspace

    if recent and (filters or limit):
        raise UsageError("--recent is about all models.", "Leave --recent out, or --filter and --limit.")
    kind = PassKind.RECENT if recent else PassKind.PARTIAL if filters or limit else PassKind.FULL
    request = RefreshRequest(kind, tuple(filters or ()), limit, auth=AuthPlace(token_env, token_file))
    with bars(json_) as progress, open_workspace(Settings(), progress=progress) as workspace:
        done = refresh(request, workspace)
        state = workspace.resources.hub_catalog.state()
    say("hub-pass", pass_json(done), lambda: out.print(hub_lines.refreshed(done)), json_)
    note(hub_lines.age_line(state, utc_now()))
