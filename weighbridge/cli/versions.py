"""The commands about one model: `versions | rm | set-default | withdraw | reinstate | history | diff | report`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from weighbridge.cli.console import EXIT_REJECTED, AsJSON, AsJSONList, YesOption, confirm, err, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import UsageError
from weighbridge.intake import lookup, publishing
from weighbridge.intake.comparing import compare
from weighbridge.intake.opening import open_catalog
from weighbridge.intake.removing import Removal, remove
from weighbridge.intake.workspace import open_workspace
from weighbridge.views import catalog_tables
from weighbridge.views.text import bytes_text

NameOnly = Annotated[str, typer.Argument(metavar="NAME")]
Numbered = Annotated[str, typer.Argument(metavar="NAME@VERSION")]
_MODEL = "smollm2-135m-instruct"


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    commands: dict[str, tuple[Callable[..., None], str]] = {
        "versions": (_versions, f"{_MODEL}"),
        "rm": (_rm, f"{_MODEL}@1.0.0"),
        "set-default": (_set_default, f"{_MODEL}@1.0.0"),
        "withdraw": (_withdraw, f"{_MODEL}@1.0.0 --reason recalled"),
        "reinstate": (_reinstate, f"{_MODEL}@1.0.0"),
        "history": (_history, _MODEL),
        "diff": (_diff, f"{_MODEL}@1.0.0 {_MODEL}"),
        "report": (_report, "0123456789abcdef --json"),
    }
    for name, (command, arguments) in commands.items():
        app.command(name, epilog=examples(f"weighbridge {name} {arguments}"))(command)


def _versions(name: NameOnly, json_: AsJSONList = False) -> None:
    """List every version of a model, the latest first."""
    with open_catalog(Settings()) as catalog:
        found = lookup.find_all(catalog, name)
    content = [version.to_json() for version in found]
    say("version-summary", content, lambda: out.print(catalog_tables.versions(found), crop=False), json_)


def _rm(name: Numbered, yes: YesOption = False, json_: AsJSON = False) -> None:
    """Remove a version from the catalog and every registry; its bytes stay until `weighbridge gc`.

    Its number stays taken: other files never get it, and the same files taken in again are this version again.
    """
    with open_workspace(Settings()) as workspace:
        version = workspace.catalog.get(*name.rpartition("@")[::2]) if "@" in name else None
        if version is not None:
            confirm(_removal_question(version), yes, json_)
        done = remove(name, workspace)
    say("removal", done.to_json(), lambda: out.print(_removal_text(done), markup=False, highlight=False), json_)


def _removal_question(version: ModelVersion) -> str:
    places = sorted({f"{found.registry} at {found.address}" for found in version.published})
    where = f" and from {' and '.join(places)}" if places else ""
    which = ", the default version," if version.default else ""
    return f"Remove {version.name}@{version.version}{which} from the catalog{where}?"


def _removal_text(done: Removal) -> str:
    lines = [f"{done.name}@{done.version} is removed.", *(f"It is withdrawn from {place}." for place in done.places)]
    if done.default:
        lines.append(f"The default version of {done.name} is {done.default}.")
    if done.unneeded:
        lines.append(f"No other version needs {bytes_text(done.unneeded)} of it: `weighbridge gc` deletes them.")
    return "\n".join(lines)


def _set_default(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")],
    newest: Annotated[bool, typer.Option("--newest", help="Let it follow the newest version that passed.")] = False,
    json_: AsJSON = False,
) -> None:
    """Set the version that a name without a number means, here and in every registry."""
    with open_workspace(Settings()) as workspace:
        if newest == ("@" in name):
            raise UsageError(
                "Either a version or --newest says what the default is.", f"Write {name.partition('@')[0]}@1.0.0."
            )
        version = lookup.find(workspace.catalog, name) if newest else lookup.find_numbered(workspace.catalog, name)
        now = publishing.set_default(version.name, None if newest else version.version, workspace)
    number = now.version if now else ""
    text = (
        f"The default version of {version.name} is {number}." if now else f"{version.name} has no version that passed."
    )
    content = {"name": version.name, "default": number or None, "fixed": not newest}
    say("default", content, lambda: out.print(text, markup=False, highlight=False), json_)


def _withdraw(
    name: Numbered,
    reason: Annotated[str, typer.Option(help="Why; it stands in the catalog and in the registries.")],
    json_: AsJSON = False,
) -> None:
    """Take a version back from every registry; it stays FAILED whatever later decisions are."""
    with open_workspace(Settings()) as workspace:
        version = lookup.find_numbered(workspace.catalog, name)
        gone = publishing.withdraw(version.name, version.version, reason, workspace)
    say("version", gone.to_json(), lambda: err.print(f"{name} is withdrawn: {reason}", markup=False), json_)


def _reinstate(
    name: Numbered,
    reason: Annotated[str, typer.Option(help="Why; the audit log has it.")] = "",
    json_: AsJSON = False,
) -> None:
    """Take a withdrawal back: the version has its last verdict again, and is published where it passed.

    Exit status 2 where that verdict is not PASSED.
    """
    with open_workspace(Settings()) as workspace:
        version = lookup.find_numbered(workspace.catalog, name)
        now = publishing.reinstate(version.name, version.version, workspace, reason)
    text = f"{now.name}@{now.version} is {now.status}."
    say("version", now.to_json(), lambda: out.print(text, markup=False, highlight=False), json_)
    if now.status != "PASSED":
        raise typer.Exit(EXIT_REJECTED)


def _history(name: NameOnly, json_: AsJSONList = False) -> None:
    """Show what was done to a model and its versions, when and by whom; removed ones too."""
    with open_catalog(Settings()) as catalog:
        rows = catalog.audit.of_model(name)
        if not rows:
            lookup.find_all(catalog, name)
    content = [row.to_json() for row in rows]
    say("audit-row", content, lambda: out.print(catalog_tables.history(rows), crop=False), json_)


def _diff(
    before: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")],
    after: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Of the same model, or of another one.")],
    json_: AsJSON = False,
) -> None:
    """Show the differences of two versions: files, sizes, card, findings, verdict, results of benchmarks.

    Exit status 0, whether they differ or not.
    """
    with open_catalog(Settings()) as catalog:
        found = compare(lookup.find(catalog, before), lookup.find(catalog, after), catalog)
    say("difference", found.to_json(), lambda: out.print(catalog_tables.difference(found), crop=False), json_)


def _report(
    id_: Annotated[str, typer.Argument(metavar="REPORT", help="The id of a report, or of a reason's.")],
    json_: AsJSON = False,
) -> None:
    """Show what a scanner found in one blob, by the report's id."""
    with open_catalog(Settings()) as catalog:
        found = lookup.find_report(catalog, id_)
    content = {"id": found.id, **found.to_json()}
    say("report", content, lambda: out.print(catalog_tables.report(found), crop=False), json_)
