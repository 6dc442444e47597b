"""The project's modules, read from their source: what each imports, defines and has in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


PACKAGES = ("weighbridge", "blocks", "tasks", "flows", "deployments", "bench", "tests")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


MODULES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


#: What is at work: not the tests, and neither what measures nor what sets a server up.
SHIPPED = {module for module in MODULES if module.partition(".")[0] not in ("tests", "bench", "deployments")}


@cache
def imports(module: str) -> frozenset[str]:
    """Every module that a module imports, anywhere in it; of ours down to the module, with its packages left out."""
    found: set[str] = set()
    for node in ast.walk(tree(MODULES[module])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
    return frozenset(found)


def reached(module: str) -> Iterator[str]:
    """Every module of ours that a module imports, directly or through others that are no packages."""
    seen, waiting = {module}, [module]
    while waiting:
        for found in imports(waiting.pop()):
            if found in MODULES and found not in seen:
                seen.add(found)
                yield found
                if MODULES[found].name != "__init__.py":
                    waiting.append(found)


def room_of(module: str) -> str:
    """Return the package of the library that a module is in; empty for the library itself."""
    return module.partition(".")[2].partition(".")[0] if module.startswith("weighbridge.") else ""


def executed_at_import(node: ast.AST) -> Iterator[ast.AST]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            for default in (*inner.decorator_list, *inner.args.defaults, *(d for d in inner.args.kw_defaults if d)):
                yield default
                yield from executed_at_import(default)
        elif not isinstance(inner, ast.Lambda):
            yield inner
            yield from executed_at_import(inner)


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for module, path in MODULES.items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield module, node


def where(found: Callable[[ast.AST], bool]) -> set[str]:
    """The modules of `SHIPPED` that have such a node."""
    return {module for module in SHIPPED if any(found(node) for node in ast.walk(tree(MODULES[module])))}
