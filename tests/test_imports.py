"""Every name that one of our modules imports from another is there: a module that moved takes all its readers along."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("weighbridge", "flows", "tasks", "blocks", "deployments", "bench", "tests")


@cache
def _names(path: Path) -> frozenset[str] | None:
    """The names that a module binds anywhere; None for one that answers `__getattr__`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name="__getattr__") if node.col_offset == 0:
                return None
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Name(ctx=ast.Store()):
                found.add(node.id)
            case ast.Import() | ast.ImportFrom():
                found.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    return frozenset(found)


def _missing(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or node.level or node.module is None:
            continue
        if node.module.partition(".")[0] not in OURS:
            continue
        folder = ROOT / node.module.replace(".", "/")
        module = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        names = _names(module) if module.exists() else frozenset()
        for alias in node.names:
            is_module = (folder / alias.name).is_dir() or (folder / f"{alias.name}.py").exists()
            if names is not None and alias.name not in names and not is_module:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.module}.{alias.name}"


@pytest.mark.parametrize("package", OURS)
def test_what_is_imported_exists(package: str) -> None:
    assert [line for path in sorted((ROOT / package).rglob("*.py")) for line in _missing(path)] == []
