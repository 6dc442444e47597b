"""A process that stays and answers: whatever happens to it, whoever asked is told, and the next one gets an answer."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.handlers import tiny
from tests.handlers.test_turns import until
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.rates import EmbeddingRate
from weighbridge.errors import Busy, Cancelled, HandlerError, InvalidConfiguration, InvalidRequest
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.embedding import TextEmbedding
from weighbridge.handlers.worker import Worker
from weighbridge.handlers.worker_serving import WorkerLimits

pytestmark = pytest.mark.xdist_group("torch")
#: A handler that does what its texts say: `wait:PATH` until somebody writes there, `die`, `hang`, `raise`, `refuse`.
TOY = """
import os, time
import numpy as np
from weighbridge.errors import Cancelled, InvalidRequest
from weighbridge.handlers.interface import ChatGeneration, RerankResult, SpeechResult, SpeechSegment

class Toy:
    capabilities = ["chat-completion", "text-embedding", "rerank", "audio-transcription"]
    options = ["slow"]
    joins = True
    dim = 2

    def __init__(self, model, device, cache_dir=None, name="", slow=False):
        self.name, self.device = name, device
        print("libraries print what they like")
        while slow:
            time.sleep(0.01)

    def embed(self, texts, cancel_event=None):
        for text in texts:
            self._do(text)
        return np.array([[len(text), len(texts)] for text in texts], np.float32).reshape(-1, 2)

    def rerank(self, query, documents, *, top_k=None, cancel_event=None):
        return [RerankResult(index, len(text) / 10, text) for index, text in enumerate(documents)]

    def score(self, pairs, cancel_event=None):
        return [len(query + text) / 10 + len(pairs) for query, text in pairs]

    def count_tokens(self, texts):
        return sum(map(len, texts))

    def generate(self, messages, *, max_new_tokens, temperature, top_p, stop=None, cancel_event=None):
        return self.stream(messages, max_new_tokens=max_new_tokens, on_text=None, cancel_event=cancel_event)

    def stream(self, messages, *, on_text, max_new_tokens, temperature=0, top_p=1, stop=None, cancel_event=None):
        self._do(messages[-1]["content"])
        for count in range(max_new_tokens):
            if cancel_event.wait(0.01 if max_new_tokens > 50 else 0):
                if not count:
                    raise Cancelled("no token yet")
                return ChatGeneration("a" * count, 1, count, "cancelled")
            if on_text:
                on_text("a")
        return ChatGeneration("a" * max_new_tokens, 1, max_new_tokens, "length")

    def transcribe(self, audio_path, *, language, prompt, temperature, task, timestamp_granularity, cancel_event=None):
        return SpeechResult(audio_path, "en", 1.0, (SpeechSegment("one", 0.0, 0.5),))

    def _do(self, text):
        if text.startswith("wait:"):
            open(text[5:]).read()
        if text == "die":
            os.abort()
        if text == "raise":
            raise ValueError("of the user's")
        if text == "refuse":
            raise InvalidRequest("Not this.", "Another.", tokens=3)
        while text == "hang":
            time.sleep(0.01)
"""
LIMITS = WorkerLimits(waiting=4, call_s=60, load_s=60, grace_s=0.2)
CHAT: dict[str, Any] = {"max_new_tokens": 3, "temperature": 0.0, "top_p": 1.0}


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_toy.py").write_text(TOY)
    plain = "from own_toy import Toy\nclass Plain(Toy):\n    joins = False\n"
    (folder / "own_plain.py").write_text(plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def toy(path: None) -> Iterator[Worker]:
    with Worker("own_toy.Toy", "x", device="cpu", name="m", limits=LIMITS) as worker:
        yield worker


@contextmanager
def held(worker: Worker, folder: Path, pool: ThreadPoolExecutor) -> Iterator[None]:
    """Keep a worker at work; what is asked meanwhile waits."""
    gate = folder / "gate"
    os.mkfifo(gate)
    working = pool.submit(worker.generate, said(f"wait:{gate}"), **CHAT)
    with gate.open("w"):  # Opened when it reads there, so when it works.
        yield
    assert working.result(60).text == "aaa"


def test_one_process_answers_many_questions_of_every_kind(toy: Worker) -> None:
    pid = toy.pid
    assert (toy.name, toy.device, toy.dim, toy.joins) == ("m", "cpu", 2, True)
    assert toy.capabilities[0] == "chat-completion"
    assert toy.generate(said("x"), **CHAT).text == "aaa"
    assert toy.embed(["a", "bcd"]).tolist() == [[1, 2], [3, 2]]
    assert toy.embed([]).shape == (0, 2)
    assert [one.index for one in toy.rerank("q", ["a", "abc", "ab"], top_k=2)] == [1, 2]
    assert (toy.count_tokens(["ab", "c"]), toy.count_cut(["ab"])) == (3, 0)
    heard = toy.transcribe(
        "a.wav", language=None, prompt=None, temperature=None, task="transcribe", timestamp_granularity=None
    )
    assert (heard.text, heard.segments[0].text) == (os.path.abspath("a.wav"), "one")
    assert toy.pid == pid


def test_pieces_come_as_they_are_made_and_a_cancelled_answer_keeps_them(toy: Worker) -> None:
    event, pieces, pid = threading.Event(), [], toy.pid

    def hear(piece: str) -> None:
        pieces.append(piece)
        event.set()

    found = toy.stream(said("x"), on_text=hear, cancel_event=event, **CHAT | {"max_new_tokens": 10_000})
    assert found.finish_reason == "cancelled"
    assert found.text == "".join(pieces)
    with pytest.raises(Cancelled):
        toy.generate(said("x"), cancel_event=event, **CHAT)
    with pytest.raises(ZeroDivisionError):
        toy.stream(said("x"), on_text=lambda piece: 1 / 0, **CHAT)  # type: ignore[arg-type]
    assert (toy.generate(said("x"), **CHAT).text, toy.pid) == ("aaa", pid)


def test_what_the_handler_refuses_is_told_as_it_is(toy: Worker) -> None:
    pid = toy.pid
    with pytest.raises(InvalidRequest, match="Not this") as refused:
        toy.generate(said("refuse"), **CHAT)
    assert refused.value.facts == {"tokens": 3}
    with pytest.raises(HandlerError, match="ValueError: of the user's"):
        toy.generate(said("raise"), **CHAT)
    with pytest.raises(InvalidRequest, match="m takes no seed"):
        toy.generate(said("x"), seed=1, **CHAT)
    with pytest.raises(InvalidRequest, match="JSON cannot"):
        toy.generate(said("x"), tools=[object()], **CHAT)
    for wrong in ("one text", [b"bytes"], ["\ud800"]):
        with pytest.raises(InvalidRequest):
            toy.embed(wrong)  # type: ignore[arg-type]
    assert toy.pid == pid


def test_a_process_that_is_gone_is_told_and_the_next_call_has_another(toy: Worker, tmp_path: Path) -> None:
    before = toy.pid
    with pytest.raises(HandlerError, match=r"m has ended.*SIGABRT.*loads the model again") as gone:
        toy.generate(said("die"), **CHAT)
    assert (gone.value.facts, toy.pid) == ({"transient": True}, None)
    assert (toy.generate(said("x"), **CHAT).text, toy.pid != before) == ("aaa", True)
    os.kill(toy.pid or 0, signal.SIGKILL)  # While nobody asks.
    assert toy.generate(said("x"), **CHAT).text == "aaa"
    os.mkfifo(tmp_path / "gate")
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(toy.generate, said(f"wait:{tmp_path / 'gate'}"), **CHAT)]
        with (tmp_path / "gate").open("w"):
            asked.append(pool.submit(toy.generate, said("x"), **CHAT))
            until(lambda: toy.waiting == 1)
            os.kill(toy.pid or 0, signal.SIGKILL)
            with pytest.raises(HandlerError, match="killed, most likely because it used too much memory"):
                asked[0].result(60)
        assert asked[1].result(60).text == "aaa"


def test_a_call_that_takes_too_long_is_ended(path: None) -> None:
    limits = WorkerLimits(call_s=2, load_s=60, grace_s=0.1)
    with Worker("own_toy.Toy", "x", device="cpu", name="m", limits=limits) as worker:
        process = psutil.Process(worker.pid)
        with pytest.raises(HandlerError, match=r"m gave no answer within 2 s\."):
            worker.generate(said("hang"), **CHAT)
        process.wait(60)
        event = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(worker.embed, ["hang"], event)
            event.set()
            with pytest.raises(Cancelled):
                hanging.result(60)
    assert worker.pid is None


def test_as_many_wait_as_may_and_each_is_answered(toy: Worker, tmp_path: Path) -> None:
    done: list[int] = []

    def ask(number: int) -> None:
        toy.generate(said("x"), **CHAT)
        done.append(number)

    with ThreadPoolExecutor(8) as pool:
        with held(toy, tmp_path, pool):
            waiting: list[Future[Any]] = []
            for number in range(4):
                waiting.append(pool.submit(ask, number))
                until(lambda count=number + 1: toy.waiting == count)  # type: ignore[misc]
            with pytest.raises(Busy, match=r"m is busy: 4 calls wait, and the queue is full\. Try again later") as busy:
                toy.generate(said("x"), **CHAT)
        assert [one.result(60) for one in waiting] == [None] * 4
    assert (busy.value.retryable, busy.value.facts) == (True, {"waiting": 4, "limit": 4})
    assert (sorted(done), toy.waiting) == ([0, 1, 2, 3], 0)


def test_alike_calls_that_wait_are_done_as_one(toy: Worker, tmp_path: Path) -> None:
    event = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        with held(toy, tmp_path, pool):
            asked = [pool.submit(toy.embed, ["a" * number]) for number in (1, 2, 3)]
            asked.append(pool.submit(toy.embed, ["taken back"], event))
            until(lambda: toy.waiting == 4)
            event.set()
            until(lambda: toy.waiting == 3)
        assert [one.result(60).tolist() for one in asked[:3]] == [[[number, 3.0]] for number in (1, 2, 3)]
        assert isinstance(asked[3].exception(60), Cancelled)
        (tmp_path / "gate").unlink()
        with held(toy, tmp_path, pool):
            ranked = [pool.submit(toy.rerank, query, ["a", "abc"], top_k=1) for query in ("q", "other")]
            until(lambda: toy.waiting == 2)
        assert [[(one.index, one.score) for one in found.result(60)] for found in ranked] == [[(1, 4.4)], [(1, 4.8)]]


@pytest.mark.parametrize("wrong", ["refuse", "die"])
def test_one_that_fails_harms_none_that_is_done_with_it(toy: Worker, tmp_path: Path, wrong: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        with held(toy, tmp_path, pool):
            asked = [pool.submit(toy.embed, [text]) for text in ("a", wrong, "bcd")]
            until(lambda: toy.waiting == 3)
        assert [asked[place].result(60).tolist() for place in (0, 2)] == [[[1, 1]], [[3, 1]]]
        assert isinstance(asked[1].exception(60), HandlerError)


def test_texts_that_depend_on_each_other_are_done_alone_and_closing_tells_who_waits(path: None, tmp_path: Path) -> None:
    worker = Worker("own_plain.Plain", "x", device="cpu", name="m", limits=LIMITS)
    process = psutil.Process(worker.pid)
    (tmp_path / "again").mkdir()
    with ThreadPoolExecutor(8) as pool:
        with held(worker, tmp_path, pool):
            asked = [pool.submit(worker.embed, ["a"]) for _ in range(2)]
            until(lambda: worker.waiting == 2)
        assert [one.result(60).tolist() for one in asked] == [[[1, 1]]] * 2
        assert [one.score for one in worker.rerank("q", ["a", "abc"])] == [0.3, 0.1]
        with held(worker, tmp_path / "again", pool):
            asked = [pool.submit(worker.embed, ["a"]) for _ in range(2)]
            until(lambda: worker.waiting == 2)
            closing = pool.submit(worker.close)
            for one in asked:
                with pytest.raises(HandlerError, match="m is closed"):
                    one.result(60)
        closing.result(60)
    worker.close()
    assert not process.is_running()
    with pytest.raises(HandlerError, match="m is closed"):
        worker.embed(["a"])


def test_what_cannot_be_loaded_is_told(path: None) -> None:
    before = psutil.Process().children()
    with pytest.raises(InvalidConfiguration, match="no class Nothing"):
        Worker("own_toy.Nothing", "x", device="cpu")
    with pytest.raises(HandlerError, match=r"m was not loaded within 1 s\."):
        Worker("own_toy.Toy", "x", device="cpu", name="m", slow=True, limits=WorkerLimits(load_s=1))
    assert set(psutil.Process().children()) <= set(before)


def test_a_real_chat_answers_as_it_does_without_a_worker(path: None, tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path)
    with Worker("weighbridge.handlers.chat.TextChat", folder, device="cpu", name="m") as worker:
        alone = TextChat(str(folder), "cpu", name="m")
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda number: worker.generate(said("x" * number), **CHAT), range(8)))
        counted = worker.count_tokens(said("x"), add_generation_prompt=False)
        told = worker.generate(said("x"), logprobs=True, top_logprobs=2, **CHAT)
    assert told == alone.generate(said("x"), logprobs=True, top_logprobs=2, **CHAT)
    assert found == [alone.generate(said("x" * number), **CHAT) for number in range(8)]
    assert counted == alone.count_tokens(said("x"), add_generation_prompt=False)


def test_real_vectors_do_not_depend_on_what_is_done_with_them(path: None, tmp_path: Path) -> None:
    texts = [["a" * (1 + number % 7), "b" * number] for number in range(12)]
    with Worker("weighbridge.handlers.embedding.TextEmbedding", tiny.bert(tmp_path), device="cpu") as worker:
        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(worker.embed, texts))
        few = BenchmarkSettings(n=2, prompt_tokens=4)
        assert EmbeddingRate().run(worker, few, threading.Event()).metrics
    alone = TextEmbedding(str(tmp_path), "cpu")
    for pair, vectors in zip(texts, found, strict=True):
        assert np.allclose(alone.embed(pair), vectors, atol=1e-5)
