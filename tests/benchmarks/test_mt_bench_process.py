"""mt_bench in two processes: one has the model and answers, the other one grades and knows judge and references."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conversations import entries, judged_by, parts
from tests.handlers import tiny
from tests.simulators.hub import Hub
from tests.simulators.openai import OpenAIService
from weighbridge.benchmarks.child import Work, run_in_child
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.mt_bench import MTBench
from weighbridge.errors import BenchmarkFailed, HandlerError
from weighbridge.net.addresses import AddressPolicy

pytestmark = [pytest.mark.xdist_group("torch"), pytest.mark.usefixtures("impatient")]


@pytest.fixture
def settings(wise: OpenAIService, tmp_path: Path) -> BenchmarkSettings:
    return judged_by(wise, tmp_path)


def test_a_whole_run_in_a_child(wise: OpenAIService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the Hub's questions, a judge that wants a key, and a result that holds everything but the key."""
    monkeypatch.setenv("JUDGE_KEY", "sk-hunter2")
    wise.key = "sk-hunter2"
    chosen = BenchmarkSettings(
        judge_url=wise.url,
        judge_model="wise",
        judge_key_env="JUDGE_KEY",
        judge_addresses=AddressPolicy(private=("127.0.0.0/8",)),
        answer_tokens=4,
        limit=8,
        timeout_s=120,
    )
    content = "".join(f"{json.dumps(entry)}\n" for entry in entries(10)).encode()
    folder = tiny.llama(tmp_path / "llama")
    with Hub() as hub:
        hub.add("HuggingFaceH4/mt_bench_prompts", {"raw/question.jsonl": content}, kind="datasets")
        handler = "weighbridge.handlers.chat.TextChat"
        wanted = replace(chosen, endpoint=hub.url)
        work = Work("mt_bench", handler, str(folder), "sha256:" + "a" * 64, "cpu", {"name": "tiny"}, wanted)
        clock = lambda: datetime(2026, 1, 1, tzinfo=UTC)  # noqa: E731
        found = run_in_child(work, clock)
        assert (found.failure, found.definition) == ("", "mt_bench/2")
        score = found.metric("score")
        assert score is not None
        assert (score.value, score.n) == (pytest.approx((7 * 7 + 4) / 8), 8)
        assert "hunter2" not in json.dumps(found.to_json())


CURIOUS = """
import os, pathlib
from weighbridge.handlers.interface import ChatGeneration
class Mine:
    name, device, capabilities = "mine", "cpu", ["chat-completion"]
    def __init__(self, *a, **k): ...
    def count_tokens(self, messages, **options): return 1
    def generate(self, messages, **options):
        own = pathlib.Path("/proc/self")
        notes = [repr(dict(os.environ)).encode(), own.joinpath("environ").read_bytes()]
        notes.append(own.joinpath("cmdline").read_bytes())
        with open("/proc/self/mem", "rb") as memory:
            for line in own.joinpath("maps").read_text().splitlines():
                first, last = (int(edge, 16) for edge in line.split()[0].split("-"))
                if line.split()[1].startswith("rw"):
                    memory.seek(first)
                    notes.append(memory.read(last - first))
        pathlib.Path(NOTES).write_bytes(b"".join(notes))
        return ChatGeneration("Hello.", 1, 1)
"""


def test_a_models_own_code_finds_neither_the_judges_key_nor_the_right_answers(
    wise: OpenAIService, settings: BenchmarkSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler notes all of its process: environment, command line and memory."""
    questions, notes = Path(settings.data["mt_bench"]), tmp_path / "notes"
    questions.write_text(questions.read_text().replace('"right ', '"a hedgehog of '))
    (tmp_path / "own_curious.py").write_text(f"NOTES = {str(notes)!r}\n{CURIOUS}")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    monkeypatch.setenv("JUDGE_KEY", "sk-hunter2")
    wise.key = "sk-hunter2"
    chosen = replace(settings, limit=8, judge_key_env="JUDGE_KEY", timeout_s=120)
    work = Work("mt_bench", "own_curious.Mine", "x", "sha256:" + "a" * 64, "cpu", {}, chosen)
    found = run_in_child(work, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert found.failure == ""
    assert any("a hedgehog of 0" in parts(body).values() for _, body in wise.asked)
    noted = notes.read_bytes()
    assert b"And then?" in noted  # All of its memory is there.
    for secret in ("hunter2", "JUDGE_KEY", wise.url, "a hedgehog of 0", str(questions)):
        assert secret.encode() not in noted, secret


@pytest.mark.parametrize(
    "told",
    [
        1,
        {},
        {"question": 0, "answers": []},
        {"question": 0, "answers": [{"text": 1}, {}]},
        *({"question": 0, "answers": [{"text": "x", "tokens": n}, {"text": "y"}]} for n in (-1, 10**400)),
        *({"question": place, "answers": [{"text": "x"}, {"text": "y"}]} for place in (99, 1.0, True, [])),
    ],
)
def test_a_process_that_tells_something_else_is_a_failure_of_its_model(settings: BenchmarkSettings, told: Any) -> None:
    with MTBench().grading(settings, threading.Event()) as grading, pytest.raises(HandlerError, match="process tells"):
        grading.hear(told)


def test_a_process_that_ends_early_is_a_failure_of_its_model(settings: BenchmarkSettings) -> None:
    with MTBench().grading(settings, threading.Event()) as grading, pytest.raises(HandlerError, match="0 of 16"):
        grading.finish()


def test_a_judge_that_takes_too_long_is_a_failure_of_the_run(wise: OpenAIService, settings: BenchmarkSettings) -> None:
    wise.fault = "hang"
    with MTBench().grading(replace(settings, timeout_s=1, limit=1), threading.Event()) as grading:
        grading.hear({"question": 0, "answers": [{"text": "x"}, {"text": "y"}]})
        with pytest.raises(BenchmarkFailed, match="not graded all answers after 1 s"):
            grading.finish()
