"""The commands `weighbridge list | show`: what the catalog has."""

from __future__ import annotations

import typer

from weighbridge.cli.console import AsJSON, AsJSONList, NameArgument, examples, out, say
from weighbridge.config.settings import Settings
from weighbridge.domain.declarations import contradictions
from weighbridge.intake.lookup import find
from weighbridge.intake.opening import open_catalog
from weighbridge.views import bundle_tables, catalog_tables, terminal


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    shown = ("weighbridge show smollm2-135m-instruct", "weighbridge show smollm2-135m-instruct@1.0.0")
    app.command("list", epilog=examples("weighbridge list", "weighbridge list --json"))(_list)
    app.command("show", epilog=examples(*shown))(_show)


def _list(json_: AsJSONList = False) -> None:
    """List the models of the catalog."""
    with open_catalog(Settings()) as catalog:
        found = catalog.lists.models()
    content = [model.to_json() for model in found]
    say("model", content, lambda: out.print(catalog_tables.models(found), crop=False), json_)


def _show(name: NameArgument, json_: AsJSON = False) -> None:
    """Show a version: its card, what was declared of the model, scans, decision, and where it is."""
    with open_catalog(Settings()) as catalog:
        version = find(catalog, name)
        declaration = catalog.declarations.of(version.name)
        imported = catalog.bundles.imported(version.name, version.version)
    warnings = contradictions(version.card, declaration)

    def draw() -> None:
        declared = [terminal.declaration(declaration, warnings)] if declaration else []
        card, *others = terminal.details(version)
        came = [bundle_tables.origin(imported)] if imported else []
        out.print(terminal.verdict_panel(version), *came, card, *declared, *others, crop=False)

    said = {"declared": declaration.to_json() if declaration else None, "warnings": list(warnings)}
    say("version", {**version.to_json(), **said, "imported": imported}, draw, json_)
