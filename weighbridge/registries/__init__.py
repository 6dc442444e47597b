"""The registries models are published to: one adapter a file, one line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.net.pace import Pace
from weighbridge.registries.export import ExportRegistry
from weighbridge.registries.interface import Registry
from weighbridge.registries.mlflow import MLflowRegistry

if TYPE_CHECKING:
    from weighbridge.config.settings import Settings
    from weighbridge.registries.folder_writer import Link

_DATABASE = "sqlite:///"


def _mlflow(settings: Settings, address: str = "") -> Registry:
    if address.startswith(_DATABASE):
        return MLflowRegistry.embedded(Path(address.removeprefix(_DATABASE)).parent, _link(settings))
    uri = address or settings.mlflow_tracking_uri
    if not uri:
        return MLflowRegistry.embedded(settings.folder / "mlflow", _link(settings))
    return MLflowRegistry(uri, pace=Pace(settings.timeout_s, settings.lowest_speed))


def _export(settings: Settings, address: str = "") -> Registry:
    return ExportRegistry(Path(address) if address else settings.folder / "export", link=_link(settings))


def _link(settings: Settings) -> Link:
    return "hardlink" if settings.hard_links else "readonly"


#: The opener of each registry kind, given the address of a publication, or an empty one for that of the settings.
REGISTRIES: dict[str, Callable[..., Registry]] = {"mlflow": _mlflow, "export": _export}
