"""The leaderboard: who is ranked against whom, who is not and why, and what a regression is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registries.values import put
from weighbridge import cli
from weighbridge.benchmarks.interface import INSUFFICIENT, BenchmarkResult, Interval, Metric
from weighbridge.blobs import LocalBlobStore
from weighbridge.card import Field, ModelCard
from weighbridge.catalog import Catalog
from weighbridge.leaderboard import Filter, frame, leaderboard
from weighbridge.manifest import FileEntry, Manifest
from weighbridge.ref import ModelRef
from weighbridge.version import ModelVersion

CPU = {"device": "cpu", "processor": "one", "cores": 2}


def version(name: str, store: LocalBlobStore | None = None, **fields: Any) -> ModelVersion:
    card = {"architecture": "llama", "parameter_count": 135, "licence": "Apache-2.0", "task": "text-generation"}
    made = ModelCard({key: Field(value, "x") for key, value in (card | fields).items() if value is not None})
    if store is not None:
        return replace(put(store, {"x": name.encode()}, name=name), card=made)
    empty = Manifest(ModelRef("mock", name, "1"), (FileEntry(name, 0),))
    return ModelVersion(name, "1.0.0", "PASSED", "mock:x", empty, made, None)  # type: ignore[arg-type]


def result(of: ModelVersion, value: float | None, spread: float = 0.1, **changes: Any) -> BenchmarkResult:
    interval = Interval(value - spread, value + spread) if value is not None else None
    metric = Metric("ttft_p50", value, "s", 60, interval, "" if value is not None else INSUFFICIENT, better="lower")
    made = BenchmarkResult(
        "inference_latency",
        "inference_latency/1",
        str(of.manifest.digest),
        (metric,),
        {"output_tokens": 64, "n": 60},
        CPU,
        {"torch": "2.13.0", "transformers": "5.23.0"},
        samples={"ttft": [1.0, 2.0]},
    )
    return replace(made, **changes)


A, B, C, D = (version(name) for name in "abcd")


def test_better_ones_come_first_and_what_cannot_be_told_apart_shares_a_rank() -> None:
    results = [result(A, 2.0), result(B, 1.0), result(C, 1.05), result(D, 3.0)]
    (group,) = leaderboard([A, B, C, D], results)
    assert [(row.version.name, row.rank) for row in group.rows] == [("b", 1), ("c", 1), ("a", 3), ("d", 4)]


@pytest.mark.parametrize(
    "change",
    [
        {"definition": "inference_latency/2"},
        {"hardware": CPU | {"processor": "another"}},
        {"settings": {"output_tokens": 32, "n": 60}},
        {"software": {"torch": "2.14.0", "transformers": "5.23.0"}},
    ],
)
def test_what_is_not_comparable_is_not_ranked_together(change: dict[str, Any]) -> None:
    groups = leaderboard([A, B], [result(A, 1.0), result(B, 2.0, **change)])
    assert [[row.rank for row in group.rows] for group in groups] == [[1], [1]]


def test_more_samples_and_a_patch_release_stay_comparable() -> None:
    other = {"settings": {"output_tokens": 64, "n": 300}, "software": {"torch": "2.13.9", "transformers": "5.23.1"}}
    assert len(leaderboard([A, B], [result(A, 1.0), result(B, 2.0, **other)])) == 1


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
    (group,) = leaderboard([A, B], [both, result(B, 2.0)], sort="accuracy")
    assert [row.version.name for row in group.rows] == ["a"]


@given(st.lists(st.tuples(st.none() | st.floats(0, 10), st.floats(0.01, 5)), max_size=12))
def test_nobody_is_lost_and_ranks_follow_the_order(found: list[tuple[float | None, float]]) -> None:
    versions = [version(f"m{number}") for number in range(len(found))]
    results = [result(one, value, spread) for one, (value, spread) in zip(versions, found, strict=True)]
    rows = [row for group in leaderboard(versions, results) for row in group.rows]
    assert {row.version.name for row in rows} == {one.name for one in versions}
    ranks = [row.rank for row in rows if row.rank is not None]
    assert ranks == sorted(ranks)
    assert ranks[:1] in ([1], [])


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


def test_results_are_kept_and_the_newest_of_a_kind_counts(home: Catalog, tmp_path: Path) -> None:
    one = settle(home, LocalBlobStore(tmp_path / "store"), "m", "1.0.0", b"1")
    home.add_result(result(one, 1.0))
    home.add_result(result(one, 2.0))
    home.add_result(result(one, 9.0, hardware=CPU | {"processor": "another"}))
    found = home.results([one.manifest.digest])
    assert [kept.metrics[0].value for kept in found] == [9.0, 2.0]
    assert found[0].samples == {}
    assert home.results(benchmark="inference_latency", samples=True)[0].samples == {"ttft": [1.0, 2.0]}
    assert home.results(benchmark="throughput") == []
    assert home.results([]) == []


def test_a_version_that_is_worse_beyond_chance_raises_an_event(home: Catalog, tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "store")
    one, two, three = (settle(home, store, "m", f"1.{minor}.0", bytes([minor])) for minor in range(3))
    home.add_result(result(one, 1.0))
    home.add_result(result(two, 1.15))
    assert home.events(kind="version.regressed") == []
    home.add_result(result(three, 2.0, hardware=CPU | {"processor": "another"}))
    assert home.events(kind="version.regressed") == []
    home.add_result(result(three, 2.0))
    (event,) = home.events(kind="version.regressed")
    assert event.subject == "m@1.2.0"
    assert (event.detail["before"], event.detail["was"], event.detail["now"]) == ("1.1.0", 1.15, 2.0)


def test_the_command_prints_files_and_objects(
    home: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["leaderboard"]) == 0
    assert "No results yet" in capsys.readouterr().out
    store = LocalBlobStore(tmp_path / "store")
    for name, value in (("slow", 2.0), ("fast", 1.0)):
        home.add_result(result(settle(home, store, name, "1.0.0", name.encode()), value))
    options = ["--max-params", "1B", "--csv", str(tmp_path / "x.csv"), "--parquet", str(tmp_path / "x.parquet")]
    assert cli.run(["leaderboard", *options, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["rank"], row["name"]) for row in rows] == [(1, "fast"), (2, "slow")]
    assert list(pandas.read_csv(tmp_path / "x.csv")["name"]) == ["fast", "slow"]
    assert list(pandas.read_parquet(tmp_path / "x.parquet")["value"]) == [1.0, 2.0]
    assert cli.run(["leaderboard"]) == 0
    told = capsys.readouterr().out
    assert "ttft_p50" in told
    assert "fast 1.0.0" in told
    assert cli.run(["leaderboard", "--min-params", "many"]) == 64


def test_no_rows_make_an_empty_frame() -> None:
    assert frame(()).empty
