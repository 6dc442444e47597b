"""The flow `benchmark` embedded: results as they come, one benchmark a device, an end that says what was measured."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import State, StateType
from prefect.concurrency.sync import concurrency

from flows.benchmark import benchmark
from flows.ingest import ingest
from flows.result_plots import latency, points, quality, throughput
from tasks import device_slots
from tasks.device_slots import chosen, limit_name, make_slot, occupied
from tests.benchmarks import documents
from tests.benchmarks.conversations import entries, judge
from tests.flows.conftest import DEMO_POLICY
from tests.handlers import tiny
from tests.services.clamd import signatures
from tests.simulators.openai import OpenAIService
from weighbridge.cli import app
from weighbridge.config.settings import Settings
from weighbridge.domain.result import BenchmarkResult, Metric
from weighbridge.errors import Cancelled, InvalidConfiguration
from weighbridge.intake.opening import open_catalog

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_harness")]
CARD = b"---\nlicense: apache-2.0\npipeline_tag: text-generation\n---\n# A tiny Llama\n"


@pytest.fixture(scope="module")
def llama_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a tiny Llama, `llama`, was taken in and passed."""
    folder = tmp_path_factory.mktemp("llama")
    (tiny.llama(folder / "llama") / "README.md").write_bytes(CARD)
    with pytest.MonkeyPatch.context() as patch:
        surround(patch, folder)
        assert app.run(["ingest", f"file:{folder / 'llama'}", "--via", "direct", "--json"]) == 0
    return folder


@pytest.fixture
def home(llama_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    surround(monkeypatch, llama_home)
    return llama_home


def surround(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("WEIGHBRIDGE_HOME", str(folder / "home"))
    patch.setenv("WEIGHBRIDGE_POLICY", DEMO_POLICY)
    patch.setenv("WEIGHBRIDGE_CLAMAV_DATABASE", str(signatures(folder / "signatures")))
    patch.setenv("WEIGHBRIDGE_REGISTRIES", '["export"]')
    patch.setenv("WEIGHBRIDGE_FILE_ROOTS", json.dumps([str(folder)]))
    patch.chdir(folder)


def run(**parameters: Any) -> State[Any]:
    return benchmark(**{"n": 6, "device": "cpu", "timeout_s": 120, **parameters}, return_state=True)


def run_id(state: State[Any]) -> UUID:
    assert isinstance(state.state_details.flow_run_id, UUID)
    return state.state_details.flow_run_id


def artifacts(state: State[Any]) -> dict[str, Any]:
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id(state)]))
        return {f"{found.type}:{found.key}": found.data for found in client.read_artifacts(artifact_filter=wanted)}


def children() -> list[psutil.Process]:
    return [found for found in psutil.Process().children(recursive=True) if _is_benchmark(found)]


def _is_benchmark(process: psutil.Process) -> bool:
    try:
        return "weighbridge.benchmarks.child" in process.cmdline()
    except psutil.Error:
        return False


def test_a_model_is_measured(home: Path) -> None:
    state = run(
        name="llama", benchmarks=["inference_latency", "lm_eval"], tasks=["of_none"], warmups=1, output_tokens=8
    )
    assert (state.type, state.name) == (StateType.COMPLETED, "Completed")
    assert state.message is not None
    assert state.message.startswith("1 of 2 measured. lm_eval of llama: ")
    kept = artifacts(state)
    rows = {row["metric"]: row for row in json.loads(kept["table:inference-latency-llama"])}
    assert float(rows["ttft_p50"]["value"].split()[0]) > 0
    assert rows["ttft_p99"]["value"] == "insufficient samples"
    image = kept["image:plot-inference-latency-llama"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(image).startswith(b"\x89PNG")
    assert "image:plot-lm-eval-llama" not in kept


def test_lengths_and_batches_are_chosen_as_on_the_command_line(home: Path) -> None:
    lengths = {"batch_sizes": [1, 3], "prompt_tokens": 9, "output_tokens": 5}
    assert run(name="llama", benchmarks=["throughput"], warmups=1, **lengths).name == "Completed"
    with open_catalog(Settings()) as catalog:
        newest = catalog.results(benchmark="throughput")[0]
    assert {name: newest.settings[name] for name in lengths} == lengths


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"name": "nobody"}, "no nobody"),
        ({"name": "llama", "benchmarks": ["speed"]}, "no benchmark “speed”"),
        ({"name": "llama", "device": "cuda:7"}, "no device “cuda:7”"),
        ({"name": "llama", "benchmarks": ["embedding_rate"]}, "measures text-embedding"),
        ({"name": "llama", "handler": "weighbridge.handlers.no.Such", "benchmarks": ["memory"]}, "no module"),
        ({"name": "llama", "output_tokens": 1}, "output_tokens is 1"),
        ({"name": "llama", "batch_sizes": [2, 0]}, "batch_sizes is 0"),
        ({"name": "llama", "request_rates": []}, "at least one number"),
        ({"name": "llama", "handler": "os.PathLike"}, "may not load os.PathLike"),
        ({"name": "llama", "data": ["mmlu=/etc/passwd"]}, "may not read “mmlu=/etc/passwd”"),
        ({"name": "llama", "data": ["mmlu=nothing.json"]}, "names no file"),
        ({"name": "llama", "data": ["own=task.yaml"]}, "may name code"),
        ({"name": "llama", "models": "/etc/models.yaml"}, "may not read /etc/models.yaml"),
        ({"name": "llama", "judge_url": "http://127.0.0.1:1/v1"}, "127.0.0.1"),
        ({"name": "llama", "judge_key_env": "HOME"}, "may not read HOME"),
    ],
)
def test_nothing_measured_is_a_failure(home: Path, parameters: dict[str, Any], words: str) -> None:
    state = run(**parameters)
    assert (state.type, state.name) == (StateType.FAILED, "Failed")
    assert words in str(state.message)


def test_a_judge_and_its_key_are_those_that_the_operator_lets_be_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loopback is where nobody's run may send anything, unless whoever runs the worker says so; the key as well."""
    monkeypatch.setenv("JUDGE_KEY", "sk-hunter2")
    monkeypatch.setenv("WEIGHBRIDGE_PRIVATE_NETWORKS", '["127.0.0.0/8"]')
    monkeypatch.setenv("WEIGHBRIDGE_TOKEN_PLACES", '{"JUDGE_KEY": ["judge.example"]}')
    path = documents.lines(home / "questions.jsonl", entries())
    with OpenAIService(judge(lambda _: 7), key="sk-hunter2") as service:
        asked: dict[str, Any] = {"name": "llama", "benchmarks": ["mt_bench"], "data": [f"mt_bench={path}"]}
        asked |= {"judge_url": service.url, "judge_model": "wise", "judge_key_env": "JUDGE_KEY", "answer_tokens": 4}
        refused = run(**asked)
        assert "JUDGE_KEY is not for 127.0.0.1" in str(refused.message)
        monkeypatch.setenv("WEIGHBRIDGE_TOKEN_PLACES", '{"JUDGE_KEY": ["127.0.0.1"]}')
        state = run(**asked)
    assert state.name == "Completed", state.message
    kept = artifacts(state)
    rows = {row["metric"]: row for row in json.loads(kept["table:mt-bench-llama"])}
    assert rows["score"]["value"].split()[0] == "7"
    assert "hunter2" not in json.dumps(kept) + str(state.message)


def test_what_is_new_is_measured_once(home: Path) -> None:
    """What a request got wrong is no result of the model, and what its handler cannot do is not tried."""
    names = ["memory", "rerank_rate", "inference_latency"]
    failing = run(name="llama", benchmarks=["inference_latency"], output_tokens=10**6)
    assert (failing.name, str(failing.message)[:15]) == ("Failed", "0 of 1 measured")
    first = run(benchmarks=names)
    assert first.name == "Completed", first.message
    second = run(benchmarks=names)
    assert (second.name, str(second.message)[:14]) == ("Completed", "Nothing is new")
    assert run(name="llama@1.0.0", benchmarks=["memory"]).name == "Completed"
    with open_catalog(Settings()) as catalog:
        kept = {(result.benchmark, bool(result.failure)) for result in catalog.results()}
    assert {("memory", False), ("inference_latency", False)} <= kept
    assert ("inference_latency", True) not in kept


def test_a_device_does_one_benchmark_at_a_time(home: Path) -> None:
    """Another run that holds the device is waited for; who no longer wants it waits no more."""
    name = make_slot("cpu")
    with get_client(sync_client=True) as client:
        assert client.read_global_concurrency_limit_by_name(name).limit == 1
    event, states = threading.Event(), []
    with concurrency(name, strict=True):
        waiting = threading.Thread(target=lambda: states.append(_hold("cpu", event)))
        waiting.start()
        waiting.join(device_slots.WAIT_S + 2)  # Longer than one wait: it asks again.
        assert waiting.is_alive()
        event.set()
        waiting.join()
    assert states == ["cancelled"]
    assert _hold("cpu", threading.Event()) == "held"


def _hold(device: str, event: threading.Event) -> str:
    try:
        with occupied(device, event):
            return "held"
    except Cancelled:
        return "cancelled"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Take interrupts, which a shell that starts the tests in the background has them ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_cancelled_run_leaves_no_child(home: Path) -> None:
    """As Prefect's runner does it: an exception in the flow's thread while a benchmark works."""
    timer = Interrupt()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run(name="llama", benchmarks=["inference_latency"], n=100_000)
    timer.join()
    assert timer.found, "the benchmark never started"
    assert not children()
    assert _hold("cpu", threading.Event()) == "held"


class Interrupt(threading.Thread):
    """Interrupts the main thread once a benchmark's child is there."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.found = False

    def run(self) -> None:
        while not children():
            threading.Event().wait(0.1)
        self.found = True
        os.kill(os.getpid(), signal.SIGINT)


def test_devices_are_those_of_this_machine() -> None:
    assert chosen("cpu") == "cpu"
    assert limit_name("cpu").startswith("cpu:")
    with pytest.raises(InvalidConfiguration, match="It has"):
        chosen("cuda:99")


def test_plots_show_what_there_is() -> None:
    metrics = (
        Metric("output_tokens_per_second_batch_1", 10.0, "tokens/s", 3),
        Metric("output_tokens_per_second_batch_2", 19.0, "tokens/s", 3),
        Metric("output_tokens_per_second_batch_4", None, "tokens/s", 0, reason="out of memory"),
    )
    speed = BenchmarkResult("throughput", "throughput/1", "sha256:0", metrics, {}, {}, {})
    right = BenchmarkResult("mmlu", "mmlu/1", "sha256:0", (Metric("accuracy", 0.5, "1", 40),), {}, {}, {})
    assert throughput("a $model", speed).startswith(b"\x89PNG")
    assert throughput("a model", right) == latency("a model", right) == b""
    found = points([("both", speed), ("both", right), ("fast", speed), ("good", right)])
    assert [(point.name, point.speed, point.quality) for point in found] == [("both", 19.0, 0.5)]
    assert quality(found).startswith(b"\x89PNG")


def test_an_ingest_measures_what_passed(llama_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no worker has the deployment it is a subflow, whose end does not change that the model passed."""
    surround(monkeypatch, llama_home)
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path))
    state = ingest(f"file:{llama_home / 'llama'}", benchmarks=("memory",), return_state=True)
    assert state.name == "Completed"
    wanted = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run_id(state)]))
    with get_client(sync_client=True) as client:
        (child,) = client.read_flow_runs(flow_run_filter=wanted)
    assert (child.name, child.state_name) == ("benchmark llama@1.0.0", "Completed")
    with open_catalog(Settings()) as catalog:
        assert [result.benchmark for result in catalog.results()] == ["memory"]
