"""Latency, throughput, memory and rates: what is counted, on tiny models and on a service; never how fast it is."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.handlers import tiny
from tests.simulators.openai import OpenAIService
from weighbridge.benchmarks.interface import Benchmark, BenchmarkSettings, Measured
from weighbridge.benchmarks.latency import InferenceLatency
from weighbridge.benchmarks.memory import Memory
from weighbridge.benchmarks.prompts import random_tokens
from weighbridge.benchmarks.rates import SENTENCES, EmbeddingRate, RerankRate, SpeechRate
from weighbridge.benchmarks.throughput import Throughput
from weighbridge.domain.result import INSUFFICIENT
from weighbridge.errors import BenchmarkFailed, Cancelled, HandlerError, OutOfMemory
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.embedding import TextEmbedding
from weighbridge.handlers.interface import SpeechResult
from weighbridge.handlers.rerank import TextRerank
from weighbridge.handlers.upstream import UpstreamChat

pytestmark = pytest.mark.xdist_group("torch")
SETTINGS = BenchmarkSettings(
    n=6, warmups=1, prompt_tokens=8, output_tokens=4, batch_sizes=(1, 3), request_rates=(200.0,)
)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> TextChat:
    return TextChat(str(tiny.llama(tmp_path_factory.mktemp("llama"))), "cpu", name="tiny")


def names(measured: Measured) -> set[str]:
    return {metric.name for metric in measured.metrics}


def test_latency_times_every_token_of_every_request(chat: TextChat) -> None:
    found = InferenceLatency().run(chat, SETTINGS, threading.Event())
    assert {name: len(samples) for name, samples in found.samples.items()} == {
        "ttft": 6,
        "itl": 6 * 3,
        "tpot": 6,
        "e2e": 6,
    }
    by_name = {metric.name: metric for metric in found.metrics}
    assert by_name["ttft_p50"].value is not None
    assert by_name["ttft_p50"].interval is not None
    assert (by_name["ttft_p99"].value, by_name["ttft_p99"].reason) == (None, INSUFFICIENT)
    assert all(metric.better == "lower" for metric in found.metrics)
    for ttft, tpot, e2e in zip(found.samples["ttft"], found.samples["tpot"], found.samples["e2e"], strict=True):
        assert tpot == pytest.approx((e2e - ttft) / 3)
    assert found.settings["output_tokens"] == 4


@pytest.mark.parametrize("benchmark", [InferenceLatency(), Throughput(), Memory()], ids=lambda one: one.name)
def test_lengths_beyond_the_context_are_told(chat: TextChat, benchmark: Benchmark) -> None:
    with pytest.raises(HandlerError, match="too many for"):
        benchmark.run(chat, replace(SETTINGS, prompt_tokens=tiny.CONTEXT - 3), threading.Event())


def test_latency_of_a_service_counts_the_pieces_of_its_stream() -> None:
    with OpenAIService(answer=lambda body: "a b c d e f", step_s=0.001) as service:
        handler = UpstreamChat("m", upstream_base_url=service.url)
        found = InferenceLatency().run(handler, SETTINGS, threading.Event())
        assert len(service.asked) == 7
        assert all(body["max_tokens"] == 4 for _, body in service.asked)
        assert len({str(body["messages"]) for _, body in service.asked}) == 7
    assert len(found.samples["itl"]) == 6 * 3
    assert found.settings["token"] == "piece of a stream"


class Pieces:
    """A service whose pieces hold several tokens, and which counts them, or does not."""

    name, device, capabilities = "pieces", "far", ["chat-completion"]

    def __init__(self, tokens: int | None) -> None:
        self.tokens = tokens

    def stream(self, messages: Any, *, on_token: Callable[[], None], **options: Any) -> Any:
        for _ in range(2):
            time.sleep(0.001)
            on_token()
        return SimpleNamespace(completion_tokens=self.tokens)


def test_pieces_are_no_tokens() -> None:
    handler: Any = Pieces(16)
    settings = replace(SETTINGS, output_tokens=16)
    times = InferenceLatency().run(handler, settings, threading.Event())
    for ttft, tpot, e2e in zip(times.samples["ttft"], times.samples["tpot"], times.samples["e2e"], strict=True):
        assert tpot == pytest.approx((e2e - ttft) / 15)
    found = {metric.name: metric for metric in Throughput().run(handler, settings, threading.Event()).metrics}
    tokens, requests = found["output_tokens_per_second_rate_200"], found["requests_per_second_rate_200"]
    assert (tokens.value or 0) / (requests.value or 1) == pytest.approx(16)


def test_answers_that_are_not_counted_have_no_tokens_a_second() -> None:
    handler: Any = Pieces(None)
    found = {metric.name: metric for metric in Throughput().run(handler, SETTINGS, threading.Event()).metrics}
    assert found["output_tokens_per_second_rate_200"].value is None
    assert "does not report" in found["output_tokens_per_second_rate_200"].reason
    assert found["requests_per_second_rate_200"].value


@pytest.mark.parametrize("benchmark", [InferenceLatency(), Throughput()], ids=lambda one: one.name)
def test_answers_that_end_early_are_told(benchmark: Benchmark) -> None:
    handler: Any = Pieces(3)
    assert "6 of 6 answers ended before 4 tokens" in benchmark.run(handler, SETTINGS, threading.Event()).noisy


class Late(Pieces):
    """A service that takes its time for one request."""

    def stream(self, messages: Any, *, on_token: Callable[[], None], **options: Any) -> Any:
        time.sleep(0.3)
        return super().stream(messages, on_token=on_token, **options)


def test_the_wait_for_the_first_request_is_no_work() -> None:
    settings = replace(SETTINGS, n=1, request_rates=(0.5,), seed=3)
    found = Throughput().run(Late(4), settings, threading.Event())  # type: ignore[arg-type]
    by_name = {metric.name: metric.value for metric in found.metrics}
    (taken_s,) = found.samples["e2e_rate_0.5"]
    assert by_name["requests_per_second_rate_0.5"] == pytest.approx(1 / taken_s)


def test_an_answer_of_one_token_cannot_be_timed() -> None:
    with (
        OpenAIService(answer=lambda body: "one") as service,
        pytest.raises(HandlerError, match="1 tokens"),
    ):
        InferenceLatency().run(UpstreamChat("m", upstream_base_url=service.url), SETTINGS, threading.Event())


def test_throughput_measures_every_batch_size(chat: TextChat) -> None:
    found = Throughput().run(chat, SETTINGS, threading.Event())
    assert names(found) == {"output_tokens_per_second_batch_1", "output_tokens_per_second_batch_3"}
    assert all(metric.n == 6 and metric.value and metric.interval for metric in found.metrics)


class Full:
    """A handler whose device holds one prompt at a time."""

    name, device, capabilities = "full", "cpu", ["chat-completion"]

    def __init__(self, chat: TextChat) -> None:
        self._chat, self.tokenizer = chat, chat.tokenizer

    def complete(self, prompts: list[list[int]], **options: Any) -> list[list[int]]:
        if len(prompts) > 1:
            raise OutOfMemory("The memory of cpu is too small.", "Choose a smaller batch.")
        return self._chat.complete(prompts, **options)


def test_a_batch_that_does_not_fit_is_a_result(chat: TextChat) -> None:
    settings = replace(SETTINGS, batch_sizes=(1, 3, 9))
    found = Throughput().run(Full(chat), settings, threading.Event())  # type: ignore[arg-type]
    assert [(metric.name[-1], metric.value is None) for metric in found.metrics] == [
        ("1", False),
        ("3", True),
        ("9", True),
    ]
    assert all("out of memory at batch 3" in metric.reason for metric in found.metrics[1:])


class Uneven:
    """A handler whose batches take turns between two lengths of time."""

    name, device, capabilities = "uneven", "cpu", ["chat-completion"]

    def __init__(self, chat: TextChat) -> None:
        self.tokenizer, self.calls = chat.tokenizer, 0

    def complete(self, prompts: list[list[int]], **options: Any) -> None:
        self.calls += 1
        time.sleep(0.01 if self.calls % 2 else 0.1)


def test_throughput_is_all_tokens_by_all_time_and_tells_its_spread(chat: TextChat) -> None:
    settings = replace(SETTINGS, batch_sizes=(1,))
    found = Throughput().run(Uneven(chat), settings, threading.Event())  # type: ignore[arg-type]
    (rates,) = found.samples.values()
    (metric,) = found.metrics
    assert metric.value == pytest.approx(len(rates) * 4 / sum(4 / rate for rate in rates))
    assert metric.interval is not None
    assert 0 < metric.interval.low < metric.value < metric.interval.high
    assert "batch 1: the samples spread by" in found.noisy


def test_throughput_of_a_service_is_measured_at_every_rate() -> None:
    with OpenAIService(answer=lambda body: "a b c d e f") as service:
        found = Throughput().run(UpstreamChat("m", upstream_base_url=service.url), SETTINGS, threading.Event())
        assert len(service.asked) == 6
    assert "requests_per_second_rate_200" in names(found)
    tokens = next(metric for metric in found.metrics if metric.name == "output_tokens_per_second_rate_200")
    rate = next(metric for metric in found.metrics if metric.name == "requests_per_second_rate_200")
    assert tokens.value is not None
    assert rate.value is not None
    assert tokens.value == pytest.approx(rate.value * 4)


def test_memory_holds_the_weights(chat: TextChat) -> None:
    found = {metric.name: metric.value for metric in Memory().run(chat, SETTINGS, threading.Event()).metrics}
    weights, peak = found["weights"], found["peak_rss"]
    assert weights is not None
    assert peak is not None
    assert weights == sum(part.numel() * part.element_size() for part in chat.model.parameters())
    assert peak > weights
    with OpenAIService() as service, pytest.raises(BenchmarkFailed, match="elsewhere"):
        Memory().run(UpstreamChat("m", upstream_base_url=service.url), SETTINGS, threading.Event())


def test_a_handler_that_only_answers_messages_has_its_memory_measured(chat: TextChat) -> None:
    class Guide:
        name, device, capabilities = "guide", "cpu", ["chat-completion"]
        model, tokenizer = chat.model, chat.tokenizer

        def generate(self, messages: Any, **options: Any) -> Any:
            return chat.generate(messages, **options)

    settings = replace(SETTINGS, prompt_tokens=2)
    found = Memory().run(Guide(), settings, threading.Event())  # type: ignore[arg-type]
    assert {metric.name for metric in found.metrics} == {"weights", "peak_rss"}
    assert found.settings["prompt"] == "random words"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone hands a peak on")
def test_the_memory_of_a_parent_is_not_its_child_s() -> None:
    held = bytearray(400 * 1024**2)
    held[::4096] = b"x" * len(held[::4096])
    code = "from weighbridge.benchmarks.memory import _peak_rss; print(_peak_rss())"
    peak = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    assert peak < len(held)


def test_prompts_hold_no_word_that_the_model_lacks(chat: TextChat) -> None:
    small = SimpleNamespace(weight=torch.zeros(9, 2))
    handler = SimpleNamespace(
        name="x", tokenizer=chat.tokenizer, model=SimpleNamespace(get_input_embeddings=lambda: small)
    )
    assert max(random_tokens(handler, 200, 0)) < 9
    nothing = SimpleNamespace(name="x", tokenizer=type("T", (), {"all_special_ids": [0], "__len__": lambda self: 1})())
    with pytest.raises(HandlerError, match="only special tokens"):
        random_tokens(nothing, 2, 0)


@pytest.mark.parametrize("benchmark", [InferenceLatency(), Throughput()])
def test_a_cancelled_benchmark_ends(chat: TextChat, benchmark: InferenceLatency | Throughput) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(Cancelled):
        benchmark.run(chat, SETTINGS, event)


def test_a_handler_without_moments_cannot_be_timed() -> None:
    class Plain:
        name, device, capabilities = "plain", "cpu", ["chat-completion"]

    with pytest.raises(HandlerError, match="each token"):
        InferenceLatency().run(Plain(), SETTINGS, threading.Event())  # type: ignore[arg-type]


class Counting:
    """Embeds, reranks and transcribes nothing, and counts what it was given."""

    name, device, capabilities = "counting", "cpu", ["text-embedding"]

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def embed(self, texts: list[str]) -> None:
        self.calls.append(texts)

    def rerank(self, query: str, documents: list[str]) -> None:
        self.calls.append(documents)

    def transcribe(self, path: str, **options: Any) -> SpeechResult:
        self.calls.append(path)
        return SpeechResult("", None, 1.0)


@pytest.mark.parametrize("benchmark", [EmbeddingRate(), RerankRate()])
def test_rates_give_each_call_other_texts(benchmark: EmbeddingRate | RerankRate) -> None:
    handler = Counting()
    found = benchmark.run(handler, SETTINGS, threading.Event())  # type: ignore[arg-type]
    assert [len(texts) for texts in handler.calls] == [SENTENCES] * 7
    assert len({texts[0] for texts in handler.calls}) == 7
    assert found.metrics[0].n == 6


def test_cut_texts_are_told(tmp_path: Path) -> None:
    embeds = TextEmbedding(str(tiny.bert(tmp_path / "bert")), "cpu", name="embeds")
    ranks = TextRerank(str(tiny.bert(tmp_path / "ranks", labels=1)), "cpu", name="ranks")
    runs = [(EmbeddingRate(), embeds), (RerankRate(), ranks)]
    for benchmark, handler in runs:
        long = replace(SETTINGS, n=2, prompt_tokens=tiny.CONTEXT * 2)
        found = benchmark.run(handler, long, threading.Event())  # type: ignore[attr-defined]
        assert "64 of 64 texts are longer than the model takes, and were cut" in found.noisy
        short = benchmark.run(handler, replace(SETTINGS, n=2, prompt_tokens=1), threading.Event())  # type: ignore[attr-defined]
        assert "cut" not in short.noisy


def test_the_real_time_factor_needs_a_sound(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkFailed, match=r"no file was named.* --data speech"):
        SpeechRate().run(Counting(), SETTINGS, threading.Event())  # type: ignore[arg-type]
    (tmp_path / "text.wav").write_text("no sound")
    wrong = replace(SETTINGS, data={"speech": str(tmp_path / "text.wav")})
    with pytest.raises(BenchmarkFailed, match="cannot be read as sound"):
        SpeechRate().run(Counting(), wrong, threading.Event())  # type: ignore[arg-type]
    path = tmp_path / "s.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(bytes(32000))
    handler = Counting()
    settings = replace(SETTINGS, data={"speech": str(path)})
    found = SpeechRate().run(handler, settings, threading.Event())  # type: ignore[arg-type]
    assert len(handler.calls) == 7
    assert found.settings["sound_s"] == 1.0
    soundfile.write(tmp_path / "s.flac", np.zeros(32000), 16000, subtype="PCM_24")
    settings = replace(SETTINGS, data={"speech": str(tmp_path / "s.flac")})
    assert SpeechRate().run(handler, settings, threading.Event()).settings["sound_s"] == 2.0  # type: ignore[arg-type]


def test_a_handler_for_something_else_is_an_error_of_the_model(chat: TextChat) -> None:
    with pytest.raises(HandlerError):
        chat.generate([{"role": "user", "content": "x" * 500}], max_new_tokens=1, temperature=0.0, top_p=1.0)
