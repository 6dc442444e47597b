"""Commands are imported when they are run, and the list of them says what each says of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.core import TyperGroup

from weighbridge.cli import app
from weighbridge.cli.commands import COMMANDS

GROUP = typer.main.get_group(app.app)
#: What takes longest to import, of what not every command needs.
HEAVY = (
    "alembic",
    "fastapi",
    "httpx",
    "jinja2",
    "mlflow",
    "numpy",
    "prefect",
    "py7zr",
    "sqlalchemy",
    "weighbridge.content.detection",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_a_command_says_of_itself(name: str) -> None:
    command = GROUP.commands[name]
    assert command.name == name
    assert " ".join((command.help or "").partition("\n\n")[0].split()) == COMMANDS[name][1]


def test_every_command_of_a_module_is_in_the_list() -> None:
    for module in {module for module, _ in COMMANDS.values()}:
        found = typer.Typer()
        __import__(f"weighbridge.cli.{module}", fromlist=["add_commands"]).add_commands(found)
        assert set(typer.main.get_group(found).commands) == {name for name, (of, _) in COMMANDS.items() if of == module}


def test_the_list_is_the_same_as_with_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--help"]) == 0
    short = capsys.readouterr().out
    context = GROUP.make_context("weighbridge", [], resilient_parsing=True)
    TyperGroup.format_help(GROUP, context, context.make_formatter())
    whole = capsys.readouterr().out
    assert short.partition("Commands")[2].split("\n") == [*whole.partition("Commands")[2].split("\n"), ""]


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("from weighbridge.cli import app; app.run(['--help'])", set()),
        ("import weighbridge.cli.catalog", {"sqlalchemy"}),
        ("import weighbridge.web.serving, weighbridge.intake.job_worker", {"fastapi", "httpx", "sqlalchemy"}),
    ],
)
def test_only_what_is_needed_is_imported(code: str, needed: set[str]) -> None:
    check = f"{code}\nimport sys; print(*sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert set(ran.stderr.split()) == needed
