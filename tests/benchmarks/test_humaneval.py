"""humaneval: lm-eval's own task with our sandbox; what passes, what fails, and what runs nowhere."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from tests.benchmarks import documents
from tests.benchmarks.scripted import ANSWERS, ScriptedChat
from tests.handlers import tiny
from tests.simulators.hub import Hub
from tests.simulators.openai import OpenAIService
from weighbridge.benchmarks import humaneval
from weighbridge.benchmarks.child import Work, run_in_child
from weighbridge.benchmarks.codesandbox import CodeLimits, CodeSandbox
from weighbridge.benchmarks.humaneval import HumanEval
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.errors import BenchmarkFailed, Cancelled, HandlerError
from weighbridge.handlers.upstream import UpstreamChat

pytestmark = pytest.mark.xdist_group("torch")
RIGHT = {"one": "    return x + 0\n", "two": "    return x + 1\ndef unasked():\n    raise ValueError\n"}
WRONG = {
    "wrong": "    return x\n",
    "unended": "    return (x +\n",
    "forks": "    import os\n    while True:\n        os.fork()\n",
    "fills": "    with open('/tmp/x', 'wb') as file:\n        while True:\n            file.write(bytes(10**6))\n",
    "connects": "    import socket\n    socket.create_connection(('127.0.0.1', {port}))\n    return x + 6\n",
    "endless": "    while True:\n        pass\n",
    "leaves": "    import os\n    os._exit(0)\n",
}
DOCUMENTS = documents.functions([*RIGHT, *WRONG])


def model(folder: Path, answers: Mapping[str, str]) -> Path:
    tiny.llama(folder, max_position_embeddings=4096)
    (folder / ANSWERS).write_text(json.dumps({f"def {name}(": answer for name, answer in answers.items()}))
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkSettings:
    path = tmp_path_factory.mktemp("data") / "humaneval.jsonl"
    return BenchmarkSettings(data={"humaneval": documents.lines(path, DOCUMENTS)})


def test_only_code_that_passes_its_tests_counts(
    settings: BenchmarkSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = CodeLimits(cpu_time_s=1, wall_time_s=8)
    monkeypatch.setattr(humaneval, "CodeSandbox", lambda: CodeSandbox(short))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = str(server.getsockname()[1])
        answers = RIGHT | {name: answer.replace("{port}", port) for name, answer in WRONG.items()}
        handler = ScriptedChat(str(model(tmp_path / "model", answers)), "cpu", name="scripted")
        found = HumanEval().run(handler, settings, threading.Event())
        with pytest.raises(BlockingIOError):
            server.accept()
    (metric,) = found.metrics
    assert (metric.name, metric.value, metric.n) == ("pass_at_1", 2 / 9, 9)
    # Wilson's interval of 2 in 9, by hand: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    assert metric.interval is not None
    assert (metric.interval.low, metric.interval.high) == (
        pytest.approx(0.0632, abs=1e-4),
        pytest.approx(0.5474, abs=1e-4),
    )
    assert found.samples == {"pass_at_1/humaneval": [1.0, 1.0] + [0.0] * 7}
    # lm-eval's own metric would download code and run it in here.
    assert "lm_eval.tasks.humaneval.utils" not in sys.modules
    assert found.settings["sandbox"] == "bwrap+seccomp/2"
    assert (found.settings["cpu_time_s"], found.settings["wall_time_s"]) == (1, 8)
    assert [child for child in psutil.Process().children(recursive=True) if "bwrap" in child.name()] == []


def test_the_stock_data_set_of_a_hub_is_run_in_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    folder = model(tmp_path / "model", {"one": "    return x + 0\n", "two": "    return x\n"})
    with Hub() as hub:
        hub.add("openai/openai_humaneval", documents.humaneval(DOCUMENTS[:3]), kind="datasets")
        chosen = BenchmarkSettings(limit=2, endpoint=hub.url, timeout_s=120)
        handler = "tests.benchmarks.scripted.ScriptedChat"
        work = Work("humaneval", handler, str(folder), "sha256:" + "a" * 64, "cpu", {"name": "tiny"}, chosen)
        found = run_in_child(work, lambda: datetime(2026, 1, 1, tzinfo=UTC))
        assert {request.path.split("?")[0].split("/")[1] for request in hub.requests} <= {"api", "datasets"}
    assert found.failure == ""
    assert [(metric.name, metric.value, metric.n) for metric in found.metrics] == [("pass_at_1", 0.5, 2)]
    assert found.settings["versions"] == {"humaneval": "1.0"}


def test_tests_have_what_the_prompt_defines_and_no_more() -> None:
    """HumanEval/32 and others call a function of their prompt, which the completion must not replace."""
    document = {
        "prompt": "def poly(xs, x):\n    return sum(c * x**i for i, c in enumerate(xs))\n\n\n"
        'def zero(xs):\n    """Return the root."""\n',
        "entry_point": "zero",
        "test": "def check(candidate):\n    assert abs(poly([-2, 1], candidate([-2, 1]))) < 1e-6\n",
    }
    sandbox = CodeSandbox(CodeLimits(cpu_time_s=2, wall_time_s=8))
    grade = humaneval.pass_at_1(sandbox, threading.Event())

    def grades(completion: str) -> float:
        return grade([humaneval.tests(document)], humaneval.programs([[completion]], [document])[0:1])

    assert grades("    return -xs[0] / xs[1]\n") == 1.0
    assert grades("    return 5\ndef poly(xs, x):\n    return 0\n") == 0.0
    bare = document | {"prompt": "def zero(xs):\n"}
    assert humaneval.tests(bare).startswith("def zero(xs):\n    pass\n")


def test_without_a_sandbox_the_model_is_not_even_asked(
    settings: BenchmarkSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = ScriptedChat(str(model(tmp_path / "model", {})), "cpu", name="scripted")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BenchmarkFailed, match="apt-get install bubblewrap"):
        HumanEval().run(handler, settings, threading.Event())


def test_what_cannot_be_measured_is_refused(settings: BenchmarkSettings, tmp_path: Path) -> None:
    handler = ScriptedChat(str(model(tmp_path / "model", RIGHT | WRONG)), "cpu", name="scripted")
    event = threading.Event()
    with OpenAIService() as service, pytest.raises(BenchmarkFailed, match="only answers messages"):
        HumanEval().run(UpstreamChat("m", upstream_base_url=service.url), settings, event)
    with pytest.raises(BenchmarkFailed, match="may be a file"):
        HumanEval().run(handler, replace(settings, data={"humaneval": str(tmp_path / "none.jsonl")}), event)
    own = tmp_path / "own.yaml"
    own.write_text("task: humaneval\nunsafe_code: true\n")
    with pytest.raises(BenchmarkFailed, match="no task file"):
        HumanEval().run(handler, replace(settings, data={"humaneval": str(own)}), event)
    event.set()
    with pytest.raises(Cancelled):
        HumanEval().run(handler, settings, event)


def test_a_prompt_that_leaves_no_room_for_an_answer_is_a_failure(settings: BenchmarkSettings, tmp_path: Path) -> None:
    folder = model(tmp_path / "model", RIGHT)
    tiny.llama(folder, max_position_embeddings=512)
    handler = ScriptedChat(str(folder), "cpu", name="scripted")
    with pytest.raises(HandlerError, match="context is long enough"):
        HumanEval().run(handler, settings, threading.Event())
