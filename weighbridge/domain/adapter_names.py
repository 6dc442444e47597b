"""The names by which models.yaml chooses registries and benchmarks; those that open them are apart, and heavier.

Not here: what opens them (weighbridge.registries, weighbridge.benchmarks), whose tables have these names.
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
