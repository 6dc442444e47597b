"""Tests of views.text: sizes, counts, times and progress with their units."""

import pytest

from weighbridge.domain.result import Interval, Metric
from weighbridge.domain.tally import Reading
from weighbridge.views.text import (
    amount_text,
    bytes_text,
    count_text,
    counted,
    duration_text,
    interval_text,
    metric_text,
    progress_text,
)


def reading(**fields: object) -> Reading:
    known = {"unit": "bytes", "done": 10 * 2**20, "total": 80 * 2**20, "at": "", "speed": 2.0**20, "passed_s": 10.0}
    return Reading("fetch", **(known | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (98_356_428, "93.8 MiB"), (2**50, "1024.0 TiB")],
)
def test_bytes(size: int, text: str) -> None:
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("number", "text"), [(999, "999"), (1000, "1.0 K"), (134_515_008, "134.5 M"), (7 * 10**9, "7.0 B")]
)
def test_counts(number: int, text: str) -> None:
    assert count_text(number) == text


def test_a_noun_has_its_plural() -> None:
    assert [counted(number, "file") for number in (0, 1, 1200)] == ["0 files", "1 file", "1,200 files"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0123, "s", "12.3 ms"), (1.5, "s", "1.5 s"), (0.25, "1", "0.25"), (2048, "bytes", "2.0 KiB"), (0.5, "", "0.5")],
)
def test_metrics(value: float, unit: str, text: str) -> None:
    assert metric_text(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00"), (7, "0:07"), (59.6, "1:00"), (750, "12:30"), (11_100, "3:05:00"), (864_000, "10 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_amounts_have_one_unit() -> None:
    assert amount_text(reading()) == "10.0/80.0 MiB"
    assert amount_text(reading(done=3, total=22, unit="models")) == "3/22 models"
    assert amount_text(reading(done=0, total=1, unit="models")) == ""
    assert amount_text(reading(done=1_234_567, total=2_500_000, unit="models")) == "1,234,567 models"
    assert amount_text(reading(done=3000, total=None, unit="models")) == "3,000 models"
    assert amount_text(reading(done=0, total=None, unit="models")) == ""
    assert amount_text(reading(total=None)) == "10.0 MiB"
    assert amount_text(reading(done=0, total=None)) == ""


def test_progress_is_one_line() -> None:
    assert progress_text(reading(at="a\nb")) == "10.0/80.0 MiB at 1.0 MiB/s, 1:10 left, a b"
    assert progress_text(reading(speed=None)) == "10.0/80.0 MiB, since 0:10"
    assert progress_text(reading(done=80 * 2**20, at="a")) == "80.0/80.0 MiB, done in 0:10"


def test_an_interval_names_its_units_only_where_they_differ() -> None:
    def of(low: float, high: float, unit: str) -> str:
        return interval_text(Metric("m", 1.0, unit, 9, Interval(low, high)))

    assert of(1.25, 1.5, "s") == "1.25 to 1.5"
    assert of(0.5, 1.5, "s") == "500 ms to 1.5 s"
    assert interval_text(Metric("m", 1.0, "s", 9)) == ""
