"""Options of the commands that use models. Not here: the commands (cli.benchmarks)."""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin

import typer

from weighbridge.benchmarks.offered_settings import OfferedSetting, offered_settings

Handler = Annotated[str, typer.Option("--handler", help="Path of a handler's class; models.yaml's, or the task's.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]
Benchmarks = Annotated[
    list[str] | None, typer.Option("--benchmark", "-b", help="inference_latency, throughput, …; the task's own.")
]
#: Settings of benchmarks, which `as_option` turns into options.
SETTINGS = offered_settings()


def as_option(setting: OfferedSetting) -> tuple[Any, Any]:
    """Return type and default of a setting as an option; one that holds several values is repeated."""
    kind, default, text = setting.type, setting.default, setting.description
    if get_origin(kind) is tuple:
        kind, default, text = list[get_args(kind)[0]], list(default), f"{text.rstrip('.')}; repeated."  # type: ignore[misc]
    flags = (setting.flag,) if setting.flag else ()
    return Annotated[kind, typer.Option(*flags, min=setting.least, help=text)], default
