"""`humaneval`: 164 functions to write (Chen et al., 2021), with lm-eval's prompts; pass@1 is our own.

Prompts, stop strings, lengths and the data set are those of lm-eval's task of that name. Its metric is not used: it is
loaded from the Hub, and runs the code in the process that measures. Here each completion runs with its tests in a
separate sandbox (codesandbox), once, within `CodeLimits`; pass@1 is the share that passes, greedy, one completion each.
The tests run in another process than the completion, with the prompt's other definitions, so that a completion cannot
grade itself. Without a sandbox nothing is generated.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

from weighbridge.benchmarks import codesandbox
from weighbridge.benchmarks.codesandbox import CodeSandbox
from weighbridge.benchmarks.harness import check_installed, measure
from weighbridge.benchmarks.interface import BenchmarkSettings, Measured
from weighbridge.errors import Cancelled
from weighbridge.handlers.interface import Handler


class HumanEval:
    """See the module."""

    name: ClassVar[str] = "humaneval"
    definition: ClassVar[str] = "humaneval/2"
    capability: ClassVar[str] = "chat-completion"
    methods: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ("model", "tokenizer")

    def run(self, handler: Handler, settings: BenchmarkSettings, cancel_event: threading.Event) -> Measured:
        """Let the model write functions, and run them.

        Raises:
            BenchmarkFailed: there is no lm-eval, no sandbox or no data, or the model is at an endpoint.
            HandlerError, OutOfMemory, Cancelled: as the handler.
        """
        check_installed()
        sandbox = CodeSandbox()
        change = {"humaneval": _task(sandbox, cancel_event)}
        found = measure(handler, ("humaneval",), settings, cancel_event, self.name, changes=change)
        chosen = {**found.settings, "sandbox": codesandbox.DEFINITION, **asdict(sandbox.limits)}
        return replace(found, settings=chosen)


def pass_at_1(sandbox: CodeSandbox, cancel_event: threading.Event) -> Callable[..., float]:
    """Return a metric for lm-eval: whether a program passes its tests, 1 or 0."""

    def pass_at_1(references: Sequence[str], predictions: Sequence[Sequence[str]]) -> float:
        if cancel_event.is_set():
            raise Cancelled("The benchmark was cancelled.")
        return float(sandbox.run(predictions[0][0], references[0]).passed)

    return pass_at_1


def programs(answers: Sequence[Sequence[str]], documents: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return prompts with their completions."""
    return [[document["prompt"] + text for text in texts] for texts, document in zip(answers, documents, strict=True)]


def tests(document: dict[str, Any]) -> str:
    """Return a document's tests, with the prompt's definitions except the requested function.

    That one has only its docstring there, and is removed again: its name then means the program's function.
    """
    prompt, name = str(document["prompt"]), str(document["entry_point"])
    defined = next((text for text in (prompt, f"{prompt}    pass\n") if _is_program(text)), "")
    return f"{defined}\nglobals().pop({name!r}, None)\n{document['test']}\ncheck({name})"


def _is_program(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _task(sandbox: CodeSandbox, cancel_event: threading.Event) -> dict[str, Any]:
    """Return lm-eval's task with our metric and filter; its own are read as names, and never imported."""
    from lm_eval.tasks._yaml_loader import load_yaml

    from weighbridge.benchmarks.harness_tasks import STOCK

    stock: dict[str, Any] = load_yaml(STOCK / "humaneval" / "humaneval.yaml", resolve_func=False)
    metric = {"metric": pass_at_1(sandbox, cancel_event), "aggregation": "mean", "higher_is_better": True}
    made = {"name": "create_test", "filter": [{"function": "custom", "filter_fn": programs}]}
    ours = {"doc_to_target": tests, "metric_list": [metric], "filter_list": [made], "unsafe_code": False}
    return stock | ours
