"""The formula of each metric and of its interval, in words, for `weighbridge results --explain`.

docs/benchmarks.md has the details. Not here: their computation (statistics).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from weighbridge.domain.result import BenchmarkResult, Metric

_QUANTILE = "order statistics: two ordered samples that enclose the quantile, for any distribution"
_MEAN = "Student's t over the samples, within the possible range"
_RATE = "Student's t of the rate's logarithm (delta method)"
_SHARE = "Wilson's score"
_HARNESS = "Wilson's score where every document counts 0 or 1, else 1.96 standard errors of lm-eval on both sides"
_ONCE = "none: it is measured once"


@dataclass(frozen=True)
class Formula:
    """The formula of a metric.

    Attributes:
        name: the pattern of metrics' names.
        words: the formula in words, with the pattern's groups as `{0}`, `{1}`.
        interval: how its interval is computed.
        samples: the name of its raw samples, with the same groups; all samples whose names begin with it belong to it.
    """

    name: str
    words: str
    interval: str
    samples: str = ""


_TIMES = (
    Formula(
        r"ttft_p(\d+)", "the {0} % quantile of the seconds from a request's start to its first token", _QUANTILE, "ttft"
    ),
    Formula(
        r"itl_p(\d+)",
        "the {0} % quantile of the seconds between two tokens that follow each other, of all requests together",
        _QUANTILE,
        "itl",
    ),
    Formula(
        r"e2e_p(\d+)", "the {0} % quantile of the seconds from a request's start to its last token", _QUANTILE, "e2e"
    ),
    Formula(
        r"tpot_mean",
        "the mean over requests of (seconds from first to last token) / (tokens - 1)",
        _MEAN,
        "tpot",
    ),
)
_SPEEDS = (
    Formula(
        r"output_tokens_per_second_batch_(\d+)",
        "tokens of all batches of {0} prompts / seconds of all these batches, including the prefill",
        _RATE,
        "output_tokens_per_second_batch_{0}",
    ),
    Formula(
        r"output_tokens_per_second_rate_([\d.e+-]+)",
        "tokens that the service counts / seconds from the first request to the last answer, at {0} requests a second",
        _ONCE,
        "tokens_rate_{0}",
    ),
    Formula(
        r"requests_per_second_rate_([\d.e+-]+)",
        "requests / seconds from the first request to the last answer, at {0} requests a second",
        _ONCE,
    ),
    Formula(
        r"e2e_p(\d+)_rate_([\d.e+-]+)",
        "the {0} % quantile of the seconds from a request's arrival to its last token, at {1} requests a second",
        _QUANTILE,
        "e2e_rate_{1}",
    ),
)
_MEMORY = (
    Formula(r"weights", "bytes of all parameters, as they are loaded", _ONCE),
    Formula(r"peak_rss", "the most memory of the process, as the kernel counts it", _ONCE),
    Formula(r"peak_allocated", "the most GPU memory of torch's tensors", _ONCE),
    Formula(r"peak_reserved", "the most GPU memory of torch's allocator", _ONCE),
)
_JUDGED = (
    Formula(r"score", "the mean over questions of the mean of their grades, 1 to 10", _MEAN, "score_turn"),
    Formula(r"score_turn_(\d)", "the mean grade of turn {0}", _MEAN, "score_turn_{0}"),
    Formula(r"score/(.+)", "the mean over the questions of {0} of the mean of their grades", _MEAN, "score_turn"),
    Formula(r"grades_missing", "answers without a grade / answers", _SHARE, "replies_turn"),
)
#: Of several tasks each metric has its task in its name; raw samples always have.
_ANY = (
    Formula(r"(.+)/([^/]+)", "lm-eval's own {0}, over the documents of {1}", _HARNESS, "{0}/{1}"),
    Formula(r"(.+)", "lm-eval's own {0}, over the documents of the task", _HARNESS, "{0}/"),
)
#: The formulas of each benchmark; the first whose pattern is the whole name of a metric is its own.
FORMULAS: Mapping[str, tuple[Formula, ...]] = {
    "inference_latency": _TIMES,
    "throughput": _SPEEDS,
    "memory": _MEMORY,
    "embedding_rate": (
        Formula(r"sentences_per_second", "texts of all calls / seconds of all calls", _RATE, "sentences_per_second"),
    ),
    "rerank_rate": (
        Formula(
            r"documents_per_second", "documents of all calls / seconds of all calls", _RATE, "documents_per_second"
        ),
    ),
    "speech_rate": (
        Formula(r"real_time_factor", "the mean of seconds of work / seconds of sound", _MEAN, "real_time_factor"),
    ),
    "mmlu": (
        Formula(r"accuracy", "questions whose most likely letter is the correct one / questions", _SHARE, "acc/"),
        Formula(r"accuracy/(.+)", "the same, only of {0}", _SHARE, "acc/{0}"),
        *_ANY,
    ),
    "humaneval": (
        Formula(r"pass_at_1", "functions that pass their tests at the first attempt / functions", _SHARE, "pass_at_1"),
    ),
    "lm_eval": _ANY,
    "mt_bench": _JUDGED,
}


def formula(benchmark: str, metric: str) -> Formula:
    """Return the formula of a metric of a benchmark, with its groups filled in; a general one for an unknown metric."""
    for one in FORMULAS.get(benchmark, ()):
        if found := re.fullmatch(one.name, metric):
            groups = found.groups()
            return Formula(metric, one.words.format(*groups), one.interval, one.samples.format(*groups))
    return Formula(metric, "see its definition", "see its definition")


def samples_of(result: BenchmarkResult, metric: Metric) -> list[float]:
    """Return the raw samples that a metric was computed from, as far as the result has them."""
    begins = formula(result.benchmark, metric.name).samples
    of_name = [values for name, values in result.samples.items() if begins and name.startswith(begins)]
    return result.samples.get(begins) or [value for values in of_name for value in values]
