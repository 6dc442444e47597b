"""Loads a handler's class by its path, such as `weighbridge.handlers.chat.TextChat` or a user's own, and opens it.

A class is checked by its source text when models.yaml is read, and imported when a model is loaded. Not here: reading
that text (declaration), and the handlers themselves (handlers).
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weighbridge.domain.extras import install_command
from weighbridge.errors import HandlerError, InvalidConfiguration, OutOfMemory
from weighbridge.handlers.declaration import read_declaration
from weighbridge.handlers.interface import ATTRIBUTES, METHODS, Handler

_log = logging.getLogger(__name__)

#: Options that every handler is offered and may ignore; models.yaml cannot set them.
OFFERED = ("name", "generation_defaults", "trust_remote_code", "allow_pickle", "converted")
#: The options of a class without a list of options: those of the entries' own schema (docs/models.md).
PLAIN = ("pooling", "supports_structured_outputs", "upstream_base_url", "upstream_api_key_env")


def check_handler(path: str) -> None:
    """Check a handler's path without running its code.

    1. The path names a class in a module that exists.
    2. The module's text defines that class, or imports it.
    3. The class with its bases has every method that its capabilities require; without a list of capabilities, those
       of at least one kind. Where a base cannot be read, only loading it shows more.

    Raises:
        InvalidConfiguration: one of these does not hold.
    """
    declared = read_declaration(path)
    if declared.whole:
        _compare(path, declared.methods, declared.capabilities)


def known_options(path: str) -> tuple[str, ...] | None:
    """Return the options of models.yaml that a handler takes; None where its text does not list them.

    Raises:
        InvalidConfiguration: there is no such class.
    """
    declared = read_declaration(path)
    if declared.options is None:
        return PLAIN if declared.whole and not declared.computed else None
    return declared.options


def handler_class(path: str) -> type[Handler]:
    """Import a handler's class; its module's code runs.

    Raises:
        InvalidConfiguration: there is no such class, its module fails, or it lacks a method.
    """
    check_handler(path)
    module, _, name = path.rpartition(".")
    try:
        found: type[Handler] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise InvalidConfiguration(
            f"The handler {path} needs the package {error.name}, which is not installed.",
            install_command("benchmark") if not path.startswith(str(error.name)) else "Check the path.",
            handler=path,
        ) from error
    except Exception as error:  # a user's module may raise anything
        raise InvalidConfiguration(
            f"The module of the handler {path} fails: {type(error).__name__}: {error}.", "Correct it.", handler=path
        ) from error
    methods = {method for methods in METHODS.values() for method in methods if callable(getattr(found, method, None))}
    _compare(path, methods, getattr(found, "capabilities", None))
    return found


def open_handler(
    path: str, model: str | Path, *, device: str = "auto", cache_dir: Path | None = None, **options: Any
) -> Handler:
    """Load a model through its handler, and give the handler every optional attribute that it lacks.

    Args:
        path: the path of the class.
        model: a repository name in `cache_dir`, or a folder.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        cache_dir: the Hugging Face cache that holds the model; huggingface_hub's own by default.
        options: those of `OFFERED`, and the handler's own.

    Raises:
        InvalidConfiguration: there is no such class, or it does not take an option.
        HandlerError: the model cannot be loaded.
        OutOfMemory: the device is too small for it.
    """
    create: Any = handler_class(path)
    _refuse_unknown(path, options, getattr(create, "options", None))
    chosen = choose_device(device)
    taken = _taken(create, options)
    try:
        handler: Handler = create(str(model), chosen, str(cache_dir) if cache_dir else None, **taken)
    except (HandlerError, InvalidConfiguration):
        raise
    except Exception as error:  # loaders may raise anything for hostile files
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
    own: Any = handler
    own.generation_defaults = {**(own.generation_defaults or {}), **options.get("generation_defaults", {})}
    return handler


@contextmanager
def opened(path: str, model: str | Path, **options: Any) -> Iterator[Handler]:
    """Load a model as `open_handler` does, for the context."""
    handler = open_handler(path, model, **options)
    try:
        yield handler
    finally:
        close_handler(handler)


def close_handler(handler: Handler) -> None:
    """Release a handler's resources, where its class has a `close`; an error of that is logged."""
    close = getattr(handler, "close", None)
    if callable(close):
        try:
            close()
        except Exception:  # noqa: BLE001 (a user's class may raise anything, and its work is done)
            _log.warning("a handler cannot be closed", extra={"model": handler.name}, exc_info=True)


def choose_device(wanted: str) -> str:
    """Return the device to use: the requested one; for `auto` CUDA, then Apple's, then the processor.

    Raises:
        InvalidConfiguration: this machine has no such device.
    """
    if wanted == "cpu":
        return wanted
    import torch

    has_mps = torch.backends.mps.is_available()
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    there = [*(["cuda"] if cards else []), *cards, *(["mps"] if has_mps else []), "cpu"]
    if wanted == "auto":
        return there[0]
    if wanted not in there:
        raise InvalidConfiguration(
            f"This machine has no device “{wanted}”.",
            f"It has {', '.join(there)}; auto chooses {there[0]}.",
            device=wanted,
        )
    return wanted


def _refuse_unknown(path: str, options: Mapping[str, Any], known: Any) -> None:
    """Raise for options that a class does not take; its list of options, where it has one, precedes the schema."""
    taken = tuple(known) if isinstance(known, list | tuple) else PLAIN
    unknown = sorted(set(options) - {*OFFERED, *taken})
    if unknown:
        raise InvalidConfiguration(
            f"The handler {path} takes no {', '.join(unknown)}.", f"It takes {', '.join(taken)}.", handler=path
        )


def _taken(create: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options without those of `OFFERED` for which a class has no parameter."""
    known = inspect.signature(create).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return dict(options)
    return {name: value for name, value in options.items() if name in known or name not in OFFERED}


def _compare(path: str, methods: Iterable[str], capabilities: Any) -> None:
    methods = set(methods)
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
            f"The handler {path} does not have the methods of any kind of model.",
            "weighbridge/handlers/interface.py has the protocols.",
            handler=path,
        )
