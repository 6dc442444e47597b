"""Statistics of samples: quantiles, means and shares with 95 % intervals, or a note that the samples are too few.

Quantiles: intervals of order statistics, which assume nothing of the distribution (Conover, Practical Nonparametric
Statistics, 3rd edition, section 3.2). Shares: Wilson's score interval. Means: Student's t. Rates, all work by all time:
Student's t for the logarithm of a ratio of sums (delta method; Cochran, Sampling Techniques, 3rd edition, section
2.11), so that no bound is negative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from weighbridge.domain.result import INSUFFICIENT, Interval, Metric

LEVEL = 0.95
#: The spread of samples, relative to their median, above which a run is noisy.
QUIET_SPREAD = 0.25
#: The greatest logarithm whose exponential is a number.
_MAX_LOG = 700.0


def quantile(name: str, samples: Sequence[float], share: float, unit: str, better: str = "lower") -> Metric:
    """Return a quantile with its interval; without a value when the samples are too few to enclose it at 95 %.

    That takes 6 samples for the median, 59 for P95 and 299 for P99.

    Args:
        name: the name of the metric.
        samples: in any order.
        share: the quantile, above 0 and below 1.
        unit: the unit of the samples.
        better: whether a `higher` or a `lower` value is better.
    """
    found = sorted(samples)
    ranks = enclosing_ranks(len(found), share)
    if ranks is None:
        return Metric(name, None, unit, len(found), reason=INSUFFICIENT, better=better)
    low, high = (found[rank - 1] for rank in ranks)
    return Metric(name, _at(found, share), unit, len(found), Interval(low, high, LEVEL), better=better)


def enclosing_ranks(n: int, share: float) -> tuple[int, int] | None:
    """Return the ranks (from 1) of the nearest two of n ordered samples that enclose a quantile at 95 %, or None.

    The number of samples below the quantile is binomial (n, share), so that ranks l and u enclose it with the
    probability P(l <= B < u).
    """
    from scipy.stats import binom

    if n < 2 or 1 - share**n - (1 - share) ** n < LEVEL:
        return None
    below = binom.cdf(range(n + 1), n, share)
    best: tuple[int, float, tuple[int, int]] | None = None
    upper = 2
    for lower in range(1, n):
        upper = max(upper, lower + 1)
        before = below[lower - 1]
        while upper < n and below[upper - 1] - before < LEVEL:
            upper += 1
        if below[upper - 1] - before < LEVEL:
            break
        unbalanced = abs(before - (1 - below[upper - 1]))
        if best is None or (upper - lower, unbalanced) < best[:2]:
            best = (upper - lower, unbalanced, (lower, upper))
    return best[2] if best else None


def mean(
    name: str,
    samples: Sequence[float],
    unit: str,
    better: str = "higher",
    within: tuple[float, float] = (0.0, math.inf),
) -> Metric:
    """Return the mean with its interval; without a value below two samples.

    Args:
        name: the name of the metric.
        samples: in any order.
        unit: the unit of the samples.
        better: whether a `higher` or a `lower` value is better.
        within: what a sample can be; the interval ends there, and where all samples are alike it is that of `bounded`.
            Times and speeds are not negative.
    """
    from scipy.stats import t

    n = len(samples)
    if n < 2:
        return Metric(name, None, unit, n, reason=INSUFFICIENT, better=better)
    value = math.fsum(samples) / n
    deviation = math.sqrt(math.fsum((sample - value) ** 2 for sample in samples) / (n - 1))
    if not deviation and all(map(math.isfinite, within)):
        return Metric(name, value, unit, n, bounded(value, n, within), better=better)
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * deviation / math.sqrt(n)
    interval = Interval(max(value - half, within[0]), min(value + half, within[1]), LEVEL)
    return Metric(name, value, unit, n, interval, better=better)


def rate(name: str, amounts: Sequence[float], times_s: Sequence[float], unit: str) -> Metric:
    """Return all work by all time, with its interval; without a value below two samples.

    Args:
        name: the name of the metric.
        amounts: work of each sample, such as tokens.
        times_s: what each took, in the same order; above 0.
        unit: of the rate.
    """
    from scipy.stats import t

    n = len(amounts)
    if n < 2:
        return Metric(name, None, unit, n, reason=INSUFFICIENT)
    whole_s = math.fsum(times_s)
    value = math.fsum(amounts) / whole_s
    if value <= 0:
        return Metric(name, value, unit, n, reason=INSUFFICIENT)
    rest = math.fsum((amount - value * time_s) ** 2 for amount, time_s in zip(amounts, times_s, strict=True))
    deviation = math.sqrt(rest * n / (n - 1)) / whole_s
    factor = math.exp(min(float(t.ppf((1 + LEVEL) / 2, n - 1)) * deviation / value, _MAX_LOG))
    return Metric(name, value, unit, n, Interval(value / factor, value * factor, LEVEL))


def bounded(value: float, n: int, within: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """Return the interval of the mean of n samples that lie within bounds, whatever their spread.

    It is Wilson's, of a share: no variable within the same bounds spreads more. So samples that are all alike, whose
    standard error is 0, are not taken for certainty (EleutherAI/lm-evaluation-harness#4070).
    """
    from scipy.stats import norm

    low, high = within
    share_, z = (value - low) / (high - low), float(norm.ppf((1 + LEVEL) / 2))
    centre = (share_ + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share_ * (1 - share_) / n + z * z / (4 * n * n))
    least, most = max(centre - half, 0.0), min(centre + half, 1.0)
    return Interval(low + (high - low) * least, low + (high - low) * most, LEVEL)


def share(name: str, successes: int, n: int, better: str = "higher") -> Metric:
    """Return a share of successes with its interval; without a value when nothing was tried."""
    from scipy.stats import binomtest

    if n < 1:
        return Metric(name, None, "1", 0, reason=INSUFFICIENT, better=better)
    bounds = binomtest(successes, n).proportion_ci(LEVEL, "wilson")
    return Metric(name, successes / n, "1", n, Interval(float(bounds.low), float(bounds.high), LEVEL), better=better)


def variation(samples: Sequence[float]) -> float:
    """Return the spread of samples relative to their median: the interquartile range over it; 0 for fewer than four."""
    found = sorted(samples)
    middle = _at(found, 0.5) if found else 0.0
    return (_at(found, 0.75) - _at(found, 0.25)) / middle if len(found) >= 4 and middle > 0 else 0.0


def spread(samples: Sequence[float]) -> str:
    """Return that samples spread too much for a quiet run, or empty."""
    found = variation(samples)
    return f"the samples spread by {found:.0%} of their median" if found > QUIET_SPREAD else ""


def _at(ordered: Sequence[float], share: float) -> float:
    """Return the quantile between the two nearest samples, as numpy's default does."""
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
