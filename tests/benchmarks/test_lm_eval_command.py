"""humaneval, mmlu and lm_eval beside lm-eval's own command: the same prompts, answers, verdicts and numbers.

The command runs as a user runs it, on the same model, with the data sets of a simulated Hub; ours has them as folders.
Its metric of humaneval is code from the Hub, which is not here: `CODE_EVAL` is in its place, in the folder where the
command looks first. So the verdicts are compared with those of a program that runs with its tests in one plain process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from tests.benchmarks import documents
from tests.handlers import tiny
from tests.simulators.hub import Hub
from weighbridge.benchmarks.harness import LmEval, Mmlu
from weighbridge.benchmarks.humaneval import HumanEval
from weighbridge.benchmarks.interface import Benchmark, BenchmarkSettings, Measured
from weighbridge.handlers.chat import TextChat

pytestmark = pytest.mark.xdist_group("torch")
SUBJECTS, SHOTS = ("anatomy", "virology"), 2
#: What the model has learnt to write; `<` ends a text as the model's own end, the others end by a stop string.
LEARNT = {
    "right": "    return x + 0\n\nprint(right(1))\n",
    "wrong": "    return x\n<",
    "longer": "    number = 2\n    return x + number\n\ndef other():\n    raise ValueError\n",
    "broken": "    return (x +\n<",
    "raises": "    return x / 0\n\nif __name__",
    "helped": "    from math import floor\n    return floor(x) + 5\n<",
}
PASSES = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
CODE_EVAL = """
import subprocess
import sys

import datasets
import evaluate


class CodeEval(evaluate.Metric):
    def _info(self):
        texts = datasets.Value("string")
        features = datasets.Features({"predictions": datasets.Sequence(texts), "references": texts})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references, k):
        ((program,),) = predictions
        command = [sys.executable, "-I", "-c", f"{program}\\n{references[0]}"]
        passes = subprocess.run(command, stderr=subprocess.DEVNULL, timeout=20).returncode == 0
        return {"pass@1": float(passes)}, {}
"""


@dataclass(frozen=True)
class Evaluated:
    """Numbers by task, and a sample of lm-eval's form for each of a task's documents."""

    numbers: Mapping[str, Mapping[str, Any]]
    samples: Mapping[str, list[dict[str, Any]]]


def arc(count: int) -> dict[str, bytes]:
    """Return the files of `allenai/ai2_arc` with questions that name their split."""
    lines, files = ["---", "configs:", "- config_name: ARC-Easy", "  data_files:"], {}
    for split, number in (("train", 20), ("validation", 3), ("test", count)):
        path = f"ARC-Easy/{split}-00000-of-00001.parquet"
        lines += [f"  - split: {split}", f"    path: {path}"]
        choices = {"text": [f"{letter} of it" for letter in "pqrs"], "label": list("ABCD")}
        asked = [
            {"id": str(n), "question": f"What is {n} in {split}?", "choices": choices, "answerKey": "ABCD"[n % 4]}
            for n in range(number)
        ]
        files[path] = documents.parquet(asked)
    return {**files, "README.md": "\n".join([*lines, "---", ""]).encode()}


DATA: dict[str, tuple[str, dict[str, bytes]]] = {
    "mmlu": ("cais/mmlu", documents.mmlu(SUBJECTS, 8)),
    "arc_easy": ("allenai/ai2_arc", arc(8)),
    "humaneval": ("openai/openai_humaneval", documents.humaneval(documents.functions(list(LEARNT)))),
}
TASKS = (*(f"mmlu_{subject}" for subject in SUBJECTS), "arc_easy", "humaneval")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama that has learnt a few programs by heart, with a first token and settings as publishers have them."""
    folder = tmp_path_factory.mktemp("learnt")
    words = tiny.tokenizer(folder)
    words.add_special_tokens({"bos_token": "<s>"})
    first = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", words.bos_token_id)])
    words.backend_tokenizer.post_processor = first
    words.save_pretrained(folder)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": words.bos_token_id, "eos_token_id": 1, "pad_token_id": 0}
    torch.manual_seed(0)
    made = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), max_position_embeddings=2048, **sizes, **ends))
    learn(made, AutoTokenizer.from_pretrained(folder))
    publishers = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.02}
    made.generation_config = GenerationConfig(**publishers, **ends)
    made.save_pretrained(folder)
    return folder


def learn(model: Any, words: Any) -> None:
    """Train a model until it continues each prompt of `LEARNT` as it should."""
    prompts = [str(function["prompt"]) for function in documents.functions(list(LEARNT))]
    texts = [prompt + text.rstrip("<") for prompt, text in zip(prompts, LEARNT.values(), strict=True)]
    rows = [[*words.encode(text), words.eos_token_id] for text in texts]
    width = max(map(len, rows))
    inputs = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.full_like(inputs, -100)
    for number, (prompt, row) in enumerate(zip(prompts, rows, strict=True)):
        start = len(words.encode(prompt))
        labels[number, start : len(row)] = inputs[number, start : len(row)]
    steps = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(400):
        loss = model(input_ids=inputs, labels=labels).loss
        if loss.item() < 2e-3:
            return
        steps.zero_grad()
        loss.backward()
        steps.step()
    raise AssertionError(f"The model has not learnt its texts: {loss.item()}.")


@pytest.fixture(scope="module", autouse=True)
def running(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Evaluated]]:
    """The command, which begins before everything else, as it takes longest."""
    with Hub() as hub, ThreadPoolExecutor(1) as pool:
        for repository, files in DATA.values():
            hub.add(repository, files, kind="datasets")
        yield pool.submit(command, model, tmp_path_factory.mktemp("command"), hub.url)


def command(model: Path, folder: Path, hub: str) -> Evaluated:
    """Run lm-eval's own command and return what it writes."""
    (folder / "code_eval").mkdir()
    (folder / "code_eval" / "code_eval.py").write_text(CODE_EVAL)
    line = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model}"]
    line += ["--tasks", ",".join(TASKS), "--num_fewshot", str(SHOTS), "--device", "cpu", "--batch_size", "1"]
    line += ["--log_samples", "--output_path", str(folder / "out"), "--confirm_run_unsafe_code"]
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(folder / "hf")}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (numbers,) = (folder / "out").rglob("results_*.json")
    files = {task: next((folder / "out").rglob(f"samples_{task}_*.jsonl")) for task in TASKS}
    samples = {task: [json.loads(text) for text in path.read_text().splitlines()] for task, path in files.items()}
    return Evaluated(json.loads(numbers.read_text())["results"], samples)


@pytest.fixture(scope="module")
def chat(model: Path) -> TextChat:
    return TextChat(str(model), "cpu", name="learnt")


def measured(
    benchmark: Benchmark, chat: TextChat, folder: Path, data: str, tasks: tuple[str, ...] = ()
) -> tuple[Measured, dict[str, list[dict[str, Any]]]]:
    """Measure as `weighbridge benchmark` does, and return the samples of lm-eval too, which no result keeps whole.

    lm-eval's own command chooses examples with the seed 1234.
    """
    from weighbridge.benchmarks import evaluation

    place = documents.write(folder, DATA[data][1])
    chosen = BenchmarkSettings(
        tasks=tasks, data={task: str(place) for task in tasks or (data,)}, shots=SHOTS, seed=1234, batch_sizes=(1,)
    )
    run, seen = evaluation.run, list[evaluation.Evaluation]()

    def seeing(*given: Any) -> evaluation.Evaluation:
        seen.append(run(*given))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "run", seeing)
        found = benchmark.run(chat, chosen, threading.Event())
    return found, seen[0].results["samples"]


def compare(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """Assert that the same documents were asked with the same prompts, and answered the same."""
    assert len(ours) == len(theirs) > 0
    for one, other in zip(sorted(ours, key=_place), sorted(theirs, key=_place), strict=True):
        for hash_ in ("doc_id", "doc_hash", "prompt_hash"):
            assert one[hash_] == other[hash_]
        for answer, expected in zip(one["resps"], other["resps"], strict=True):
            if isinstance(answer[0], str):
                assert answer == expected
            else:
                (likelihood, greedy), (its_likelihood, its_greedy) = answer[0], expected[0]
                assert likelihood == pytest.approx(float(its_likelihood), rel=1e-5)
                assert str(greedy) == its_greedy


def _place(sample: Mapping[str, Any]) -> int:
    return int(sample["doc_id"])


def test_mmlu_is_what_the_command_measures(chat: TextChat, running: Future[Evaluated], tmp_path: Path) -> None:
    tasks = TASKS[:2]
    found, samples = measured(Mmlu(), chat, tmp_path / "mmlu", "mmlu", tasks)
    theirs = running.result()
    for task in tasks:
        compare(samples[task], theirs.samples[task])
        assert found.samples[f"acc/{task}"] == [sample["acc"] for sample in theirs.samples[task]]
    numbers = {f"accuracy/{task}": theirs.numbers[task]["acc,none"] for task in tasks}
    assert {metric.name: metric.value for metric in found.metrics} == numbers
    assert 0 < sum(numbers.values()) < len(numbers)


def test_lm_eval_with_chosen_examples_is_what_the_command_measures(
    chat: TextChat, running: Future[Evaluated], tmp_path: Path
) -> None:
    found, samples = measured(LmEval(), chat, tmp_path / "arc", "arc_easy", ("arc_easy",))
    theirs = running.result()
    compare(samples["arc_easy"], theirs.samples["arc_easy"])
    its = theirs.numbers["arc_easy"]
    assert {metric.name: metric.value for metric in found.metrics} == {
        name: its[f"{name},none"] for name in ("acc", "acc_norm")
    }


def test_humaneval_is_what_the_command_measures(chat: TextChat, running: Future[Evaluated], tmp_path: Path) -> None:
    found, samples = measured(HumanEval(), chat, tmp_path / "humaneval", "humaneval")
    theirs = running.result()
    compare(samples["humaneval"], theirs.samples["humaneval"])
    for one, other in zip(samples["humaneval"], theirs.samples["humaneval"], strict=True):
        assert one["filtered_resps"] == other["filtered_resps"]
    verdicts = [sample["pass@1"] for sample in theirs.samples["humaneval"]]
    assert found.samples["pass_at_1/humaneval"] == verdicts == PASSES
    (metric,) = found.metrics
    assert metric.value == theirs.numbers["humaneval"]["pass@1,create_test"] == 0.5
