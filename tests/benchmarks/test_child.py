"""A benchmark's child: what a model does to it becomes a result, and nothing of it stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from tests.handlers import tiny
from tests.simulators.openai import OpenAIService
from weighbridge.benchmarks.child import Work, cause_of, run_in_child
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.domain.result import OF_MEMORY, OF_MODEL, OF_RUN, BenchmarkResult
from weighbridge.errors import (
    BenchmarkFailed,
    Cancelled,
    HandlerError,
    InvalidConfiguration,
    InvalidRequest,
    OutOfMemory,
    SourceUnavailable,
    WeighbridgeError,
)

pytestmark = pytest.mark.xdist_group("torch")
SETTINGS = BenchmarkSettings(n=6, warmups=1, prompt_tokens=8, output_tokens=4, timeout_s=120)
OWN = """
import os, time
class Mine:
    capabilities = ["chat-completion"]
    def __init__(self, hf_repo_id, device, cache_dir=None, **kwargs):
        self.name, self.device = "mine", device
        print("loud on stdout")
    def generate(self, messages, **options): ...
    def count_tokens(self, messages, **options): ...
    def stream(self, messages, on_token, **options):
        {does}
"""


def clock() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def chat(folder: Path) -> Work:
    return Work(
        "inference_latency",
        "weighbridge.handlers.chat.TextChat",
        str(folder),
        "sha256:" + "a" * 64,
        "cpu",
        {"name": "tiny"},
        SETTINGS,
    )


def children(folder: Path) -> list[psutil.Process]:
    """Return the processes that measure for a test, told from those of others by the folder that they import from."""
    ours = {"PYTHONPATH": str(folder)}.items()
    found = psutil.process_iter(["cmdline", "environ"])
    return [
        process
        for process in found
        if "weighbridge.benchmarks.child" in (process.info["cmdline"] or [])
        and ours <= (process.info["environ"] or {}).items()
    ]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    assert children(tmp_path) == []


def does(folder: Path, name: str, code: str) -> Work:
    (folder / f"{name}.py").write_text(OWN.replace("{does}", code))
    return replace(chat(folder), handler=f"{name}.Mine")


def test_a_result_is_bound_to_model_machine_and_software(tmp_path: Path) -> None:
    found = run_in_child(chat(tiny.llama(tmp_path)), clock)
    assert (found.failure, found.definition, found.manifest_digest) == (
        "",
        "inference_latency/2",
        "sha256:" + "a" * 64,
    )
    assert found.hardware["device"] == "cpu"
    assert found.hardware["cores"] >= 1
    assert {"torch", "transformers", "weighbridge"} <= found.software.keys()
    assert {"load_before", "load_after", "used_by_others"} <= found.hardware.keys()
    assert found.hardware["threads"] == 1
    assert (found.settings["dtype"], found.settings["handler"]) == ("float32", "weighbridge.handlers.chat.TextChat")
    assert len(found.samples["ttft"]) == 6
    assert found.started_at == "2026-01-01T00:00:00+00:00"
    assert BenchmarkResult.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("crashes", "os.abort()", "SIGABRT"),
        ("exits", "os._exit(3)", "ended with 3"),
        ("raises", "raise ValueError('what')", "what"),
        ("memory", "raise MemoryError()", ""),
    ],
)
def test_what_a_model_does_to_its_process_is_a_result(own: Path, name: str, code: str, told: str) -> None:
    found = run_in_child(does(own, f"own_{name}", code), clock)
    assert found.failure
    assert told in found.failure
    assert (found.metrics, found.cause) == ((), OF_MODEL)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OutOfMemory("too small"), OF_MEMORY),
        (HandlerError("computes NaN"), OF_MODEL),
        (HandlerError("does not answer", transient=True), OF_RUN),
        (InvalidRequest("temperature is -1"), OF_RUN),
        (SourceUnavailable("the Hub is away"), OF_RUN),
        (BenchmarkFailed("there is no such file"), OF_RUN),
    ],
)
def test_a_failure_says_whose_it_is(error: WeighbridgeError, cause: str) -> None:
    assert cause_of(error) == cause


def test_a_failure_keeps_its_cause_and_settings(own: Path) -> None:
    work = does(own, "own_full", "from weighbridge.errors import OutOfMemory; raise OutOfMemory('too small')")
    found = run_in_child(work, clock)
    assert (found.failure, found.cause) == ("too small", OF_MEMORY)
    assert {"handler": "own_full.Mine", "output_tokens": 4}.items() <= found.settings.items()


def test_what_is_made_once_is_no_memory_of_the_model(own: Path) -> None:
    """A conversion at the first loading would count for whoever measures first."""
    (own / "own_makes.py").write_text(
        "import os\n"
        "from weighbridge.handlers.chat import TextChat\n"
        "class Mine(TextChat):\n"
        "    def __init__(self, *given, **options):\n"
        "        super().__init__(*given, **options)\n"
        "        made = os.path.join(given[0], 'made')\n"
        "        if not os.path.exists(made):\n"
        "            held = bytearray(500 * 1024**2); held[::4096] = b'x' * len(held[::4096])\n"
        "            open(made, 'w').close()\n"
    )
    work = replace(chat(tiny.llama(own / "model")), benchmark="memory", handler="own_makes.Mine")
    peaks = [run_in_child(work, clock).metric("peak_rss") for _ in range(2)]
    first, again = (peak.value for peak in peaks if peak and peak.value)
    assert first < again + 200 * 1024**2


def test_a_model_that_never_answers_is_ended(own: Path) -> None:
    work = does(own, "own_hangs", "time.sleep(600)")
    found = run_in_child(replace(work, settings=replace(SETTINGS, timeout_s=8)), clock)
    assert "killed after 8 s" in found.failure
    assert found.cause == "", "a busy machine may be the cause, so it is tried again"


def test_a_cancelled_benchmark_leaves_no_process(own: Path) -> None:
    event = threading.Event()
    started, seen = own / "started", []
    work = does(own, "own_waits", f"open({str(started)!r}, 'w').close(); time.sleep(600)")

    def cancel() -> None:
        while not started.exists():
            time.sleep(0.05)
        seen.extend(children(own))
        event.set()

    threading.Thread(target=cancel, daemon=True).start()
    with pytest.raises(Cancelled):
        run_in_child(work, clock, event)
    assert len(seen) == 1


def test_what_is_no_model_is_a_result(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 64)
    found = run_in_child(chat(tmp_path), clock)
    assert "cannot be loaded" in found.failure
    assert found.hardware["device"] == "cpu"


@pytest.mark.parametrize("device", ["cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_no_failure_of_the_model(tmp_path: Path, device: str) -> None:
    with pytest.raises(InvalidConfiguration, match="no device"):
        run_in_child(replace(chat(tmp_path), device=device), clock)


def test_the_wrong_task_is_wrong_usage(tmp_path: Path) -> None:
    work = replace(chat(tiny.llama(tmp_path)), benchmark="embedding_rate")
    with pytest.raises(InvalidConfiguration, match="does chat-completion"):
        run_in_child(work, clock)


def test_a_service_is_measured_too() -> None:
    with OpenAIService(answer=lambda body: "a b c d e f") as service:
        work = replace(
            chat(Path("org/model")),
            handler="weighbridge.handlers.upstream.UpstreamChat",
            model="org/model",
            options={"name": "far", "upstream_base_url": service.url},
        )
        found = run_in_child(work, clock)
    assert (found.failure, found.hardware["endpoint"]) == ("", "127.0.0.1")


@pytest.mark.parametrize("change", [{"benchmark": "no_such"}, {"handler": "no.such.Handler"}])
def test_a_wrong_name_is_wrong_usage(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(InvalidConfiguration):
        run_in_child(replace(chat(tmp_path), **change), clock)
