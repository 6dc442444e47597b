"""The house's order, read from its source: who may import whom, what modules are called, how long things are."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Each top package and the ones of ours that it may import, besides itself (design.md).
MAY_IMPORT = {
    "weighbridge": set(),
    "blocks": {"weighbridge"},
    "tasks": {"blocks", "weighbridge"},
    "flows": {"tasks", "blocks", "weighbridge"},
    "deployments": {"flows", "tasks", "blocks", "weighbridge"},
    "bench": {"weighbridge", "tests"},
    "tests": {"flows", "tasks", "blocks", "deployments", "bench", "weighbridge"},
}
#: The one edge from the library to Prefect's side: the command line runs flows.
EXCEPTIONS = {("weighbridge.cli.app", "flows")}
#: Each package of adapters and the methods by which an adapter's class is known.
ADAPTERS = {
    "weighbridge.sources": {"resolve", "open"},
    "weighbridge.scanners": {"accepts", "scan"},
    "weighbridge.registries": {"publish", "withdraw"},
}
FORBIDDEN_NAMES = {"util", "utils", "common", "helper", "helpers", "core", "base", "manager", "managers", "misc"}
MAX_LINES, MAX_TEST_LINES, MAX_FUNCTION_LINES = 400, 500, 60


def _paths() -> list[Path]:
    return sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


MODULES = {_name(path): path for path in _paths()}


@cache
def _imports(module: str) -> frozenset[str]:
    """Every module that a module imports, anywhere in it; of ours down to the module, with its packages left out."""
    found: set[str] = set()
    for node in ast.walk(_tree(MODULES[module])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
    return frozenset(found)


def _reached(module: str) -> Iterator[str]:
    """Every module of ours that a module imports, directly or through others that are no packages."""
    seen, waiting = {module}, [module]
    while waiting:
        for found in _imports(waiting.pop()):
            if found in MODULES and found not in seen:
                seen.add(found)
                yield found
                if MODULES[found].name != "__init__.py":
                    waiting.append(found)


def _adapters(package: str) -> set[str]:
    """The modules of a package that define a class with every method of its protocol."""
    found = set()
    for module, path in MODULES.items():
        if module.rpartition(".")[0] != package or module.endswith(".interface"):
            continue
        for node in _tree(path).body:
            if isinstance(node, ast.ClassDef):
                methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
                if methods >= ADAPTERS[package]:
                    found.add(module)
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_downwards_only(package: str) -> None:
    wrong = []
    for module in MODULES:
        if module.partition(".")[0] != package:
            continue
        for found in _imports(module):
            top = found.partition(".")[0]
            allowed = top in MAY_IMPORT[package] | {package} or (module, top) in EXCEPTIONS
            if top in MAY_IMPORT and not allowed:
                wrong.append(f"{module} imports {found}")
    assert wrong == []


def test_the_library_needs_no_prefect() -> None:
    of_library = [module for module in MODULES if module.partition(".")[0] == "weighbridge"]
    assert [module for module in of_library if any(name.split(".")[0] == "prefect" for name in _imports(module))] == []


def test_the_command_line_imports_flows_only_when_it_runs_one() -> None:
    """Prefect takes seconds to import: a module-level import would cost them to everybody."""
    at_import = [node for node in _tree(MODULES["weighbridge.cli.app"]).body if isinstance(node, ast.ImportFrom)]
    assert all(not str(node.module).startswith("flows") for node in at_import)
    assert any(name.startswith("flows.") for name in _imports("weighbridge.cli.app"))


@pytest.mark.parametrize("package", ADAPTERS)
def test_adapters_do_not_know_each_other(package: str) -> None:
    adapters = _adapters(package)
    everyone = {adapter for other in ADAPTERS for adapter in _adapters(other)}
    assert len(adapters) >= 2, "adapters were not found: the methods of their protocol have changed"
    wrong = {(adapter, found) for adapter in adapters for found in _reached(adapter) if found in everyone}
    assert wrong == set()
    assert {adapter for adapter in adapters if package in _imports(adapter)} == set(), "an adapter imports its dict"


@pytest.mark.parametrize("package", ADAPTERS)
def test_adapters_know_their_interface_or_only_values(package: str) -> None:
    """What decides, stores facts, or runs the whole is above them."""
    above = ("catalog", "intake", "views", "cli", "domain.policy", "config.policy_file")
    names = tuple(f"weighbridge.{name}" for name in above)
    wrong = {
        (adapter, found) for adapter in _adapters(package) for found in _reached(adapter) if found.startswith(names)
    }
    assert wrong == set()


def test_modules_are_named_by_nouns_of_the_field() -> None:
    parts = {(module, part) for module in MODULES for part in module.split(".")}
    assert {(module, part) for module, part in parts if part in FORBIDDEN_NAMES} == set()


def test_flows_hide_no_other_module() -> None:
    """Prefect puts the folder of a flow that is loaded by path first on sys.path."""
    taken = set(sys.stdlib_module_names) | set(packages_distributions()) | set(MAY_IMPORT)
    assert {path.stem for path in (ROOT / "flows").glob("*.py")} & taken == set()


@pytest.mark.parametrize("package", ["weighbridge", "blocks", "tasks", "flows"])
def test_no_environment_is_read_at_import(package: str) -> None:
    """It would make a deployment depend on the machine that deploys it, and a test on the one before."""
    wrong = []
    for module, path in MODULES.items():
        if module.partition(".")[0] != package or module == "weighbridge.catalog.migrations.env":
            continue
        for node in _executed_at_import(_tree(path)):
            read = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Call) else ""
            if read.startswith(("os.environ", "os.getenv", "Settings()")):
                wrong.append(f"{module}:{node.lineno}: {read}")
    assert wrong == []


def _executed_at_import(node: ast.AST) -> Iterator[ast.AST]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            for default in (*inner.decorator_list, *inner.args.defaults, *(d for d in inner.args.kw_defaults if d)):
                yield default
                yield from _executed_at_import(default)
        elif not isinstance(inner, ast.Lambda):
            yield inner
            yield from _executed_at_import(inner)


def test_modules_fit_a_head() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    limits = {module: MAX_TEST_LINES if module.startswith("tests.") else MAX_LINES for module in MODULES}
    assert {module: length for module, length in lengths.items() if length > limits[module]} == {}


def test_functions_fit_a_screen() -> None:
    """Docstrings do not count: what a public function means may take its room."""
    wrong = []
    for module, path in MODULES.items():
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                length = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                if length > MAX_FUNCTION_LINES:
                    wrong.append(f"{module}.{node.name}: {length} lines")
    assert wrong == []
