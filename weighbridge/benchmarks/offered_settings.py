"""The settings of benchmarks for commands and flows: a parameter for each, generated only from the field.

Not here: the settings (benchmarks.interface), and the options of a command (cli.benchmark_options).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, TypeVar, get_origin, get_type_hints

from pydantic import TypeAdapter

from weighbridge.benchmarks.interface import BenchmarkSettings

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class OfferedSetting:
    """One setting.

    Attributes:
        name: the field's.
        type: the type of its values; a mapping is written as texts NAME=VALUE.
        default: that of the field; nothing for a mapping.
        least: the least value of a number, or of each of several; None without any.
        description: one sentence.
        flag: that of the command; empty where it follows from the name.
    """

    name: str
    type: Any
    default: Any
    least: float | None
    description: str
    flag: str


def offered_settings(without: Sequence[str] = ()) -> tuple[OfferedSetting, ...]:
    """Return the settings that may be chosen, those with a JSON form, in the order of their fields."""
    types = get_type_hints(BenchmarkSettings)
    fields = TypeAdapter(BenchmarkSettings).json_schema()["properties"]
    return tuple(_offered(name, types[name], field) for name, field in fields.items() if name not in without)


def _offered(name: str, plain: Any, field: Mapping[str, Any]) -> OfferedSetting:
    limits = [part["minimum"] for part in (field, field.get("items", {}), *field.get("anyOf", ())) if "minimum" in part]
    kind, default = (tuple[str, ...], ()) if get_origin(plain) is Mapping else (plain, field["default"])
    default = tuple(default) if isinstance(default, list) else default
    return OfferedSetting(name, kind, default, next(iter(limits), None), field["description"], field.get("flag", ""))


def taking(
    settings: Sequence[OfferedSetting], given: Callable[[OfferedSetting], tuple[Any, Any]], before: str
) -> Callable[[Function], Function]:
    """Return a decorator for a function that takes `**chosen`: its signature and docstring name settings instead.

    Typer and Prefect read these. Nothing is wrapped, so that a flow is still found in its own file.

    Args:
        settings: the settings that it takes.
        given: returns the annotation and the default of a setting's parameter.
        before: the parameter after them; it and those after it become keyword-only, too.
    """

    def named(function: Function) -> Function:
        taken = inspect.signature(function, eval_str=True).parameters.values()
        own = [one for one in taken if one.kind != Parameter.VAR_KEYWORD]
        at = [one.name for one in own].index(before)
        after = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in own[at:]]
        signature = inspect.Signature([*own[:at], *(_parameter(one, *given(one)) for one in settings), *after])
        function.__signature__ = signature  # type: ignore[attr-defined]  # inspect reads it
        function.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
        function.__doc__ = _described(function.__doc__ or "", settings)
        return function

    return named


def _parameter(setting: OfferedSetting, annotation: Any, default: Any) -> Parameter:
    return Parameter(setting.name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _described(docstring: str, settings: Sequence[OfferedSetting]) -> str:
    """Return a docstring with a line for each setting in place of that for `**chosen`; existing lines stay."""
    lines = [f"{one.name}: {one.description}" for one in settings if f" {one.name}: " not in docstring]
    return re.sub(
        r"^( +)\*\*chosen: .*",
        lambda found: "\n".join(found[1] + line for line in lines),
        docstring,
        flags=re.MULTILINE,
    )
