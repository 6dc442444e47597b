"""`weighbridge results`: what was measured of a model, and how one number came about."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.test_leaderboard import result, settle
from weighbridge.benchmarks import BENCHMARKS
from weighbridge.benchmarks.leaderboard import MAIN_METRICS
from weighbridge.catalog import Catalog
from weighbridge.cli import app
from weighbridge.domain.result import Interval, Metric
from weighbridge.store.local import LocalBlobStore


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog with two models that were measured alike, one that was measured elsewhere, and one that was not."""
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path))
    store = LocalBlobStore(tmp_path / "store")
    with Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}", lambda: datetime(2026, 1, 1, tzinfo=UTC)) as catalog:
        one, two, far, _ = (
            settle(catalog, store, name, "1.0.0", name.encode()) for name in ("one", "two", "far", "new")
        )
        catalog.add_result(result(one, 1.0, noisy="busy", samples={"ttft": [0.5, 1.0, 2.0]}))
        catalog.add_result(result(two, 2.0))
        catalog.add_result(result(far, 2.0, hardware={"processor": "another"}))
    return tmp_path


def test_a_number_is_traced_to_all_that_it_rests_on(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["results", "one", "--explain", "ttft_p50", "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert (facts["value"], facts["unit"], facts["definition"]) == (1.0, "s", "inference_latency/1")
    assert facts["samples"] == [0.5, 1.0, 2.0]
    assert facts["comparable_with"] == ["two 1.0.0"]
    assert facts["settings"] == {"output_tokens": 64, "n": 60}
    assert facts["hardware"]["cores"] == 2
    assert facts["software"]["torch"] == "2.13.0"
    assert facts["manifest_digest"].startswith("sha256:")
    assert app.run(["results", "one", "--explain", "ttft_p50"]) == 0
    told = capsys.readouterr().out
    for words in ("the 50 % quantile", "n 60; 3 raw ones from 0.5 to 2", "order statistics", "busy", "with two 1.0.0"):
        assert words in " ".join(told.split())


#: What each benchmark measures first, and the names of its raw samples.
BOARD = [
    ("inference_latency", "ttft_p50", ["ttft"]),
    ("throughput", "output_tokens_per_second_batch_1", ["output_tokens_per_second_batch_1"]),
    ("memory", "peak_rss", []),
    ("memory", "peak_allocated", []),
    ("embedding_rate", "sentences_per_second", ["sentences_per_second"]),
    ("rerank_rate", "documents_per_second", ["documents_per_second"]),
    ("speech_rate", "real_time_factor", ["real_time_factor"]),
    ("mmlu", "accuracy", ["acc/mmlu_anatomy", "acc/mmlu_virology"]),
    ("humaneval", "pass_at_1", ["pass_at_1/humaneval"]),
    ("lm_eval", "exact_match,strict-match", ["exact_match,strict-match/gsm8k"]),
    ("mt_bench", "score", ["score_turn_1", "score_turn_2"]),
]


def test_each_number_of_the_board_is_explained(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {benchmark for benchmark, _, _ in BOARD} == set(BENCHMARKS)
    assert {metric for _, metric, _ in BOARD} >= {name for names in MAIN_METRICS.values() for name in names}
    for place, (benchmark, metric, names) in enumerate(BOARD):
        store, name = LocalBlobStore(known / "store"), f"of-{place}"
        with Catalog.open(f"sqlite:///{known / 'catalog.db'}", lambda: datetime(2026, 1, 2, tzinfo=UTC)) as catalog:
            measured = result(settle(catalog, store, name, "1.0.0", name.encode()), 1.0)
            values = (Metric(metric, 4.0, "1", 2, Interval(3.0, 5.0)),)
            samples = {one: [3.0, 5.0] for one in names}
            changes: dict[str, Any] = {"benchmark": benchmark, "definition": f"{benchmark}/1"}
            catalog.add_result(replace(measured, metrics=values, samples=samples, **changes))
        assert app.run(["results", name, "--explain", metric, "--json"]) == 0
        (facts,) = json.loads(capsys.readouterr().out)
        assert (facts["metric"], facts["value"], facts["definition"]) == (metric, 4.0, f"{benchmark}/1")
        assert facts["formula"] != "see its definition"
        assert facts["samples"] == [3.0, 5.0] * len(names)
        assert facts["hardware"]["cores"] == 2


def test_everything_that_was_measured_is_shown(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["results", "one"]) == 0
    assert "ttft_p50" in capsys.readouterr().out
    assert app.run(["results", "new"]) == 0
    assert "weighbridge benchmark new" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["one", "--explain", "speed"], "There are: ttft_p50."),
        (["new", "--explain", "ttft_p50"], "none yet"),
        (["nobody"], "has no nobody"),
        (["one", "-b", "speed"], "Known ones: inference_latency"),
    ],
)
def test_what_is_not_there_is_told(
    known: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert app.run(["results", *arguments, "--json"]) == 64
    error = json.loads(capsys.readouterr().out)["error"]
    assert told in f"{error['problem']} {error['remedy']}"


def test_batch_sizes_can_be_told_apart_in_80_columns(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"output_tokens_per_second_batch_{size}" for size in (1, 16, 128)]
    metrics = tuple(Metric(name, 164.27, "tokens/s", 100, Interval(1150.1, 1178.9)) for name in names)
    with Catalog.open(f"sqlite:///{known / 'catalog.db'}", lambda: datetime(2026, 1, 1, tzinfo=UTC)) as catalog:
        found = catalog.get("new")
        assert found is not None
        catalog.add_result(result(found, 1.0, benchmark="throughput", metrics=metrics))
    assert app.run(["results", "new"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "batch" in line] == names
    assert max(map(len, lines)) <= 80
