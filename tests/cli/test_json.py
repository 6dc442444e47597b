"""`--json` of every command: one object or a list of objects, each with a schema that docs/formats.md names."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.conftest import Bench
from tests.hub_entries import QWEN, fill
from weighbridge.catalog import JobOrder
from weighbridge.cli import app
from weighbridge.config.settings import Settings
from weighbridge.domain.hub_models import Gated
from weighbridge.intake.opening import open_catalog, open_hub_catalog
from weighbridge.scanners.clamd.database import eicar
from weighbridge.views.schemas import SCHEMAS

#: Commands that need a Hub, load or measure a model: what they print is held by their own tests.
_ELSEWHERE = {"cache warm", "hub refresh", "try", "benchmark"}

#: Commands that serve until they are stopped, or print lines of JSON in any case.
WITHOUT_JSON = {"serve", "audit export"}


def every_command() -> set[str]:
    """Return the names of all commands, those of groups with their group's."""
    top = typer.main.get_group(app.app)
    found: set[str] = set()
    for name, command in top.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {one}" for one in inner} if inner else {name}
    return found - WITHOUT_JSON


def objects(printed: str) -> list[Any]:
    content = json.loads(printed)
    return content if isinstance(content, list) else [content]


def _runs(folder: Path, uri: str, report: str, job: str) -> dict[str, list[str]]:
    """Return how each command is called, in an order in which none takes away what a later one needs."""
    return {
        "ingest": ["ingest", uri],
        "fetch": ["fetch", uri],
        "sync": ["sync"],
        "lock": ["lock"],
        "list": ["list"],
        "show": ["show", "tiny"],
        "versions": ["versions", "tiny"],
        "history": ["history", "tiny"],
        "diff": ["diff", "tiny", "bad"],
        "report": ["report", report],
        "export": ["export", "tiny", str(folder / "out")],
        "bundle key": ["bundle", "key"],
        "bundle create": ["bundle", "tiny", "-o", str(folder / "b.tar.zst")],
        "bundle show": ["bundle", "show", str(folder / "b.tar.zst")],
        "bundle import": ["bundle", "import", str(folder / "b.tar.zst")],
        "scan": ["scan", str(folder / "tiny")],
        "set-default": ["set-default", "tiny@1.0.0"],
        "withdraw": ["withdraw", "tiny@1.0.0", "--reason", "x"],
        "reinstate": ["reinstate", "tiny@1.0.0"],
        "preload": ["preload", "--only", "tiny"],
        "results": ["results", "tiny"],
        "leaderboard": ["leaderboard"],
        "fsck": ["fsck"],
        "doctor": ["doctor"],
        "policy show": ["policy", "show", "standard"],
        "policy check": ["policy", "check", "standard"],
        "quarantine ls": ["quarantine", "ls"],
        "quarantine show": ["quarantine", "show", "bad@1.0.0"],
        "quarantine purge": ["quarantine", "purge", "--yes"],
        "token create": ["token", "create", "ci", "--role", "reader"],
        "token list": ["token", "list"],
        "token revoke": ["token", "revoke", "ci", "--yes"],
        "audit list": ["audit", "list"],
        "audit verify": ["audit", "verify"],
        "jobs list": ["jobs", "list"],
        "jobs show": ["jobs", "show", job],
        "jobs cancel": ["jobs", "cancel", job],
        **{f"cache {one}": ["cache", one] for one in ("ls", "du", "evict")},
        "hub search": ["hub", "search", "instruct", "--offline"],
        "hub show": ["hub", "show", QWEN.id, "--offline"],
        "hub changes": ["hub", "changes", "--since", "2026-01-01"],
        "hub status": ["hub", "status"],
        "hub export": ["hub", "export", str(folder / "hub.csv")],
        "rm": ["rm", "tiny@1.0.0", "--yes"],
        "gc": ["gc"],
    }


def test_every_command_prints_objects_of_a_known_schema(bench: Bench) -> None:
    uri = bench.model()
    bad = bench.model("bad", notes__txt=eicar())
    (bench.folder / "models.yaml").write_text(f"models:\n  - {{name: tiny, source: '{uri}'}}\n")
    with open_catalog(Settings()) as catalog:
        job = catalog.jobs.add(JobOrder("ingest", "tiny", {"uri": uri}, "key:ci")).id
    with open_hub_catalog(Settings()) as hub:
        fill(hub, [replace(QWEN, gated=Gated.AUTO)], timedelta(days=1))
        fill(hub)
    report = objects(bench.run("ingest", uri, "--json").out)[0]["reports"][0]["id"]
    bench.run("ingest", bad)
    runs = _runs(bench.folder, uri, report, job)
    assert set(runs) | _ELSEWHERE == every_command()
    others = [["ingest", "--dry-run", uri], ["sync", "--dry-run"], ["show", "nobody"], ["fsck", "--registries"]]
    names = set()
    for arguments in (*runs.values(), *others):
        ran = bench.run(*arguments, "--json")
        for found in objects(ran.out):
            kind, _, number = found["schema"].removeprefix("weighbridge.").partition("/")
            assert (kind in SCHEMAS, number) == (True, str(SCHEMAS[kind])), arguments
            names.add(kind)
    assert names >= SCHEMAS.keys() - {"answer", "explanation", "result", "leaderboard-row", "warmed", "hub-pass"}


@pytest.mark.parametrize("command", sorted(every_command()))
def test_the_help_says_whether_it_is_a_list(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*command.split(), "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--json" in shown
    assert ("JSON list of objects" in shown) != ("one JSON object" in shown)
    assert "For example:" in shown


def test_the_pages_name_every_schema() -> None:
    named = set(re.findall(r"`weighbridge\.([a-z-]+)/\d+`", Path("docs/commands.md").read_text()))
    assert named == set(SCHEMAS)
