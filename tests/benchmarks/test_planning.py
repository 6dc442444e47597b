"""Measuring: what is wanted of whom, when nobody names a model."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.catalog.values import decision, manifest
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.planning import measurements
from weighbridge.benchmarks.running import BenchmarkRequest
from weighbridge.catalog import Catalog
from weighbridge.domain.card import Field, ModelCard
from weighbridge.errors import InvalidConfiguration

TASKS = {"chat": "text-generation", "ears": "automatic-speech-recognition", "data": "tabular-regression"}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    found = Catalog.open(f"sqlite:///{tmp_path}/catalog.db", lambda: datetime(2026, 11, 21, tzinfo=UTC))
    for name, task in TASKS.items():
        card = ModelCard({"task": Field(task, "config.json")})
        found.settle_version(name, f"mock:{name}", manifest(name), card, decision(), (), lambda _last: "1.0.0")
    return found


def wanted(catalog: Catalog, data: dict[str, str], *known: str) -> set[tuple[str, str]]:
    request = BenchmarkRequest(settings=BenchmarkSettings(data=data))
    with catalog:
        found = measurements("", request, catalog, Path("store"), known=lambda _version, benchmark: benchmark in known)
    return {(one.model, one.benchmark) for one in found}


def test_what_is_new_are_the_benchmarks_of_each_task_that_have_no_result(catalog: Catalog) -> None:
    assert wanted(catalog, {}, "memory") == {("chat", "inference_latency"), ("chat", "throughput")}


def test_what_needs_a_file_is_new_where_there_is_one(catalog: Catalog) -> None:
    found = wanted(catalog, {"speech": "speech.wav"}, "inference_latency", "throughput", "memory")
    assert found == {("ears", "speech_rate")}


def test_the_devices_take_turns(catalog: Catalog) -> None:
    with catalog:
        found = measurements("chat", BenchmarkRequest(), catalog, Path("store"), devices=("cuda:0", "cuda:1"))
    assert [one.request.device for one in found] == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.parametrize(
    ("name", "benchmarks", "words"),
    [("chat", ("speed",), "no benchmark “speed”"), ("data", (), "is for tabular-regression, so no benchmark")],
)
def test_wrong_wishes_are_told(catalog: Catalog, name: str, benchmarks: tuple[str, ...], words: str) -> None:
    with catalog, pytest.raises(InvalidConfiguration, match=words):
        measurements(name, BenchmarkRequest(benchmarks), catalog, Path("store"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("n", -1),
        ("answer_tokens", 0),
        ("output_tokens", 1),
        ("batch_sizes", (4, 0)),
        ("request_rates", (float("nan"),)),
        ("batch_sizes", ()),
    ],
)
def test_numbers_that_mean_nothing_are_told(setting: str, value: object) -> None:
    with pytest.raises(InvalidConfiguration, match=setting):
        BenchmarkSettings(**{setting: value})  # type: ignore[arg-type]
