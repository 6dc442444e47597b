"""docs/architecture.md and docs/terms.md name modules, files and classes that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _names(path: Path) -> set[str]:
    """Return what a module defines: names, and the names within its classes."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            parts = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
            parts += [part.target.id for part in node.body if isinstance(part, ast.AnnAssign)]  # type: ignore[union-attr]
            found |= {node.name, *(f"{node.name}.{part}" for part in parts)}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return found


def _exists(dotted: str) -> bool:
    """Whether a dotted name below `weighbridge` is a module, or stands in one."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath("weighbridge", *parts[:end])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.exists():
            return end == len(parts) or ".".join(parts[end:]) in _names(file)
    return False


def test_the_terms_name_code_that_exists() -> None:
    rows = [line.split(" | ") for line in (ROOT / "docs/terms.md").read_text().splitlines() if line.startswith("| **")]
    named = [name for row in rows for name in re.findall(r"`([\w.]+)`", row[-1])]
    assert len(named) > 40
    assert [name for name in named if name != "prefect.yaml" and not _exists(name)] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_pages_name_files_that_exist(page: str) -> None:
    paths = re.findall(r"`((?:[\w]+/)+[\w]*(?:\.py)?)`", (ROOT / page).read_text())
    assert paths
    roots = (ROOT, ROOT / "weighbridge")
    assert [path for path in paths if "NAME" not in path and not any((root / path).exists() for root in roots)] == []


def test_the_architecture_draws_the_rooms_that_there_are() -> None:
    drawing = (ROOT / "docs/architecture.md").read_text().partition("```")[2].partition("```")[0]
    drawn = re.findall(r"^  (\w+)(?:/|\.py) ", drawing, re.MULTILINE)
    rooms = {path.stem for path in (ROOT / "weighbridge").iterdir() if path.name not in ("__pycache__", "py.typed")}
    assert set(drawn) == rooms - {"__init__", "__main__"}
