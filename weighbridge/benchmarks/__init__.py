"""Benchmarks: versioned ways to measure a model. One adapter a file, one line here; see interface.py.

An adapter is imported when it is used, so that no command waits for a library that it does not need.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from weighbridge.benchmarks.interface import Benchmark


def _adapter(module: str, name: str) -> Callable[[], Benchmark]:
    def create() -> Benchmark:
        benchmark: Benchmark = getattr(importlib.import_module(f"weighbridge.benchmarks.{module}"), name)()
        return benchmark

    return create


#: The maker of each benchmark, by name.
BENCHMARKS: dict[str, Callable[[], Benchmark]] = {
    "inference_latency": _adapter("latency", "InferenceLatency"),
    "throughput": _adapter("throughput", "Throughput"),
    "memory": _adapter("memory", "Memory"),
    "embedding_rate": _adapter("rates", "EmbeddingRate"),
    "rerank_rate": _adapter("rates", "RerankRate"),
    "speech_rate": _adapter("rates", "SpeechRate"),
    "mmlu": _adapter("harness", "Mmlu"),
    "humaneval": _adapter("humaneval", "HumanEval"),
    "lm_eval": _adapter("harness", "LmEval"),
    "mt_bench": _adapter("mt_bench", "MTBench"),
}
