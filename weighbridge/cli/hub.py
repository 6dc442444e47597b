"""The commands `weighbridge hub search | show | changes | status | export`: the Hub's models, and what of them is here.

Not here: `hub refresh` (cli.hub_refreshing), and the answers (intake.hub_lookup).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weighbridge.cli import hub_refreshing
from weighbridge.cli.console import AsJSON, AsJSONList, ModelsOption, examples, note, out, say
from weighbridge.cli.hub_output import print_findings
from weighbridge.config.settings import Settings
from weighbridge.domain.amounts import memory_size, weights_number
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.clock import utc_now
from weighbridge.domain.durations import duration
from weighbridge.domain.hub_models import HUB_ORDERS, HubField, HubQuery
from weighbridge.domain.hub_queries import GATED_WORDS, gated_states
from weighbridge.domain.request import MODELS_FILE
from weighbridge.errors import UsageError
from weighbridge.intake.hub_answers import change_json, state_json
from weighbridge.intake.hub_curated import curated_in
from weighbridge.intake.hub_lookup import HubLookup
from weighbridge.intake.opening import open_catalog, open_hub_catalog
from weighbridge.system import whole_files
from weighbridge.views import hub_files, hub_lines

if TYPE_CHECKING:
    from weighbridge.intake.hub_questions import HubQuestions

#: How people write a model's address, besides its name.
_ADDRESSES = ("hf:", "https://huggingface.co/", "http://huggingface.co/", "https://hf.co/", "huggingface.co/")

SortBy = StrEnum("SortBy", {name: name for name in HUB_ORDERS})  # type: ignore[misc]  # The Hub's words, and ours.
Field = StrEnum("Field", {str(one): str(one) for one in HubField})  # type: ignore[misc]
FilterOption = Annotated[
    list[str] | None, typer.Option("--filter", metavar="TAG", help="text-generation, gguf, license:mit; repeatable.")
]
GatedOption = Annotated[
    list[str] | None, typer.Option("--gated", help="no, yes, auto, manual, restricted, unknown; repeat it for more.")
]
LiveOption = Annotated[bool, typer.Option("--live", help="Ask the Hub itself, and remember what it says.")]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never ask the Hub itself.")]
TokenEnvOption = Annotated[str, typer.Option(help="Variable with the Hub's token; HF_TOKEN by default.")]
TokenFileOption = Annotated[str, typer.Option(help="File with the Hub's token.")]
MinParams = Annotated[str, typer.Option("--min-params", help="Number of weights: 135M, 7b, 1e9.")]
MaxParams = Annotated[str, typer.Option("--max-params", help="Number of weights: 135M, 7b, 1e9.")]
MaxMemory = Annotated[
    str,
    typer.Option("--max-vram", help="GPU memory by the estimate: 16, 24GB, 80GiB; models without one are left out."),
]


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    group = typer.Typer(
        help="All models of the Hub: refresh the local catalogue, search it, show one.", no_args_is_help=True
    )
    hub_refreshing.add_commands(group)
    searches = (
        "weighbridge hub search instruct --filter text-generation --max-vram 16",
        "weighbridge hub search llama --gated yes --sort likes --limit 50 --icons",
    )
    group.command("search", epilog=examples(*searches))(_search)
    group.command("show", epilog=examples("weighbridge hub show Qwen/Qwen3-4B-Instruct-2507"))(_show)
    changes = ("weighbridge hub changes --since 7d --field gated",)
    group.command("changes", epilog=examples(*changes))(_changes)
    group.command("status", epilog=examples("weighbridge hub status"))(_status)
    exports = ("weighbridge hub export models.parquet", "weighbridge hub export gguf.csv --filter gguf")
    group.command("export", epilog=examples(*exports))(_export)
    app.add_typer(group, name="hub")


@contextmanager
def _lookup(models: Path, place: AuthPlace, *, offline: bool = False) -> Iterator[HubLookup]:
    """Open what answers; what asks the Hub is imported and opened when it is first needed."""
    settings, curated = Settings(), curated_in(models)
    with open_catalog(settings) as catalog, open_hub_catalog(settings) as hub, ExitStack() as opened:

        @cache
        def questions() -> HubQuestions:
            from weighbridge.intake.hub_questions import HubQuestions
            from weighbridge.intake.workspace import open_workspace

            return HubQuestions(opened.enter_context(open_workspace(settings)), place, curated)

        endpoint = settings.endpoint("huggingface")
        yield HubLookup(catalog, hub, endpoint, curated, None if offline else questions)


def _query(words: list[str] | None, filters: list[str] | None, gated: list[str] | None, **others: object) -> HubQuery:
    unknown = [word for word in gated or () if word not in GATED_WORDS]
    if unknown:
        raise UsageError(f"“{unknown[0]}” is not a kind of gate.", f"Write {', '.join(list(GATED_WORDS)[:6])}.")
    return HubQuery(
        search=" ".join(words or ()),
        filters=tuple(filters or ()),
        gated=gated_states(gated or ()),
        **others,  # type: ignore[arg-type]
    )


def _search(
    words: Annotated[list[str] | None, typer.Argument(metavar="[WORD]...", help="Parts of names and tags.")] = None,
    filters: FilterOption = None,
    author: Annotated[str, typer.Option(help="Only models of this user or organisation.")] = "",
    library: Annotated[str, typer.Option(help="Only this one: transformers, gguf, diffusers.")] = "",
    licence: Annotated[str, typer.Option(help="Only this one, in the Hub's words: apache-2.0.")] = "",
    gated: GatedOption = None,
    min_params: MinParams = "",
    max_params: MaxParams = "",
    max_vram: MaxMemory = "",
    sort: Annotated[SortBy, typer.Option(help="By what, the highest first.")] = SortBy.downloads,  # type: ignore[attr-defined]
    ascending: Annotated[bool, typer.Option("--ascending", help="The lowest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="The most models.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="Every model that fits.")] = False,
    cursor: Annotated[str, typer.Option(help="Go on where the search before ended.")] = "",
    curated: Annotated[
        bool | None,
        typer.Option("--curated/--no-curated", help="Only models of models.yaml; so it is where nothing is searched."),
    ] = None,
    vanished: Annotated[bool, typer.Option("--vanished", help="Also models that are no longer on the Hub.")] = False,
    live: LiveOption = False,
    offline: OfflineOption = False,
    icons: Annotated[bool, typer.Option("--icons", help="[LOCK] for terms and [KEY] for approval, in front.")] = False,
    models: ModelsOption = Path(MODELS_FILE),
    json_: AsJSONList = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Search the Hub's models in the local catalogue; without anything to search for, list those of models.yaml.

    The Hub itself is asked with --live, where the catalogue was never filled, and for org/name that it lacks. How old
    the catalogue is, and the cursor of what follows, is on stderr.
    """
    query = _query(
        words,
        filters,
        gated,
        author=author,
        library=library,
        licence=licence,
        min_parameters=weights_number(min_params) if min_params else None,
        max_parameters=weights_number(max_params) if max_params else None,
        max_memory_size=memory_size(max_vram) if max_vram else None,
        include_vanished=vanished,
        sort=str(sort),
        descending=not ascending,
        cursor=cursor,
        limit=limit,
    )
    asks = any((words, filters, author, library, licence, gated, min_params, max_params, max_vram, all_, cursor))
    with _lookup(models, AuthPlace(), offline=offline) as lookup:
        found = lookup.pages(
            query,
            live=live,
            curated=not asks and bool(lookup.curated.ids) if curated is None else curated,
            limit=None if all_ else limit,
        )
        print_findings(found, lookup, csv=csv, as_json=json_, icons=icons)


def _show(
    name: Annotated[str, typer.Argument(metavar="ORG/NAME", help="Also hf:org/name, or the address of its page.")],
    live: LiveOption = False,
    offline: OfflineOption = False,
    token_env: TokenEnvOption = "",
    token_file: TokenFileOption = "",
    models: ModelsOption = Path(MODELS_FILE),
    json_: AsJSON = False,
) -> None:
    """Show one model of the Hub: facts, estimates, history, access, whether it is here, and the line that takes it in.

    The Hub is asked where the catalogue lacks the model, and whether the token has access to a gated one: once, and
    then remembered.
    """
    with _lookup(models, AuthPlace(token_env, token_file), offline=offline) as lookup:
        found = lookup.show(_id(name), live=live)
    say("hub-model", found.to_json(), lambda: out.print(hub_lines.details(found), crop=False), json_)
    if found.note:
        note(found.note)
    note(hub_lines.age_line(found.state, utc_now()))


def _id(text: str) -> str:
    """Return the `org/name` in what people paste."""
    wanted = text.strip()
    for address in _ADDRESSES:
        wanted = wanted.removeprefix(address)
    wanted = wanted.partition("?")[0].partition("#")[0].rstrip("/")
    return "/".join(wanted.split("/")[:2]) if wanted != text.strip() else wanted


def _changes(
    names: Annotated[list[str] | None, typer.Argument(metavar="[ORG/NAME]...", help="Only of these models.")] = None,
    since: Annotated[str, typer.Option(metavar="TIME", help="7d, 12h, or a date: 2026-11-01.")] = "7d",
    field: Annotated[list[Field] | None, typer.Option(help="Only changes of this; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most changes, the oldest first.")] = 100,
    json_: AsJSONList = False,
) -> None:
    """List what changed of the Hub's models between refreshes: gated status, licence, owner, whether they are there."""
    fields = tuple(HubField(str(one)) for one in field or ())
    settings = Settings()
    with open_hub_catalog(settings) as hub:
        found = [change for _, change in hub.changes(_moment(since), fields, tuple(names or ()), limit)]
        state = hub.state()
    content = [change_json(change) for change in found]
    say("hub-change", content, lambda: out.print(hub_lines.changes(found), crop=False), json_)
    note(hub_lines.age_line(state, utc_now()))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return utc_now() - (duration(text) or timedelta())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _status(json_: AsJSON = False) -> None:
    """Say how many models the local catalogue has, how old it is, and what its refreshes found."""
    with open_hub_catalog(Settings()) as hub:
        state = hub.state()
    say("hub-status", state_json(state), lambda: out.print(hub_lines.status(state, utc_now()), crop=False), json_)


def _export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="FILE.csv or FILE.parquet; - for CSV on stdout.")],
    filters: FilterOption = None,
    author: Annotated[str, typer.Option(help="Only models of this user or organisation.")] = "",
    gated: GatedOption = None,
    max_vram: MaxMemory = "",
    vanished: Annotated[bool, typer.Option("--vanished", help="Also models that are no longer on the Hub.")] = False,
    json_: AsJSON = False,
) -> None:
    """Write the local catalogue, or what fits, to a file; it is read as it was when this began, in little memory."""
    query = _query(
        None,
        filters,
        gated,
        author=author,
        max_memory_size=memory_size(max_vram) if max_vram else None,
        include_vanished=vanished,
        sort="id",
        descending=False,
    )
    with open_hub_catalog(Settings()) as hub:
        batches = hub.batches(query)
        if str(path) == "-":
            hub_files.write_csv(batches, sys.stdout)
            return
        if path.suffix not in (".csv", ".parquet"):
            raise UsageError(f"{path} is neither CSV nor parquet.", "Name a file that ends with .csv or .parquet.")
        try:
            with whole_files.replacing(path) as file:
                write = hub_files.write_parquet if path.suffix == ".parquet" else hub_files.write_csv_bytes
                count = write(batches, file)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(
                f"{path} cannot be written: {reason}.", "Name a file in a folder that is there."
            ) from error
    content = {"path": str(path), "models": count, "size": path.stat().st_size}
    say("hub-export", content, lambda: out.print(f"{path} has {count:,} models.", markup=False, highlight=False), json_)
