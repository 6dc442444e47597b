"""Quantiles, means and shares with their intervals; and when samples are too few."""

from __future__ import annotations

import math
import random
import statistics as oracle

import pytest

from weighbridge.benchmarks.statistics import bounded, enclosing_ranks, mean, quantile, rate, share, variation
from weighbridge.domain.result import INSUFFICIENT


@pytest.mark.parametrize(("of", "enough"), [(0.5, 6), (0.95, 59), (0.99, 299)])
def test_a_quantile_needs_as_many_samples_as_can_enclose_it(of: float, enough: int) -> None:
    samples = [float(number) for number in range(enough)]
    too_few = quantile("p", samples[1:], of, "s")
    assert (too_few.value, too_few.reason, too_few.n) == (None, INSUFFICIENT, enough - 1)
    found = quantile("p", samples, of, "s")
    assert found.value is not None
    assert found.interval is not None
    assert found.interval.low <= found.value <= found.interval.high


@pytest.mark.parametrize("of", [0.5, 0.9, 0.99])
def test_intervals_hold_the_true_quantile_as_often_as_they_say(of: float) -> None:
    rounds, n, dice = 400, 320, random.Random(7)
    held = 0
    for _ in range(rounds):
        found = quantile("p", [dice.random() for _ in range(n)], of, "s").interval
        assert found is not None
        held += found.low <= of <= found.high
    assert held / rounds >= 0.92


def test_the_nearest_ranks_of_known_tables() -> None:
    # Conover, table of the binomial: for n = 10 the median lies between the 2nd and the 9th with 97.9 %.
    assert enclosing_ranks(10, 0.5) == (2, 9)
    assert enclosing_ranks(6, 0.5) == (1, 6)
    assert enclosing_ranks(5, 0.5) is None
    assert enclosing_ranks(1, 0.5) is None


def test_means_and_spread_are_those_of_the_samples() -> None:
    samples = [1.0, 2.0, 3.0, 4.0]
    found = mean("m", samples, "s")
    assert found.value == oracle.fmean(samples)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(2.5 - 3.182446 * oracle.stdev(samples) / 2, abs=1e-5)
    assert mean("m", [1.0], "s").reason == INSUFFICIENT
    wide = mean("m", [0.1, 3.0], "s").interval
    assert wide is not None
    assert wide.low == 0.0, "no time is negative"
    grades = mean("score", [9.0, 10.0], "points", within=(1.0, 10.0)).interval
    assert grades is not None
    assert (grades.low, grades.high) == (pytest.approx(3.147, abs=1e-3), 10.0)
    assert variation([1.0, 1.0, 1.0, 1.0]) == 0
    assert variation(samples) == pytest.approx(1.5 / 2.5)


def test_equal_samples_are_no_certainty() -> None:
    """Their deviation is 0 however few they are (EleutherAI/lm-evaluation-harness#4070)."""
    few, many = (mean("score", [10.0] * n, "points", within=(1.0, 10.0)).interval for n in (3, 300))
    assert few is not None
    assert many is not None
    assert (few.high, many.high) == (pytest.approx(10.0), pytest.approx(10.0))
    assert few.low < 6 < many.low
    wilson = share("s", 8, 10).interval
    assert wilson is not None
    assert bounded(0.8, 10).low == pytest.approx(wilson.low)
    assert bounded(0.8, 10).high == pytest.approx(wilson.high)


def test_a_rate_is_all_work_by_all_time() -> None:
    found = rate("r", [16.0] * 4, [0.02, 0.2, 0.02, 0.2], "tokens/s")
    assert found.value == pytest.approx(64 / 0.44)
    assert found.interval is not None
    assert 0 < found.interval.low < found.value < found.interval.high < math.inf
    assert rate("r", [1.0], [1.0], "1/s").reason == INSUFFICIENT
    assert rate("r", [0.0, 0.0], [1.0, 1.0], "1/s").interval is None


def test_the_interval_of_a_rate_holds_it_as_often_as_it_says() -> None:
    dice, rounds = random.Random(5), 600
    held = 0
    for _ in range(rounds):
        interval = rate("r", [1.0] * 10, [dice.gammavariate(11, 1 / 11) for _ in range(10)], "1/s").interval
        assert interval is not None
        held += interval.low <= 1.0 <= interval.high
    assert 0.92 <= held / rounds <= 0.98


def test_shares_have_wilsons_interval() -> None:
    found = share("accuracy", 8, 10)
    assert (found.value, found.n) == (0.8, 10)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (
        pytest.approx(0.4902, abs=1e-3),
        pytest.approx(0.9433, abs=1e-3),
    )
    assert share("accuracy", 0, 0).value is None
