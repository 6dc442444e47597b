"""What the README says is so: its commands exist, its variables are settings, its schemes are served."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from weighbridge.cli import app
from weighbridge.config.settings import Settings
from weighbridge.domain.uris import SCHEMES

README = Path("README.md").read_text()


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^(?:MODELS=\S+ )?weighbridge ([\w-]+)", README, re.MULTILINE)))
)
def test_commands_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([command, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def commands(page: Path) -> list[str]:
    """Return the lines of a page's plain blocks that run Weighbridge."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for kind, text in fenced if not kind for line in text.splitlines()]
    return [line for line in lines if re.match(r"([A-Z_]+=\S+ )*weighbridge \w", line)]


@pytest.mark.parametrize(
    "line", sorted({line for page in (Path("README.md"), *Path("docs").rglob("*.md")) for line in commands(page)})
)
def test_commands_take_these_options(line: str) -> None:
    words = shlex.split(line, comments=True)
    name, *arguments = words[words.index("weighbridge") + 1 :]
    group = typer.main.get_group(app.app)
    found = group.get_command(typer.Context(group), name)
    assert found is not None
    found.make_context(name, arguments)  # Refuses what the command does not take.


def test_the_pages_have_commands() -> None:
    assert len(commands(Path("README.md"))) > 15
    assert len(commands(Path("docs/models.md"))) > 8


def test_every_command_is_told() -> None:
    known = {command.name or command.callback.__name__ for command in app.app.registered_commands if command.callback}
    known |= {group.name for group in app.app.registered_groups if group.name}
    assert known == set(re.findall(r"^(?:MODELS=\S+ )?weighbridge ([\w-]+)", README, re.MULTILINE))


def test_variables_are_settings() -> None:
    named = {name.lower() for name in re.findall(r"`(?:WEIGHBRIDGE|…)_([A-Z_]+)`", README)}
    assert named <= set(Settings.model_fields)
    assert named


def test_schemes_are_served() -> None:
    assert {scheme for scheme in SCHEMES if not scheme.endswith("http")} <= set(re.findall(r"`([a-z0-9+-]+):", README))


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", Path("Makefile").read_text(), re.MULTILINE))
    text = README + Path("CONTRIBUTING.md").read_text()
    assert set(re.findall(r"^make (\w+)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize(
    "page", [Path("README.md"), *sorted(Path("docs").rglob("*.md")), Path("CONTRIBUTING.md")], ids=str
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target
