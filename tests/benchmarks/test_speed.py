"""Latency, throughput, memory and rates: what is counted, on tiny models and on a service; never how fast it is."""

from __future__ import annotations

import threading
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.handlers import tiny
from tests.simulators.openai import OpenAIService
from weighbridge.benchmarks.interface import Benchmark, BenchmarkSettings, Measured
from weighbridge.benchmarks.latency import InferenceLatency, noise
from weighbridge.benchmarks.memory import Memory
from weighbridge.benchmarks.rates import SENTENCES, EmbeddingRate, RerankRate, SpeechRate
from weighbridge.benchmarks.throughput import Throughput
from weighbridge.domain.result import INSUFFICIENT
from weighbridge.errors import BenchmarkFailed, Cancelled, HandlerError, OutOfMemory
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.interface import SpeechResult
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


def test_an_answer_of_one_token_cannot_be_timed() -> None:
    with (
        OpenAIService(answer=lambda body: "one") as service,
        pytest.raises(BenchmarkFailed, match="1 tokens"),
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
    assert [(metric.name[-1], metric.value is None) for metric in found.metrics] == [("1", False), ("3", True)]
    assert "out of memory" in found.metrics[1].reason


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


@pytest.mark.parametrize("benchmark", [InferenceLatency(), Throughput()])
def test_a_cancelled_benchmark_ends(chat: TextChat, benchmark: InferenceLatency | Throughput) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(Cancelled):
        benchmark.run(chat, SETTINGS, event)


def test_a_handler_without_moments_cannot_be_timed() -> None:
    class Plain:
        name, device, capabilities = "plain", "cpu", ["chat-completion"]

    with pytest.raises(BenchmarkFailed, match="each token"):
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


def test_the_real_time_factor_needs_a_sound(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkFailed, match="--data speech"):
        SpeechRate().run(Counting(), SETTINGS, threading.Event())  # type: ignore[arg-type]
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


def test_a_noisy_run_says_so() -> None:
    assert noise(0.1, 0.1) == ""
    assert "busy" in noise(2.0, 0.1)
    assert "spread" in noise(0.1, 0.9)


def test_a_handler_for_something_else_is_an_error_of_the_model(chat: TextChat) -> None:
    with pytest.raises(HandlerError):
        chat.generate([{"role": "user", "content": "x" * 500}], max_new_tokens=1, temperature=0.0, top_p=1.0)
