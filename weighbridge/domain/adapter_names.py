"""The names by which models.yaml chooses registries and benchmarks, importable without the code behind them.

Not here: that code (weighbridge.registries, weighbridge.benchmarks), whose tables have these names as keys.
"""

REGISTRIES = ("mlflow", "export")
BENCHMARKS = (
    "inference_latency",
    "throughput",
    "memory",
    "embedding_rate",
    "rerank_rate",
    "speech_rate",
    "mmlu",
    "humaneval",
    "lm_eval",
    "mt_bench",
)
