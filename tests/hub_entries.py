"""Models of the Hub for tests, and a catalogue that has them as a full refresh of a certain age leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from weighbridge.catalog.hub_models import HubCatalog
from weighbridge.domain.hub_models import Gated, HubModel, PassKind

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
GB = 10**9
COMMIT = "c" * 40


def listed(id_: str, gated: Gated = Gated.NO, parameters: int = 8 * GB, **values: Any) -> HubModel:
    """Return a text model as the Hub lists it; it needs twice as many bytes as it has weights, and 4 GB at least."""
    usual: dict[str, Any] = {
        "sha": COMMIT,
        "created_at": NOW,
        "last_modified": NOW,
        "downloads": 10,
        "likes": 1,
        "library": "transformers",
        "pipeline_tag": "text-generation",
        "licence": "apache-2.0",
        "tags": ("text-generation", "license:apache-2.0"),
        "parameters": parameters,
        "parameters_from": "safetensors",
        "weights_size": 2 * parameters,
        "memory_size": max(2 * parameters, 4 * GB),
    }
    return HubModel(id_, gated=gated, **(usual | values))


#: The three models of the specification's lines.
LLAMA = listed("meta-llama/Llama-3.1-8B-Instruct", Gated.AUTO, downloads=300, licence="llama3.1")
LARGE = listed("meta-llama/Llama-3.1-405B-Instruct", Gated.MANUAL, 405 * GB, downloads=200, licence="llama3.1")
QWEN = listed("Qwen/Qwen2.5-1.5B-Instruct", Gated.NO, 1_500_000_000, downloads=100)
#: Their lines, the most downloaded first.
LINES = (
    "meta-llama/Llama-3.1-8B-Instruct (16GB, 8B) [Terms]",
    "meta-llama/Llama-3.1-405B-Instruct (810GB, 405B) [Approval]",
    "Qwen/Qwen2.5-1.5B-Instruct (4GB, 1.5B)",
)


def fill(hub: HubCatalog, models: Sequence[HubModel] = (LLAMA, LARGE, QWEN), age: timedelta = timedelta()) -> None:
    """Put models into a catalogue by a full refresh that began and ended some time before `NOW`."""
    number = hub.begin(PassKind.FULL, "", "test", NOW - age).number
    hub.add_page(number, "test", models, "", NOW - age)
    hub.finish(number, "test", NOW - age)
