"""Benchmark results in the catalog: what is kept, what counts, what was there before the table, and regressions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

import weighbridge.catalog
from tests.catalog.values import CARD, decision, manifest
from weighbridge.catalog import Catalog
from weighbridge.catalog.schema import HEAD
from weighbridge.domain.result import NOT_FINITE, OF_MEMORY, OF_RUN, BenchmarkResult, Interval, Metric
from weighbridge.domain.version import ModelVersion

Open = Callable[..., Catalog]
GPU = {"device": "cuda:0", "gpu": "H200", "gpu_count": 8, "driver": "580.1"}


def settle(catalog: Catalog, number: str, content: str, name: str = "m", verdict: Any = "PASSED") -> ModelVersion:
    return catalog.settle_version(name, "mock:m", manifest(content), CARD, decision(verdict), (), lambda _last: number)


def result(of: ModelVersion | str, value: float | None = 1.0, **changes: Any) -> BenchmarkResult:
    digest = of if isinstance(of, str) else str(of.manifest.digest)
    interval = Interval(value - 0.1, value + 0.1) if value is not None else None
    made = BenchmarkResult(
        benchmark="inference_latency",
        definition="inference_latency/1",
        manifest_digest=digest,
        metrics=(Metric("ttft_p50", value, "s", 60, interval, better="lower"),),
        settings={"n": 60, "warmups": 10, "device": "cuda:0", "batch_sizes": [1, 2]},
        hardware=GPU,
        software={"torch": "2.13.0+cu130", "transformers": "5.23.0", "python": "3.12.1"},
        started_at="2026-11-21T12:00:00+00:00",
        samples={"ttft": [0.5, 1.5]},
    )
    return replace(made, **changes)


def failed(of: ModelVersion, **changes: Any) -> BenchmarkResult:
    return result(of, metrics=(), failure="out of memory: “\0 \ud800”", samples={}, **changes)


def test_a_result_comes_back_as_it_was_put_in(catalog: Catalog) -> None:
    one = settle(catalog, "1.0.0", "a")
    for kept in (result(one, noisy="busy"), failed(one, settings={"n": 0, "data": {"x": "y"}})):
        catalog.add_result(kept)
    assert catalog.results([one.manifest.digest], samples=True)[::-1] == [
        result(one, noisy="busy"),
        failed(one, settings={"n": 0, "data": {"x": "y"}}),
    ]


def test_samples_are_read_only_for_who_asks(catalog: Catalog) -> None:
    catalog.add_result(result("endpoint:http://h/v1#m"))
    assert catalog.results()[0].samples == {}
    assert catalog.results(samples=True)[0].samples == {"ttft": [0.5, 1.5]}


def test_the_newest_of_manifest_benchmark_and_key_counts_and_all_are_kept(catalog: Catalog, url: str) -> None:
    one, two = settle(catalog, "1.0.0", "a"), settle(catalog, "1.1.0", "b")
    for kept in (
        result(one, 1.0),
        result(one, 2.0),
        result(two, 3.0),
        result(one, 4.0, hardware={"processor": "p"}),
        result(one, 5.0, benchmark="memory"),
        result(one, 6.0, settings={"n": 300, "warmups": 10, "device": "cuda:1", "batch_sizes": [1, 2]}),
    ):
        catalog.add_result(kept)

    def values(*arguments: Any) -> list[float | None]:
        return [found.metrics[0].value for found in catalog.results(*arguments)]

    assert values() == [6.0, 5.0, 4.0, 3.0]
    assert values([two.manifest.digest]) == [3.0]
    assert values([one.manifest.digest, two.manifest.digest], "inference_latency") == [6.0, 4.0, 3.0]
    assert values(None, "memory") == [5.0]
    assert values([]) == []
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM results")).scalar() == 6
    engine.dispose()


def test_more_manifests_than_one_statement_takes(catalog: Catalog) -> None:
    versions = [settle(catalog, f"1.{number}.0", str(number)) for number in range(3)]
    for version in versions:
        catalog.add_result(result(version))
    unknown = [manifest(f"x{number}").digest for number in range(1200)]
    found = catalog.results([*unknown[:600], *(version.manifest.digest for version in versions), *unknown[600:]])
    assert [one.manifest_digest for one in found] == [str(version.manifest.digest) for version in versions[::-1]]


def test_what_is_not_finite_is_kept_as_no_number(catalog: Catalog) -> None:
    one = settle(catalog, "1.0.0", "a")
    metrics = (
        Metric("nan", math.nan, "1", 3, Interval(0, 1)),
        Metric("open", 1.0, "1", 3, Interval(0.5, math.inf)),
        Metric("whole", 1.0, "1", 3, Interval(0.5, 2)),
    )
    catalog.add_result(result(one, metrics=metrics, samples={"x": [1.0, math.inf]}, settings={"top_p": math.nan}))
    (found,) = catalog.results(samples=True)
    assert found.metrics == (
        Metric("nan", None, "1", 3, reason=NOT_FINITE),
        Metric("open", 1.0, "1", 3),
        Metric("whole", 1.0, "1", 3, Interval(0.5, 2)),
    )
    assert found.samples["x"][0] == 1.0
    assert math.isnan(found.samples["x"][1])
    assert found.settings == {"top_p": None}


def test_measured_versions_of_every_status_come_with_their_results(catalog: Catalog) -> None:
    one, twin = settle(catalog, "1.0.0", "a", "b"), settle(catalog, "2.0.0", "a", "a")
    settle(catalog, "3.0.0", "never measured", "c")
    refused = settle(catalog, "4.0.0", "refused", "d", "FAILED")
    for kept in (result(one), result(refused), result("endpoint:http://h/v1#m")):
        catalog.add_result(kept)
    versions, results = catalog.measured()
    assert versions == [version.summary for version in (twin, one, refused)]
    assert results == catalog.results()
    assert catalog.measured("memory") == ([], [])


# The key


def test_the_key_is_the_same_after_json() -> None:
    made = result("x", settings={"batch_sizes": (1, 2), "top_p": math.inf, "deep": {"x": (math.nan,), "1": None}})
    assert BenchmarkResult.from_json(made.to_json()).comparable_key == made.comparable_key


@pytest.mark.parametrize(
    "change",
    [
        {"hardware": GPU | {"device": "cuda:7"}},
        {"hardware": GPU | {"device": "cuda", "driver": "590.2", "memory": 1}},
        {"software": {"torch": "2.13.1", "transformers": "5.23.9", "python": "3.11.0", "weighbridge": "9"}},
        {"settings": {"n": 300, "warmups": 10, "device": "cuda:3", "batch_sizes": [1, 2]}},
        {"settings": result("x").settings | {"generation_config": {"repetition_penalty": 1.1}}},
        {"manifest_digest": "sha256:other", "noisy": "busy", "duration_s": 5.0},
    ],
)
def test_what_makes_no_difference(change: dict[str, Any]) -> None:
    assert result("x", **change).comparable_key == result("x").comparable_key


@pytest.mark.parametrize(
    "change",
    [
        {"benchmark": "throughput"},
        {"definition": "inference_latency/2"},
        {"hardware": GPU | {"device": "cpu"}},
        {"hardware": GPU | {"gpu": "H100"}},
        {"hardware": GPU | {"gpu_count": 1}},
        {"hardware": GPU | {"processor": "another"}},
        {"hardware": GPU | {"endpoint": "http://h/v1"}},
        {"software": {"torch": "2.14.0", "transformers": "5.23.0"}},
        {"software": {"torch": "2.13.0", "transformers": "5.24.0"}},
        {"software": {"torch": "2.13.0", "transformers": "5.23.0", "lm_eval": "0.4.13"}},
        {"settings": {"n": 60, "warmups": 0, "device": "cuda:0", "batch_sizes": [1, 2]}},
        {"settings": {"n": 60, "warmups": 10, "device": "cuda:0", "batch_sizes": [1]}},
    ],
)
def test_what_makes_two_results_incomparable(change: dict[str, Any]) -> None:
    assert result("x", **change).comparable_key != result("x").comparable_key


# Regressions


def regressed(catalog: Catalog) -> list[tuple[str, Any, Any, Any]]:
    rows = [(row.object, row.after or {}) for row in catalog.audit.rows(action="version.regressed")]
    return [(subject, found["before"], found["was"], found["now"]) for subject, found in rows]


def test_a_version_that_is_worse_beyond_both_intervals_is_told_with_the_facts(catalog: Catalog) -> None:
    one, two = settle(catalog, "1.0.0", "a"), settle(catalog, "1.1.0", "b")
    catalog.add_result(result(one, 1.0))
    catalog.add_result(result(two, 1.5, noisy="busy"))
    (row,) = catalog.audit.rows(action="version.regressed")
    assert row.object == "m@1.1.0"
    assert row.after == {
        "subject": "m@1.1.0",
        "before": "1.0.0",
        "benchmark": "inference_latency",
        "definition": "inference_latency/1",
        "metric": "ttft_p50",
        "unit": "s",
        "was": 1.0,
        "now": 1.5,
        "was_interval": [0.9, 1.1],
        "now_interval": [1.4, 1.6],
        "machine": "H200 (of 8)",
        "comparable_key": result(one).comparable_key,
        "noisy": "busy",
    }


@pytest.mark.parametrize(("before", "after"), [(1.0, 1.15), (1.0, 0.1), (1.0, None), (None, 1.0), (math.nan, 9.0)])
def test_what_is_no_regression(catalog: Catalog, before: float | None, after: float | None) -> None:
    one, two = settle(catalog, "1.0.0", "a"), settle(catalog, "1.1.0", "b")
    catalog.add_result(result(one, before))
    catalog.add_result(result(two, after))
    catalog.add_result(result(one, before))
    assert regressed(catalog) == []


def test_the_direction_is_the_metric_s_own(catalog: Catalog) -> None:
    one, two = settle(catalog, "1.0.0", "a"), settle(catalog, "1.1.0", "b")
    for version, value in ((one, 0.9), (two, 0.5)):
        catalog.add_result(result(version, metrics=(Metric("accuracy", value, "1", 9, Interval(value, value)),)))
    assert regressed(catalog) == [("m@1.1.0", "1.0.0", 0.9, 0.5)]


def test_it_is_held_against_the_nearest_version_that_has_comparable_numbers(catalog: Catalog) -> None:
    numbers = ("a", "b", "c", "d", "e")
    first, failing, withdrawn, elsewhere, last = (settle(catalog, f"1.{at}.0", x) for at, x in enumerate(numbers))
    catalog.add_result(result(first, 1.0))
    catalog.add_result(result(failing, 1.0))
    catalog.add_result(failed(failing))
    catalog.add_result(result(withdrawn, 0.1))
    catalog.withdraw("m", withdrawn.version, "by hand")
    catalog.add_result(result(elsewhere, 0.2, hardware={"processor": "faster"}))
    catalog.add_result(result(last, 9.0))
    assert regressed(catalog) == [("m@1.4.0", "1.1.0", 1.0, 9.0)]


def test_a_version_that_is_measured_after_later_ones_is_what_the_nearest_of_them_is_held_against(
    catalog: Catalog,
) -> None:
    one, failing, three, four = (settle(catalog, f"1.{at}.0", x) for at, x in enumerate(("a", "b", "c", "d")))
    catalog.add_result(failed(failing))
    for version, value in ((four, 5.0), (three, 2.0)):
        catalog.add_result(result(version, value))
    assert regressed(catalog) == [("m@1.3.0", "1.2.0", 2.0, 5.0)]
    catalog.add_result(result(one, 1.0))
    assert regressed(catalog)[1:] == [("m@1.2.0", "1.0.0", 1.0, 2.0)]


def test_a_failure_hides_no_numbers_that_came_before_it(catalog: Catalog) -> None:
    one, two = settle(catalog, "1.0.0", "a"), settle(catalog, "1.1.0", "b")
    catalog.add_result(result(one, 1.0))
    catalog.add_result(failed(two))
    assert regressed(catalog) == []
    catalog.add_result(result(two, 2.0))
    assert regressed(catalog) == [("m@1.1.0", "1.0.0", 1.0, 2.0)]


def test_a_failure_stands_until_something_newer_is_measured(catalog: Catalog) -> None:
    """Its settings are all that were chosen, those of numbers only what a benchmark uses: the keys never meet."""
    one = settle(catalog, "1.0.0", "a")
    for kept in (result(one, 1.0), failed(one, settings={"n": 0}), failed(one, settings={"n": 1})):
        catalog.add_result(kept)
    assert [bool(found.failure) for found in catalog.results()] == [True, False]
    catalog.add_result(failed(one, settings={"n": 2}, hardware={"processor": "another"}))
    catalog.add_result(result(one, 2.0, settings={"n": 60, "warmups": 5}))
    assert [found.machine for found in catalog.results() if found.failure] == ["another"]
    assert len(catalog.results()) == 3


def test_a_failure_at_other_settings_is_outdone_by_nothing(catalog: Catalog) -> None:
    one = settle(catalog, "1.0.0", "a")
    catalog.add_result(failed(one, settings={"output_tokens": 4096, "n": 0}, cause=OF_MEMORY))
    catalog.add_result(result(one, 1.0, settings={"output_tokens": 2, "n": 60}))
    assert [bool(found.failure) for found in catalog.results()] == [False, True]
    catalog.add_result(result(one, 1.0, settings={"output_tokens": 4096, "n": 60}))
    assert [bool(found.failure) for found in catalog.results()] == [False, False]


def test_a_failure_of_the_run_is_not_kept(catalog: Catalog) -> None:
    one = settle(catalog, "1.0.0", "a")
    catalog.add_result(failed(one, cause=OF_RUN))
    assert catalog.results() == []
    catalog.add_result(result(one, 1.0))
    catalog.add_result(failed(one, cause=OF_RUN))
    assert [found.failure for found in catalog.results()] == [""]


def test_what_did_not_pass_regresses_from_nothing(catalog: Catalog) -> None:
    one, two = settle(catalog, "1.0.0", "a"), settle(catalog, "1.1.0", "b", verdict="FAILED")
    catalog.add_result(result(one, 1.0))
    catalog.add_result(result(two, 2.0))
    assert regressed(catalog) == []


def test_other_models_are_not_its_past(catalog: Catalog) -> None:
    one, two = settle(catalog, "1.0.0", "a", "m"), settle(catalog, "1.0.0", "b", "n")
    catalog.add_result(result(one, 1.0))
    catalog.add_result(result(two, 9.0))
    assert regressed(catalog) == []


# What was there before the table


def test_a_catalog_of_the_first_schema_is_brought_up_to_date(url: str, open_catalog: Open) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
    config = Config()
    config.set_main_option("script_location", str(Path(weighbridge.catalog.__file__).parent / "migrations"))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        added = "INSERT INTO events (at, kind, subject, detail) VALUES (:at, 'a.b', 'old', '{}')"
        connection.execute(text(added), {"at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(" ")})
    assert not inspect(engine).has_table("results")
    catalog = open_catalog(url)
    assert [row.object for row in catalog.audit.rows()] == ["old"]
    catalog.add_result(result(settle(catalog, "1.0.0", "a")))
    assert len(catalog.results()) == 1
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
    engine.dispose()
