"""The leaderboard: who is ranked against whom, who is not and why, and what a regression is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.board import CPU, A, B, C, D, result, version
from tests.registries.values import put
from weighbridge.benchmarks.leaderboard import Filter, leaderboard
from weighbridge.benchmarks.statistics import rate
from weighbridge.catalog import Catalog
from weighbridge.cli import app
from weighbridge.domain.result import INSUFFICIENT, NOT_FINITE, OF_RUN, BenchmarkResult, Interval, Metric, is_better
from weighbridge.domain.version import ModelVersion
from weighbridge.store.local import LocalBlobStore
from weighbridge.views.leaderboard_files import COLUMNS, write_csv, write_parquet


def test_better_ones_come_first_and_what_cannot_be_told_apart_says_so() -> None:
    results = [result(A, 2.0), result(B, 1.0), result(C, 1.05), result(D, 3.0)]
    (group,) = leaderboard([A, B, C, D], results)
    found = [(row.version.name, row.rank, row.possible) for row in group.rows]
    assert found == [("b", 1, (1, 2)), ("c", 2, (1, 2)), ("a", 3, (3, 3)), ("d", 4, (4, 4))]


def test_equal_results_share_a_rank() -> None:
    (group,) = leaderboard([A, B, C], [result(A, 1.0), result(B, 1.0), result(C, 2.0)])
    assert [(row.version.name, row.rank) for row in group.rows] == [("a", 1), ("b", 1), ("c", 3)]


SPEED = "output_tokens_per_second_batch_1"


def speed(of: ModelVersion, samples: list[float], settings: dict[str, Any] | None = None) -> BenchmarkResult:
    metrics = (rate(SPEED, [1.0] * len(samples), [1 / sample for sample in samples], "tokens/s"),)
    return result(of, 1.0, benchmark="throughput", metrics=metrics, settings=settings or {"n": len(samples)})


def test_few_samples_are_no_way_up() -> None:
    few = [speed(A, [100, 101, 99, 100, 100, 100]), speed(B, [50, 50.5, 49.5, 50, 50, 50]), speed(C, [2, 90])]
    (group,) = leaderboard([A, B, C], few)
    assert [row.version.name for row in group.rows] == ["a", "b", "c"]
    assert [row.rank for row in group.rows] == [1, 2, 3]
    assert group.rows[2].possible == (1, 3), "it may be the best, and nobody knows"


SPEEDS = st.lists(st.floats(0.5, 1000), min_size=2, max_size=8)


@given(st.lists(SPEEDS, min_size=1, max_size=5), SPEEDS, st.integers(2, 20))
def test_more_of_the_same_samples_never_lower_a_rank(others: list[list[float]], own: list[float], times: int) -> None:
    versions = [version(f"m{number}") for number in range(len(others))]
    rest = [speed(one, samples) for one, samples in zip(versions, others, strict=True)]

    def rank(samples: list[float]) -> int:
        (group,) = leaderboard([A, *versions], [speed(A, samples), *rest])
        (found,) = [row.rank for row in group.rows if row.version is A]
        assert found is not None
        return found

    assert rank(own * times) <= rank(own)


def test_names_of_the_same_bytes_are_one_row() -> None:
    names = [replace(A, name=name) for name in ("z", "a", "m")]
    withdrawn = replace(A, name="b", status="FAILED")
    (group,) = leaderboard([*names, withdrawn, B], [result(A, 1.0), result(B, 2.0)])
    assert [(row.rank, row.names) for row in group.rows] == [(1, "a 1.0.0, m 1.0.0, z 1.0.0"), (2, "b 1.0.0")]
    assert leaderboard([withdrawn], [result(A, 1.0)]) == ()


def test_another_handler_of_the_same_bytes_is_another_group() -> None:
    by = [
        result(A, 1.0, settings={"handler": handler}) for handler in ("own.Mine", "weighbridge.handlers.chat.TextChat")
    ]
    assert [[row.rank for row in group.rows] for group in leaderboard([A], by)] == [[1], [1]]


def test_a_failure_of_the_run_is_not_the_model_s() -> None:
    away = result(B, None, metrics=(), failure="the Hub is away", cause=OF_RUN)
    (group,) = leaderboard([A, B], [result(A, 1.0), away])
    assert [row.version.name for row in group.rows] == ["a"]


def test_a_value_without_an_interval_is_not_ranked_against_those_that_have_one() -> None:
    exact = result(B, 1.0, metrics=(Metric("ttft_p50", 0.1, "s", 1, better="lower"),))
    vague = result(C, 1.0, metrics=(Metric("ttft_p50", 0.1, "s", 9, Interval(0.1, math.inf), better="lower"),))
    few = result(D, 1.0, metrics=(Metric("ttft_p50", 0.1, "s", 1, reason=INSUFFICIENT, better="lower"),))
    (group,) = leaderboard([A, B, C, D], [result(A, 1.0), exact, vague, few])
    unknown = "its interval is not known"
    assert [(row.version.name, row.rank, row.reason) for row in group.rows] == [
        ("a", 1, ""),
        ("b", None, unknown),
        ("c", None, unknown),
        ("d", None, INSUFFICIENT),
    ]


def test_what_did_not_fit_is_on_the_board_of_every_size() -> None:
    metrics = (Metric(SPEED, 9.0, "tokens/s", 6, Interval(8, 10)),)
    fits = result(A, 1.0, benchmark="throughput", metrics=(*metrics, Metric("big", 5.0, "tokens/s", 6, Interval(4, 6))))
    full = replace(fits, manifest_digest=str(B.manifest.digest), metrics=metrics)
    (group,) = leaderboard([A, B], [fits, full], sort="big")
    assert [(row.version.name, row.rank, row.reason) for row in group.rows] == [
        ("a", 1, ""),
        ("b", None, "it has no big"),
    ]


def test_the_group_with_most_ranks_comes_first() -> None:
    failed = [result(one, None, metrics=(), failure="broken", settings={"n": 0}) for one in (A, B, C)]
    groups = leaderboard([A, B, C, D], [*failed, result(D, 1.0)])
    assert [[row.rank for row in group.rows] for group in groups] == [[1], [None, None, None]]


@pytest.mark.parametrize(
    "change",
    [
        {"definition": "inference_latency/2"},
        {"hardware": CPU | {"processor": "another"}},
        {"hardware": CPU | {"threads": 1}},
        {"hardware": CPU | {"memory": 2**30}},
        {"settings": {"output_tokens": 32, "n": 60}},
        {"settings": {"output_tokens": 64, "n": 60, "warmups": 0}},
        {"software": {"torch": "2.14.0", "transformers": "5.23.0"}},
    ],
)
def test_what_is_not_comparable_is_not_ranked_together(change: dict[str, Any]) -> None:
    groups = leaderboard([A, B], [result(A, 1.0), result(B, 2.0, **change)])
    assert [[row.rank for row in group.rows] for group in groups] == [[1], [1]]


def test_more_samples_and_a_patch_release_stay_comparable() -> None:
    other = {"settings": {"output_tokens": 64, "n": 300}, "software": {"torch": "2.13.9", "transformers": "5.23.1"}}
    assert len(leaderboard([A, B], [result(A, 1.0), result(B, 2.0, **other)])) == 1


def test_equal_gpus_of_one_machine_are_comparable() -> None:
    gpus = [
        {"hardware": {"device": device, "gpu": "H200", "gpu_count": 8}, "settings": {"device": device}}
        for device in ("cuda:0", "cuda:1")
    ]
    (group,) = leaderboard([A, B], [result(one, 1.0, **gpu) for one, gpu in zip((A, B), gpus, strict=True)])
    assert [row.rank for row in group.rows] == [1, 1]


def peak(of: ModelVersion, size: float, name: str = "peak_rss") -> BenchmarkResult:
    return result(of, 1.0, benchmark="memory", metrics=(Metric(name, size, "bytes", 1, better="lower"),))


def test_values_without_an_interval_are_ranked_as_they_are() -> None:
    (group,) = leaderboard([A, B, C], [peak(A, 3e9), peak(B, 1e9), peak(C, 1e9)])
    assert [(row.version.name, row.rank) for row in group.rows] == [("b", 1), ("c", 1), ("a", 3)]


def test_the_main_metric_is_the_most_telling_one_that_a_result_has() -> None:
    (of_gpu,) = leaderboard(
        [A], [replace(peak(A, 1e9), metrics=peak(A, 1).metrics + peak(A, 2, "peak_allocated").metrics)]
    )
    assert of_gpu.metric == "peak_allocated"
    (of_task,) = leaderboard([A], [replace(peak(A, 1e9, "exact_match"), benchmark="gsm8k")])
    assert of_task.metric == "exact_match"


def test_what_is_not_finite_has_no_rank() -> None:
    (group,) = leaderboard([A, B], [result(A, float("nan")), result(B, 1.0)])
    assert [(row.version.name, row.rank, row.reason) for row in group.rows] == [("b", 1, ""), ("a", None, NOT_FINITE)]


def test_a_failure_is_shown_whatever_metric_is_asked_for() -> None:
    end = replace(result(A, 1.0), metrics=(Metric("e2e_p50", 1.0, "s", 9, Interval(1, 1), better="lower"),))
    failed = result(B, None, metrics=(), failure="out of memory", hardware={})
    found = leaderboard([A, B], [end, failed], sort="e2e_p50")
    rows = [(row.version.name, row.rank, row.reason) for group in found for row in group.rows]
    assert sorted(rows) == [("a", 1, ""), ("b", None, "out of memory")]
    assert leaderboard([B], [failed], sort="peak_rss") == ()


def test_results_are_filtered_by_definition_and_machine() -> None:
    results = [
        result(A, 1.0),
        result(B, 1.0, definition="inference_latency/2"),
        result(C, 1.0, hardware={"gpu": "H200"}),
    ]

    def names(wanted: Filter) -> list[str]:
        return sorted(row.version.name for group in leaderboard([A, B, C], results, wanted) for row in group.rows)

    assert names(Filter(definition="inference_latency/1")) == ["a", "c"]
    assert names(Filter(hardware="h20")) == ["c"]
    assert names(Filter(hardware="one")) == ["a", "b"]


def test_too_few_samples_and_failures_have_no_rank_but_a_reason() -> None:
    failed = result(C, None, metrics=(), failure="out of memory")
    (group,) = leaderboard([A, B, C], [result(A, 1.0), result(B, None), failed])
    assert [(row.version.name, row.rank, row.reason) for row in group.rows] == [
        ("a", 1, ""),
        ("b", None, INSUFFICIENT),
        ("c", None, "out of memory"),
    ]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Filter(), "abc"),
        (Filter(architecture="Llama"), "a"),
        (Filter(max_params=500), "a"),
        (Filter(min_params=500), "b"),
        (Filter(licence="mit"), "b"),
        (Filter(task="text-generation"), "abc"),
        (Filter(task="none"), ""),
    ],
)
def test_versions_are_filtered_by_their_cards(wanted: Filter, names: str) -> None:
    versions = [
        version("a"),
        version("b", architecture="bert", parameter_count=1000, licence="MIT"),
        version("c", architecture="gpt2", parameter_count=None, licence=None),
        replace(version("d"), status="FAILED"),
    ]
    groups = leaderboard(versions, [result(one, 1.0) for one in versions], wanted)
    assert "".join(sorted(row.version.name for group in groups for row in group.rows)) == names


def test_another_metric_leaves_out_what_lacks_it() -> None:
    both = replace(result(A, 1.0), metrics=(*result(A, 1.0).metrics, Metric("accuracy", 0.5, "1", 9)))
    other = result(B, 2.0, benchmark="memory")
    (group,) = leaderboard([A, B], [both, other], sort="accuracy")
    assert [row.version.name for row in group.rows] == ["a"]


POINTS = st.tuples(st.floats(-10, 10), st.floats(0, 5)) | st.tuples(st.none(), st.just(0.0))


@given(st.lists(st.tuples(POINTS, st.sampled_from(["one", "two"])), max_size=12), st.sampled_from(["higher", "lower"]))
def test_nobody_is_lost_and_a_rank_is_one_of_those_that_the_intervals_allow(
    found: list[tuple[tuple[float | None, float], str]], better: str
) -> None:
    versions = [version(f"m{number}") for number in range(len(found))]
    results = []
    for one, ((value, spread), processor) in zip(versions, found, strict=True):
        made = result(one, value, spread, hardware=CPU | {"processor": processor})
        results.append(replace(made, metrics=(replace(made.metrics[0], better=better),)))
    groups = leaderboard(versions, results)
    rows = [row for group in groups for row in group.rows]
    assert sorted(row.version.name for row in rows) == sorted(one.name for one in versions)
    for group in groups:
        assert len({row.result.comparable_key for row in group.rows}) == 1
        ranked = [row for row in group.rows if row.rank and row.metric]
        assert [row.rank for row in group.rows][: len(ranked)] == sorted(row.rank for row in ranked if row.rank)
        metrics = [row.metric for row in ranked if row.metric]
        for row, metric in zip(ranked, metrics, strict=True):
            assert row.possible is not None
            assert row.possible[0] == 1 + sum(is_better(other, metric) for other in metrics)
            surely_behind = sum(is_better(metric, other) for other in metrics)
            assert row.possible[0] <= (row.rank or 0) <= row.possible[1] <= len(ranked) - surely_behind
        assert all(bool(row.reason) == (row.rank is None) for row in group.rows)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path))
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    with Catalog.open(url, lambda: datetime(2026, 1, 1, tzinfo=UTC)) as catalog:
        yield catalog


def settle(catalog: Catalog, store: LocalBlobStore, name: str, number: str, content: bytes) -> ModelVersion:
    made = put(store, {"x": content}, name=name, number=number)
    return catalog.settle_version(
        name, made.source, made.manifest, made.card, made.decision, (), lambda previous: number
    )


def test_the_command_prints_files_and_objects(
    home: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["leaderboard"]) == 0
    assert "No results yet" in capsys.readouterr().out
    store = LocalBlobStore(tmp_path / "store")
    for name, value in (("slow", 2.0), ("fast", 1.0)):
        home.add_result(result(settle(home, store, name, "1.0.0", name.encode()), value))
    options = ["--max-params", "1B", "--csv", str(tmp_path / "x.csv"), "--parquet", str(tmp_path / "x.parquet")]
    assert app.run(["leaderboard", *options, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["rank"], row["name"]) for row in rows] == [(1, "fast"), (2, "slow")]
    assert list(rows[0]) == ["schema", *COLUMNS]
    assert list(pandas.read_csv(tmp_path / "x.csv")["name"]) == ["fast", "slow"]
    assert list(pandas.read_parquet(tmp_path / "x.parquet")["value"]) == [1.0, 2.0]
    assert app.run(["leaderboard"]) == 0
    told = capsys.readouterr().out
    assert "ttft_p50" in told
    assert "fast 1.0.0" in told
    assert "900 ms to 1.1 s" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--min-params", "many"], "Write 135M, 7b or 10e9."),
        (["--sort", "speed"], "There are: ttft_p50."),
        (["--benchmark", "speed"], "Known ones: inference_latency"),
        (["--csv", "no/such/folder/x.csv"], "cannot be written"),
        (["--parquet", "no/such/folder/x.parquet"], "cannot be written"),
    ],
)
def test_wrong_usage_is_told_with_what_is_right(
    home: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    home.add_result(result(settle(home, LocalBlobStore(tmp_path / "store"), "m", "1.0.0", b"m"), 1.0))
    assert app.run(["leaderboard", *options, "--json"]) == 64
    error = json.loads(capsys.readouterr().out)["error"]
    assert told in f"{error['problem']} {error['remedy']}"


def test_options_leave_out_what_does_not_fit(home: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.add_result(result(settle(home, LocalBlobStore(tmp_path / "store"), "m", "1.0.0", b"m"), 1.0))
    for fits, option in (
        (True, ["--architecture", "LLAMA", "--licence", "apache-2.0", "--task", "text-generation"]),
        (True, ["--min-params", "134.5M", "--max-params", "1.4e8", "--definition", "inference_latency/1"]),
        (False, ["--definition", "inference_latency/2"]),
        (False, ["--hardware", "H200"]),
        (False, ["--min-params", "7b"]),
        (False, ["--max-params", "135K"]),
    ):
        assert app.run(["leaderboard", *option]) == 0
        assert ("No version fits." in capsys.readouterr().out) is not fits, option
    assert app.run(["leaderboard", "--benchmark", "memory"]) == 0
    assert "No results yet" in capsys.readouterr().out


def test_a_terminal_obeys_no_stranger(home: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = settle(home, LocalBlobStore(tmp_path / "store"), "m-red", "1.0.0", b"m")
    home.add_result(result(one, None, metrics=(), failure="\x1b]0;title\x07 [bold]loud", hardware={"gpu": "\x1b[31m"}))
    assert app.run(["leaderboard"]) == 0
    told = capsys.readouterr().out
    assert "m-red" in told
    assert "[bold]loud" in told.replace("\n", "")
    assert "\x1b" not in told


def test_files_have_the_same_columns_however_many_rows_there_are(tmp_path: Path) -> None:
    strange = version("=HYPERLINK(1)", parameter_count=2**70, licence=None)
    some = leaderboard([A, B, strange], [result(A, 1.0), result(B, None), result(strange, 2.0, noisy="-x")])
    schemas = []
    for number, groups in enumerate(((), some)):
        write_csv(groups, tmp_path / f"{number}.csv")
        write_parquet(groups, tmp_path / f"{number}.parquet")
        assert list(pandas.read_csv(tmp_path / f"{number}.csv").columns) == list(COLUMNS)
        schemas.append(pyarrow.parquet.read_schema(tmp_path / f"{number}.parquet").remove_metadata())
    assert schemas[0] == schemas[1]
    csv = pandas.read_csv(tmp_path / "1.csv")
    assert list(csv["name"]) == ["a", "'=HYPERLINK(1)", "b"]
    assert csv["noisy"][1] == "'-x"
    parquet = pandas.read_parquet(tmp_path / "1.parquet")
    assert list(parquet["name"]) == ["a", "=HYPERLINK(1)", "b"]
    assert list(parquet["rank"].fillna(0)) == [1, 2, 0]
    assert parquet["parameter_count"].isna().tolist() == [False, True, False]
