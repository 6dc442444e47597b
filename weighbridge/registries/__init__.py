"""The registries models are published to: one adapter a file, one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from weighbridge.registries.export import ExportRegistry
from weighbridge.registries.interface import Registry
from weighbridge.registries.mlflow import MLflowRegistry

if TYPE_CHECKING:
    from weighbridge.config.settings import Settings


def _mlflow(settings: Settings) -> Registry:
    uri = settings.mlflow_tracking_uri
    return MLflowRegistry(uri) if uri else MLflowRegistry.embedded(settings.folder / "mlflow")


def _export(settings: Settings) -> Registry:
    return ExportRegistry(settings.folder / "export")


#: A registry's kind to what opens it.
REGISTRIES: dict[str, Callable[[Settings], Registry]] = {"mlflow": _mlflow, "export": _export}
