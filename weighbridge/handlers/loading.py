"""Finding a handler's class by its path, and making one: `weighbridge.handlers.chat.TextChat`, or a user's own.

Reading models.yaml must run nobody's code and wait for no torch, so a class is judged by its source text first; it is
imported when a model is loaded. Not here: what a handler does (the adapters).
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weighbridge.errors import HandlerError, InvalidConfiguration, OutOfMemory
from weighbridge.handlers.interface import ATTRIBUTES, METHODS, Handler

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def check_handler(path: str) -> None:
    """Judge a handler's path without running its code.

    1. The path is one of a class in a module that exists.
    2. The module's text defines that class, or takes it from elsewhere; then only loading it can say more.
    3. The class, with its bases in the same module, has every method that its capabilities ask for; without a list
       of capabilities, those of at least one kind.

    Raises:
        InvalidConfiguration: it does not fit.
    """
    module, _, name = path.rpartition(".")
    if not _PATH.fullmatch(path):
        raise InvalidConfiguration(f"“{path}” is no path of a class.", "Write package.module.ClassName.", handler=path)
    tree = _source(module, path)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if name not in classes:
        if name not in _imported(tree):
            known = ", ".join(sorted(found for found in classes if not found.startswith("_"))[:8])
            raise InvalidConfiguration(
                f"The module {module} has no class {name}.", f"It has {known or 'none'}.", handler=path
            )
        return
    methods, capabilities, whole = _described(classes[name], classes)
    if whole:
        _compare(path, methods, capabilities)


def handler_class(path: str) -> type[Handler]:
    """Import a handler's class; its module's code runs.

    Raises:
        InvalidConfiguration: there is none, its module fails, or it lacks a method.
    """
    check_handler(path)
    module, _, name = path.rpartition(".")
    try:
        found: type[Handler] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise InvalidConfiguration(
            f"The handler {path} needs the package {error.name}, which is not installed.",
            "pip install 'weighbridge[benchmark]'" if not path.startswith(str(error.name)) else "Check the path.",
            handler=path,
        ) from error
    except Exception as error:  # a user's module may raise anything
        raise InvalidConfiguration(
            f"The module of the handler {path} fails: {type(error).__name__}: {error}.", "Mend it.", handler=path
        ) from error
    methods = {method for methods in METHODS.values() for method in methods if callable(getattr(found, method, None))}
    _compare(path, methods, getattr(found, "capabilities", None))
    return found


def open_handler(
    path: str, model: str | Path, *, device: str = "auto", cache_dir: Path | None = None, **options: Any
) -> Handler:
    """Load a model through its handler, and give the handler every optional attribute that it lacks.

    Args:
        path: of the class.
        model: repository name in `cache_dir`, or a folder.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        cache_dir: the Hugging Face cache that holds the model; huggingface_hub's own by default.
        options: `name`, `generation_defaults`, `pooling` and whatever else models.yaml says.

    Raises:
        InvalidConfiguration: no such class.
        HandlerError: the model cannot be loaded.
        OutOfMemory: the device is too small for it.
    """
    create: Any = handler_class(path)
    chosen = choose_device(device)
    try:
        handler: Handler = create(str(model), chosen, str(cache_dir) if cache_dir else None, **options)
    except (HandlerError, InvalidConfiguration):
        raise
    except Exception as error:  # hostile files make loaders raise anything
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            raise OutOfMemory(
                f"{options.get('name', model)} does not fit into the memory of {chosen}.",
                "Choose a smaller or quantized model, or a larger device.",
                device=chosen,
            ) from error
        raise HandlerError(
            f"{options.get('name', model)} cannot be loaded by {path}: {type(error).__name__}: {str(error)[:300]}.",
            "Check that the handler fits the model's task, and that all of its files were exported.",
            handler=path,
        ) from error
    for name, default in ATTRIBUTES.items():
        if not hasattr(handler, name):
            setattr(handler, name, options.get(name, default))
    return handler


def choose_device(wanted: str) -> str:
    """Return the device to use: the wanted one; for `auto` CUDA, then Apple's, then the processor."""
    if wanted != "auto":
        return wanted
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _source(module: str, path: str) -> ast.Module:
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise InvalidConfiguration(
            f"There is no module {module} for the handler {path}.",
            "Install the package that has it, or put its folder on PYTHONPATH.",
            handler=path,
        ) from error
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise InvalidConfiguration(
            f"There is no module {module} for the handler {path}.",
            "Install the package that has it, or put its folder on PYTHONPATH.",
            handler=path,
        )
    try:
        return ast.parse(Path(found.origin).read_bytes(), found.origin)
    except (SyntaxError, ValueError, OSError) as error:
        raise InvalidConfiguration(f"The module {module} cannot be read: {error}.", "Mend it.", handler=path) from error


def _imported(tree: ast.Module) -> set[str]:
    """Return the names that a module takes from others or makes by assignment."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _described(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> tuple[set[str], list[str] | None, bool]:
    """Return a class's methods, its literal capabilities, and whether all of its bases lie in the same module."""
    methods: set[str] = set()
    capabilities: list[str] | None = None
    waiting, seen, whole = [node], {node.name}, True
    while waiting:
        one = waiting.pop(0)
        for part in one.body:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                methods.add(part.name)
            elif capabilities is None:
                capabilities = _literal_capabilities(part)
        for base in one.bases:
            known = classes.get(base.id) if isinstance(base, ast.Name) else None
            if known is None:
                whole = False
            elif known.name not in seen:
                seen.add(known.name)
                waiting.append(known)
    return methods, capabilities, whole


def _literal_capabilities(part: ast.stmt) -> list[str] | None:
    targets = part.targets if isinstance(part, ast.Assign) else [part.target] if isinstance(part, ast.AnnAssign) else []
    value = getattr(part, "value", None)
    if not any(isinstance(target, ast.Name) and target.id == "capabilities" for target in targets):
        return None
    names = value.elts if isinstance(value, ast.List | ast.Tuple) else []
    return [name.value for name in names if isinstance(name, ast.Constant) and isinstance(name.value, str)] or None


def _compare(path: str, methods: set[str], capabilities: Any) -> None:
    if isinstance(capabilities, list | tuple) and capabilities:
        unknown = [name for name in capabilities if name not in METHODS]
        lacking = sorted({method for name in capabilities for method in METHODS.get(name, ()) if method not in methods})
        if unknown:
            known = ", ".join(METHODS)
            raise InvalidConfiguration(
                f"The handler {path} claims the capability “{unknown[0]}”, which does not exist.",
                f"Known ones: {known}.",
                handler=path,
            )
        if lacking:
            raise InvalidConfiguration(
                f"The handler {path} lacks the method{'s' if len(lacking) > 1 else ''} {', '.join(lacking)} that "
                f"{', '.join(capabilities)} needs.",
                "weighbridge/handlers/interface.py has the protocols.",
                handler=path,
            )
    elif not any(set(needed) <= methods for needed in METHODS.values()):
        raise InvalidConfiguration(
            f"The handler {path} has the methods of no kind of model.",
            "weighbridge/handlers/interface.py has the protocols.",
            handler=path,
        )
