"""Versions and their results, for a board."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.registries.values import put
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.result import INSUFFICIENT, BenchmarkResult, Interval, Metric
from weighbridge.domain.version import ModelVersion
from weighbridge.store.local import LocalBlobStore

CPU = {"device": "cpu", "processor": "one", "cores": 2}


def version(name: str, store: LocalBlobStore | None = None, **fields: Any) -> ModelVersion:
    card = {"architecture": "llama", "parameter_count": 135, "licence": "Apache-2.0", "task": "text-generation"}
    made = ModelCard({key: Field(value, "x") for key, value in (card | fields).items() if value is not None})
    if store is not None:
        return replace(put(store, {"x": name.encode()}, name=name), card=made)
    empty = Manifest(ModelRef("mock", name, "1"), (FileEntry(name, 0),))
    return ModelVersion(name, "1.0.0", "PASSED", "mock:x", empty, made, None)  # type: ignore[arg-type]


def result(of: ModelVersion, value: float | None, spread: float = 0.1, **changes: Any) -> BenchmarkResult:
    interval = Interval(value - spread, value + spread) if value is not None else None
    metric = Metric("ttft_p50", value, "s", 60, interval, "" if value is not None else INSUFFICIENT, better="lower")
    made = BenchmarkResult(
        "inference_latency",
        "inference_latency/1",
        str(of.manifest.digest),
        (metric,),
        {"output_tokens": 64, "n": 60},
        CPU,
        {"torch": "2.13.0", "transformers": "5.23.0"},
        samples={"ttft": [1.0, 2.0]},
    )
    return replace(made, **changes)


A, B, C, D = (version(name) for name in "abcd")
