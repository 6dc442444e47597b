"""What all commands share: help by `-h`, near names, no progress under `-q`, no remedy that names a foreign package."""

import re
from pathlib import Path

import pytest

from weighbridge import __version__
from weighbridge.cli import app, console
from weighbridge.domain.extras import install_command
from weighbridge.domain.progress import Silent

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("command", [[], ["ingest"], ["policy", "show"], ["benchmark"]])
def test_help_by_its_short_name(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*command, "-h"]) == 0
    assert "Usage: " in capsys.readouterr().out


def test_the_version_needs_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"weighbridge {__version__}\n"


def test_a_command_that_does_not_exist_has_a_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["ingets"]) == 64
    assert "ingest" in capsys.readouterr().err


def test_quiet_shows_no_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path))
    for arguments, silent in ((["-q", "list"], True), (["list"], False)):
        assert app.run(arguments) == 0
        with console.bars(False) as shown:
            assert isinstance(shown, Silent) is silent


def test_remedies_install_extras_from_the_source_and_never_by_a_name_on_the_index() -> None:
    """Nobody owns that name there: whoever registers it would be installed."""
    assert ".[benchmark]" in install_command("benchmark")
    places = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deployments").rglob("*.md")]
    places += [path for folder in ("weighbridge", "flows", "tasks", "blocks") for path in (ROOT / folder).rglob("*.py")]
    wrong = [str(path) for path in places if re.search(r"pip install ['\"]?weighbridge", path.read_text())]
    assert wrong == []
