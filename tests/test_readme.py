"""What the README says is so: its commands exist, its variables are settings, its schemes are served.

Not here: what is so of every page (test_documents).
"""

import re
from pathlib import Path

import pytest

from weighbridge.cli import app
from weighbridge.cli.commands import COMMANDS
from weighbridge.config.settings import Settings
from weighbridge.domain.source_kinds import kinds_by_scheme

README = Path("README.md").read_text()


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^(?:MODELS=\S+ )?weighbridge ([\w-]+)", README, re.MULTILINE)))
)
def test_commands_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([command, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def test_every_command_has_a_line() -> None:
    rows = re.findall(r"^\| `([a-z].*?) \| ", Path("docs/commands.md").read_text(), re.MULTILINE)
    assert set(COMMANDS) == {name for row in rows for name in re.findall(r"(?:^|`)([a-z-]+)", row)}


def test_variables_are_settings() -> None:
    named = {name.lower() for name in re.findall(r"`(?:WEIGHBRIDGE|…)_([A-Z_]+)`", README)}
    assert named <= set(Settings.model_fields)
    assert named


def test_schemes_are_served() -> None:
    assert {scheme for scheme in kinds_by_scheme() if not scheme.endswith("http")} <= set(
        re.findall(r"`([a-z0-9+-]+):", README)
    )


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", Path("Makefile").read_text(), re.MULTILINE))
    text = README + Path("CONTRIBUTING.md").read_text()
    assert set(re.findall(r"^make (\w+)", text, re.MULTILINE)) <= targets
