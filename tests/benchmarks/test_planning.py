"""Measuring: what is wanted of whom, when nobody names a model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.values import decision, manifest
from weighbridge.benchmarks.hardware import hardware
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.memory import Memory
from weighbridge.benchmarks.planning import is_known, measurements
from weighbridge.benchmarks.running import BenchmarkRequest
from weighbridge.catalog import Catalog
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.result import OF_MEMORY, OF_MODEL, BenchmarkResult
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
        found = measurements(
            "", request, catalog, Path("store"), known=lambda _version, benchmark, _handler: benchmark in known
        )
    return {(one.model, one.benchmark) for one in found}


def test_what_is_new_are_the_benchmarks_of_each_task_that_have_no_result(catalog: Catalog) -> None:
    assert wanted(catalog, {}, "memory") == {("chat", "inference_latency"), ("chat", "throughput")}


def test_what_needs_a_file_is_new_where_there_is_one(catalog: Catalog) -> None:
    found = wanted(catalog, {"speech": "speech.wav"}, "inference_latency", "throughput", "memory")
    assert found == {("ears", "speech_rate")}


CHAT = "weighbridge.handlers.chat.TextChat"


@pytest.mark.parametrize(
    ("changes", "handler", "known"),
    [
        ({}, CHAT, True),
        ({}, "", True),
        ({}, "own.Mine", False),
        ({"settings": {}}, "own.Mine", True),  # Older results do not say who loaded them.
        ({"definition": "memory/1"}, CHAT, False),
        ({"hardware": {"device": "cpu", "processor": "another"}}, CHAT, False),
        ({"failure": "computes NaN", "cause": OF_MODEL}, CHAT, True),
        ({"failure": "too large", "cause": OF_MEMORY}, CHAT, True),
        ({"failure": "the Hub is away"}, CHAT, False),  # Whose it was is not known.
    ],
)
def test_what_this_machine_knows_is_not_measured_again(
    catalog: Catalog, changes: dict[str, Any], handler: str, known: bool
) -> None:
    with catalog:
        version = catalog.get("chat")
        assert version is not None
        kept = BenchmarkResult(
            "memory", Memory.definition, str(version.manifest.digest), (), {"handler": CHAT}, hardware("cpu"), {}
        )
        catalog.add_result(replace(kept, **changes))
        assert is_known(catalog, "cpu", version, "memory", handler) is known


def test_what_its_handler_cannot_do_is_refused_before_anything_runs(catalog: Catalog) -> None:
    with catalog, pytest.raises(InvalidConfiguration, match="measures text-embedding"):
        measurements("chat", BenchmarkRequest(("memory", "embedding_rate")), catalog, Path("store"))


def test_the_devices_take_turns(catalog: Catalog) -> None:
    with catalog:
        found = measurements("chat", BenchmarkRequest(), catalog, Path("store"), devices=("cuda:0", "cuda:1"))
    assert [one.request.device for one in found] == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.parametrize(
    ("name", "benchmarks", "words"),
    [("chat", ("speed",), "no benchmark “speed”"), ("data", (), "is for tabular-regression, so it has no default")],
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
