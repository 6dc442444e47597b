"""The declaration of a handler's class, read from its source text: methods, attributes, capabilities, options.

Reading models.yaml must not run foreign code or import torch, so modules and their packages are located and parsed,
never imported. Not here: judging the declaration (loading).
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path

from weighbridge.errors import InvalidConfiguration

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
#: The most base classes of one class, and re-exporting modules, that are followed.
_MAX_STEPS = 32


@dataclass(frozen=True)
class Declaration:
    """The declaration in the text of a class.

    Attributes:
        methods: the names of its own and its bases' methods.
        attributes: names that it or its bases assign, in the class or in a method; also methods and properties.
        capabilities: the list of that name; empty where there is none or it is not a literal.
        options: the list of that name, the options of models.yaml that it accepts; None where there is none.
        computed: whether there is such a list, but computed by code.
        whole: whether all of its bases could be read; otherwise only its import shows the rest.
    """

    methods: frozenset[str]
    attributes: frozenset[str]
    capabilities: tuple[str, ...]
    options: tuple[str, ...] | None
    computed: bool
    whole: bool


def read_declaration(path: str) -> Declaration:
    """Return the declaration of a class.

    Args:
        path: `package.module.ClassName`.

    Raises:
        InvalidConfiguration: there is no such module or class, or its text is not valid Python.
    """
    module, _, name = path.rpartition(".")
    if not _PATH.fullmatch(path):
        raise InvalidConfiguration(
            f"“{path}” is not the path of a class.", "Write package.module.ClassName.", handler=path
        )
    source = _file(module)
    if source is None:
        raise InvalidConfiguration(
            f"There is no module {module} for the handler {path}.",
            "Install the package that has it, or put its folder on PYTHONPATH.",
            handler=path,
        )
    try:
        tree = _tree(source, source.stat().st_mtime_ns)
    except (SyntaxError, ValueError, OSError, RecursionError) as error:
        raise InvalidConfiguration(
            f"The module {module} cannot be read: {error}.", "Correct it.", handler=path
        ) from error
    if name not in _classes(tree) and name not in _made(tree):
        known = ", ".join(sorted(found for found in _classes(tree) if not found.startswith("_"))[:8])
        raise InvalidConfiguration(
            f"The module {module} has no class {name}.", f"It has {known or 'none'}.", handler=path
        )
    return _declared(module, name)


def _declared(module: str, name: str) -> Declaration:
    methods: set[str] = set()
    attributes: set[str] = set()
    lists: dict[str, tuple[str, ...] | None] = {}
    whole = True
    for found in _family(module, name):
        if found is None:
            whole = False
            continue
        attributes |= _given(found)
        for part in found.body:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                methods.add(part.name)
            for key, words in _literals(part):
                lists.setdefault(key, words)
    options = lists.get("options")
    computed = "options" in lists and options is None
    capabilities = lists.get("capabilities") or ()
    return Declaration(frozenset(methods), frozenset(attributes | methods), capabilities, options, computed, whole)


def _given(kind: ast.ClassDef) -> set[str]:
    """Return the names that a class assigns, in its body or by `self.name = …`."""
    of_class = [part for part in kind.body if isinstance(part, ast.Assign | ast.AnnAssign)]
    names = {part.id for line in of_class for part in ast.walk(line) if isinstance(part, ast.Name) and _stored(part)}
    return names | {
        part.attr
        for part in ast.walk(kind)
        if isinstance(part, ast.Attribute) and _stored(part) and getattr(part.value, "id", "") == "self"
    }


def _stored(part: ast.Name | ast.Attribute) -> bool:
    return isinstance(part.ctx, ast.Store)


def _family(module: str, name: str) -> Iterator[ast.ClassDef | None]:
    """Yield a class and its bases, nearest first; None for one that cannot be read."""
    waiting, steps = [(module, name)], 0
    while waiting and steps < _MAX_STEPS:
        steps += 1
        found = _find(*waiting.pop(0))
        if found is None:
            yield None
            continue
        home, node = found
        yield node
        for base in node.bases:
            if isinstance(base, ast.Name) and hasattr(builtins, base.id):
                continue  # `object` or `Exception`, which have nothing that a handler needs.
            waiting.append((home, base.id) if isinstance(base, ast.Name) else ("", ""))


def _find(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """Return a class with the module that defines it, following `from … import …`."""
    for _ in range(_MAX_STEPS):
        source = _file(module) if module else None
        if source is None:
            return None
        try:
            tree = _tree(source, source.stat().st_mtime_ns)
        except (SyntaxError, ValueError, OSError, RecursionError):
            return None
        if name in _classes(tree):
            return module, _classes(tree)[name]
        taken = _taken(tree, module, source).get(name)
        if taken is None:
            return None
        module, name = taken
    return None


@lru_cache(64)
def _tree(source: Path, _mtime_ns: int) -> ast.Module:
    return ast.parse(source.read_bytes(), str(source))


def _classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _taken(tree: ast.Module, module: str, source: Path) -> dict[str, tuple[str, str]]:
    """Return the names that a module imports from others, each with the module and its name there."""
    package = module if source.name == "__init__.py" else module.rpartition(".")[0]
    names: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            try:
                home = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:
                continue
            names |= {alias.asname or alias.name: (home, alias.name) for alias in node.names}
    return names


def _made(tree: ast.Module) -> set[str]:
    """Return the names that a module imports or assigns."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _literals(part: ast.stmt) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Yield the names that a statement of a class assigns, each with a list of strings, or None for any other value."""
    targets = part.targets if isinstance(part, ast.Assign) else [part.target] if isinstance(part, ast.AnnAssign) else []
    value = getattr(part, "value", None)
    items = value.elts if isinstance(value, ast.List | ast.Tuple) else [None]
    words = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    for target in targets:
        if isinstance(target, ast.Name) and value is not None:
            yield target.id, tuple(words) if len(words) == len(items) else None


def _file(module: str) -> Path | None:
    """Return the file that a module would be imported from, or None, without importing anything."""
    locations: Sequence[str] | None = None
    spec: ModuleSpec | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = _spec(name, locations)
        if spec is None or spec.origin is None:  # It has no __init__.py, so its places are unknown before an import.
            places = [Path(place) / part for place in locations or sys.path]
            locations = [str(place) for place in places if place.is_dir()]
            if not locations:
                return None
        else:
            locations = spec.submodule_search_locations or ()
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _spec(name: str, locations: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        try:
            if find and (spec := find(name, locations)):
                return spec  # type: ignore[no-any-return]
        except (ImportError, ValueError, KeyError):
            continue
    return None
