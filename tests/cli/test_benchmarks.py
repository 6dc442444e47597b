"""`weighbridge benchmark`: what a user says reaches the benchmark, and its result the catalog."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import documents
from tests.benchmarks.conversations import entries, judge
from tests.handlers import tiny
from tests.registries.values import put
from tests.simulators.openai import OpenAIService
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.running import BenchmarkRequest
from weighbridge.cli import app
from weighbridge.config.settings import Settings
from weighbridge.domain.result import BenchmarkResult
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import UsageError
from weighbridge.intake import measuring
from weighbridge.intake.opening import open_catalog
from weighbridge.net.addresses import AddressPolicy
from weighbridge.store.local import LocalBlobStore

pytestmark = pytest.mark.xdist_group("torch")


@pytest.fixture
def llama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    """A tiny Llama that passed, in a home of its own."""
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = tiny.llama(tmp_path / "llama", max_position_embeddings=2048)
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    made = put(LocalBlobStore(Settings().store_folder), content, name="llama")
    with open_catalog(Settings()) as catalog:
        return catalog.settle_version(
            "llama", made.source, made.manifest, made.card, made.decision, (), lambda _last: "1.0.0"
        )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[BenchmarkRequest]:
    """The requests that the command makes; none is carried out."""
    found: list[BenchmarkRequest] = []

    def remember(
        _version: object, _blobs: object, request: BenchmarkRequest, *_clock: object, **_keep: Any
    ) -> list[Any]:
        found.append(request)
        return []

    monkeypatch.setattr(measuring, "benchmark", remember)
    return found


def test_mmlu_is_measured_as_the_user_says(
    llama: ModelVersion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = documents.lines(tmp_path / "anatomy.jsonl", documents.questions("anatomy"))
    command = ["benchmark", "llama", "-b", "mmlu", "--task", "mmlu_anatomy", "--data", f"mmlu_anatomy={path}"]
    chosen = ["--limit", "3", "--shots", "1", "--seed", "7", "--batch-size", "2", "--device", "cpu", "--json"]
    assert app.run([*command, *chosen]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert [(metric["name"], metric["n"]) for metric in result["metrics"]] == [("accuracy", 3)]
    wanted = {"limit": 3, "seed": 7, "batch_size": 2, "tasks": ["mmlu_anatomy"], "shots": {"mmlu_anatomy": 1}}
    assert wanted.items() <= result["settings"].items()
    with open_catalog(Settings()) as catalog:
        kept = catalog.results([str(llama.manifest.digest)])
    assert [(one.benchmark, one.definition) for one in kept] == [("mmlu", "mmlu/1")]


@pytest.mark.parametrize(
    ("options", "configured", "endpoint"),
    [
        ([], "", ""),
        ([], "http://hub.example", "http://hub.example"),
        (["--endpoint", "http://other.example"], "http://hub.example", "http://other.example"),
    ],
)
def test_data_sets_come_from_the_configured_hub_or_another(
    llama: ModelVersion,
    asked: list[BenchmarkRequest],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    configured: str,
    endpoint: str,
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_HUGGINGFACE_ENDPOINT", configured)
    assert app.run(["benchmark", "llama", "-b", "mmlu", *options]) == 0
    assert [request.settings for request in asked] == [BenchmarkSettings(endpoint=endpoint)]


def test_a_folder_may_take_the_place_of_a_data_set(llama: ModelVersion, asked: list[BenchmarkRequest]) -> None:
    assert app.run(["benchmark", "llama", "-b", "mmlu", "--data", "mmlu=llama"]) == 0
    assert asked[0].settings.data == {"mmlu": str(Path("llama").absolute())}


def test_the_settings_name_files_for_every_run_and_a_run_may_name_others(
    llama: ModelVersion, asked: list[BenchmarkRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_BENCHMARK_DATA", '{"speech": "speech.wav", "mmlu": "/srv/mmlu"}')
    assert app.run(["benchmark", "llama", "-b", "mmlu", "--data", "mmlu=llama"]) == 0
    assert asked[0].settings.data == {
        "speech": str(Path("speech.wav").absolute()),
        "mmlu": str(Path("llama").absolute()),
    }


def test_each_result_is_printed_before_the_next_is_measured(
    llama: ModelVersion, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = BenchmarkResult("memory", "memory/1", str(llama.manifest.digest), (), {}, {}, {})

    def stopped(*_: object, keep: Callable[[BenchmarkResult], None], **_rest: object) -> list[BenchmarkResult]:
        keep(kept)
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "benchmark", stopped)
    assert app.run(["benchmark", "llama", "-b", "memory", "-b", "throughput"]) == 130
    printed = capsys.readouterr()
    assert "memory/1" in printed.out
    assert "measured is kept" in printed.err


@pytest.mark.parametrize(
    "options",
    [
        ["--task", "arc_easy"],
        ["-b", "memory", "--task", "arc_easy"],
        ["-b", "mmlu", "--data", "mmlu=none"],
        ["-b", "lm_eval"],
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    llama: ModelVersion, asked: list[BenchmarkRequest], options: list[str]
) -> None:
    assert app.run(["benchmark", "llama", *options]) == UsageError.exit_code
    assert asked == []


JUDGE = ["--judge-url", "http://127.0.0.1:1/v1", "--judge-model", "wise"]


def test_answers_are_judged_by_whom_the_user_names(
    llama: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-hunter2")
    path = documents.lines(tmp_path / "questions.jsonl", entries())
    with OpenAIService(judge(lambda _: 7), key="sk-hunter2") as service:
        command = ["benchmark", "llama", "-b", "mt_bench", "--data", f"mt_bench={path}", "--judge-url", service.url]
        chosen = ["--judge-model", "wise", "--judge-key-env", "JUDGE_KEY", "--answer-tokens", "4", "--device", "cpu"]
        assert app.run([*command, *chosen, "--json"]) == 0
    printed = capsys.readouterr()
    (result,) = json.loads(printed.out)
    assert (result["metrics"][0]["name"], result["metrics"][0]["value"]) == ("score", 7)
    assert {"judge": "wise", "max_new_tokens": 4, "n": 8}.items() <= result["settings"].items()
    with open_catalog(Settings()) as catalog:
        ((_, kept),) = [(one.benchmark, one) for one in catalog.results([str(llama.manifest.digest)], samples=True)]
    assert kept.samples["score_turn_2"] == [7.0] * 8
    everything = printed.out + printed.err + json.dumps(kept.to_json())
    assert not any("hunter2" in text for text in [everything, *(str(asked) for _, asked in service.asked)])
    assert b"hunter2" not in b"".join(file.read_bytes() for file in Path("home").rglob("*") if file.is_file())


def test_a_judge_that_cannot_be_asked_is_kept_without_what_its_address_holds(
    llama: ModelVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["benchmark", "llama", "-b", "mt_bench", "--judge-model", "wise", "--device", "cpu", "--json"]
    assert app.run([*command, "--judge-url", "https://user:hunter2@judge.example/v1"]) == 1
    printed = capsys.readouterr()
    assert "judge_url" in json.loads(printed.out)[0]["failure"]
    assert "hunter2" not in printed.out + printed.err
    assert b"hunter2" not in b"".join(file.read_bytes() for file in Path("home").rglob("*") if file.is_file())


@pytest.mark.parametrize(
    "options",
    [
        ["-b", "memory", *JUDGE],
        ["-b", "mt_bench"],
        ["-b", "mt_bench", *JUDGE[:2]],
        ["-b", "mt_bench", *JUDGE[2:]],
        ["-b", "mt_bench", *JUDGE, "--judge-key-env", "sk-hunter2"],
        ["-b", "mt_bench", *JUDGE, "--answer-tokens", "0"],
    ],
)
def test_a_judge_is_named_whole_and_where_there_is_something_to_judge(
    llama: ModelVersion, asked: list[BenchmarkRequest], capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert app.run(["benchmark", "llama", *options]) == 64
    assert asked == []
    assert "hunter2" not in str(capsys.readouterr())


def test_a_judge_lies_where_the_settings_let_it(
    llama: ModelVersion, asked: list[BenchmarkRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_ALLOWED_HOSTS", '["*.example.com"]')
    assert app.run(["benchmark", "llama", "-b", "mt_bench", *JUDGE]) == 0
    assert asked[0].settings.judge_addresses == AddressPolicy(hosts=("*.example.com",))
