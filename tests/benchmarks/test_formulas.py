"""Every number has its formula, its interval's method and its samples."""

from __future__ import annotations

import pytest

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.benchmarks.formulas import FORMULAS, formula, samples_of
from weighbridge.benchmarks.leaderboard import MAIN_METRICS
from weighbridge.domain.result import BenchmarkResult, Metric


def test_every_benchmark_has_formulas() -> None:
    assert set(FORMULAS) == set(BENCHMARKS)
    for benchmark, names in MAIN_METRICS.items():
        for name in names:
            assert formula(benchmark, name).words != "see its definition"


@pytest.mark.parametrize(
    ("benchmark", "metric", "words"),
    [
        ("inference_latency", "itl_p99", "the 99 % quantile"),
        ("throughput", "output_tokens_per_second_batch_16", "batches of 16 prompts"),
        ("throughput", "e2e_p50_rate_0.5", "at 0.5 requests a second"),
        ("mmlu", "accuracy/mmlu_stem", "only of mmlu_stem"),
        ("mt_bench", "score/math", "questions of math"),
        ("lm_eval", "exact_match,strict-match", "lm-eval's own exact_match,strict-match"),
        ("of_a_plug_in", "speed", "see its definition"),
    ],
)
def test_a_metric_is_told_in_words(benchmark: str, metric: str, words: str) -> None:
    assert words in formula(benchmark, metric).words


def test_samples_are_those_of_the_metric() -> None:
    samples = {"ttft": [1.0, 2.0], "itl": [3.0], "acc/mmlu_a": [0.0], "acc/mmlu_b": [1.0], "e2e_rate_2": [5.0]}
    found = BenchmarkResult("inference_latency", "", "", (), {}, {}, {}, samples=samples)
    assert samples_of(found, Metric("ttft_p50", 1.5, "s", 2)) == [1.0, 2.0]
    of_quality = BenchmarkResult("mmlu", "", "", (), {}, {}, {}, samples=samples)
    assert samples_of(of_quality, Metric("accuracy", 0.5, "1", 2)) == [0.0, 1.0]
    assert samples_of(of_quality, Metric("accuracy/mmlu_b", 1.0, "1", 1)) == [1.0]
    of_tasks = {"acc/arc_easy": [1.0], "acc_norm/arc_easy": [0.0], "acc/piqa": [2.0]}
    of_any = BenchmarkResult("lm_eval", "", "", (), {}, {}, {}, samples=of_tasks)
    assert samples_of(of_any, Metric("acc_norm/arc_easy", 0.0, "1", 1)) == [0.0]
    assert samples_of(of_any, Metric("acc", 1.0, "1", 2)) == [1.0, 2.0]
    assert (
        samples_of(BenchmarkResult("memory", "", "", (), {}, {}, {}, samples=samples), Metric("weights", 1, "bytes", 1))
        == []
    )
