"""optimum-benchmark's seconds a request, for `bench.benchmarks`; runs in an environment of its own (make bench).

optimum-benchmark 0.6 needs transformers 4, and we use 5, so the two cannot share one. It gets the same weights, lengths
and requests. `python -P bench/optimum.py FOLDER PROMPT_TOKENS TOKENS REQUESTS` prints one JSON object.
"""

from __future__ import annotations

import json
import sys

import transformers
from optimum_benchmark import Benchmark, BenchmarkConfig, InferenceConfig, InlineConfig, PyTorchConfig


def main(folder: str, prompt_tokens: int, tokens: int, requests: int) -> None:
    """Measure and print."""
    config = BenchmarkConfig(
        name="latency",
        launcher=InlineConfig(device_isolation=False),
        scenario=InferenceConfig(
            latency=True,
            memory=False,
            iterations=requests,
            duration=0,
            warmup_runs=10,
            input_shapes={"batch_size": 1, "sequence_length": prompt_tokens},
            generate_kwargs={"max_new_tokens": tokens, "min_new_tokens": tokens},
        ),
        backend=PyTorchConfig(
            model=folder, device="cpu", torch_dtype="bfloat16", task="text-generation", library="transformers"
        ),
    )
    latency = Benchmark.launch(config).generate.latency
    print(json.dumps({"median_s": float(latency.p50), "n": latency.count, "transformers": transformers.__version__}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
