"""lm-eval's evaluation of a handler's model, as it was loaded. The module is heavy: it imports lm_eval.

Not here: the tasks and the sources of their data (harness_tasks), which of them a benchmark has and the names of its
metrics (harness), or code that a model wrote (humaneval).
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from transformers import LogitsProcessorList

from weighbridge.benchmarks import harness_tasks
from weighbridge.benchmarks.interface import BenchmarkSettings
from weighbridge.errors import BenchmarkFailed, Cancelled, HandlerError, WeighbridgeError
from weighbridge.handlers.generation import Finite
from weighbridge.handlers.inference import finite
from weighbridge.handlers.pretrained import refuse_memory

#: Resamplings for the standard error of values that are not means, such as F1; means have a formula.
BOOTSTRAPS = 1000


@dataclass(frozen=True)
class Evaluation:
    """The results of lm-eval.

    Attributes:
        results: `lm_eval.result_schema.EvalResults`, with a sample for each document.
        shortened: the number of requests that were longer than the model's context, and lost their beginning.
    """

    results: Any
    shortened: int


class _Step(Finite):
    """Refuses NaN, and ends cancelled work."""

    def __init__(self, name: str, cancel_event: threading.Event) -> None:
        super().__init__(name)
        self._event = cancel_event

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._event.is_set():
            raise Cancelled("The benchmark was cancelled.")
        return super().__call__(input_ids, scores)


class _Model(HFLM):  # type: ignore[misc]
    """A handler's model and tokenizer for lm-eval, which chooses a padding token where there is none."""

    def __init__(self, handler: Any, batch_size: int, cancel_event: threading.Event) -> None:
        self._of, self._step, self.shortened = handler.name, _Step(handler.name, cancel_event), 0
        super().__init__(pretrained=handler.model, tokenizer=handler.tokenizer, batch_size=batch_size, backend="causal")

    def _model_call(self, inps: torch.Tensor, *inputs: Any, **options: Any) -> torch.Tensor:
        logits: torch.Tensor = super()._model_call(inps, *inputs, **options)
        # The last token depends on all others, so it shows NaN at once. All logits would take half as long again.
        self._step(inps, logits[:, -1])
        return logits

    def _model_generate(self, *inputs: Any, **options: Any) -> torch.Tensor:
        return super()._model_generate(*inputs, logits_processor=LogitsProcessorList([self._step]), **options)

    def _loglikelihood_tokens(self, requests: Any, *inputs: Any, **options: Any) -> Any:
        room = self.max_length + 1  # The last token is only predicted, not read.
        self.shortened += sum(len(context) + len(rest) > room for _, context, rest in requests)
        found = super()._loglikelihood_tokens(requests, *inputs, **options)
        finite(self._of, torch.tensor([likelihood for likelihood, _ in found]))
        return found

    def tok_batch_encode(self, strings: Any, *inputs: Any, left_truncate_len: int | None = None, **options: Any) -> Any:
        if left_truncate_len:
            self.shortened += sum(len(self.tok_encode(text)) > left_truncate_len for text in strings)
        return super().tok_batch_encode(strings, *inputs, left_truncate_len=left_truncate_len, **options)


def run(
    handler: Any,
    tasks: Sequence[str],
    settings: BenchmarkSettings,
    batch_size: int,
    cancel_event: threading.Event,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Evaluation:
    """Evaluate a model.

    Args:
        handler: a handler with `model` and `tokenizer`.
        tasks: the names of lm-eval's tasks, groups or tags.
        settings: `limit`, `shots`, `seed`, `data` and `endpoint` are used.
        batch_size: the prompts of one batch.
        cancel_event: ends it between two batches, or two tokens.
        changes: whole configurations in place of lm-eval's own, by task.

    Raises:
        BenchmarkFailed: there is no such task or data set, or lm-eval fails.
        HandlerError, OutOfMemory, Cancelled: as the handler.
    """
    # lm-eval logs every step; important events are raised or counted.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    # This is the order of lm-eval's simple_evaluate, which would also query the machine for all versions.
    random.seed(settings.seed)
    np.random.seed(settings.seed)
    torch.manual_seed(settings.seed)
    try:
        with harness_tasks.loaded(tasks, settings.data, settings.endpoint, changes or {}) as found:
            for task in found["tasks"].values():
                _set_shots(task, settings)
            model = _Model(handler, batch_size, cancel_event)
            results = evaluate(model, found, limit=settings.limit or None, bootstrap_iters=BOOTSTRAPS)
    except WeighbridgeError:
        raise
    except Exception as error:  # lm-eval may raise anything for untrusted models and data
        refuse_memory(error, str(handler.device))
        # An error of a file, of the network, or of documents without a field is not the model's fault.
        kind = BenchmarkFailed if isinstance(error, OSError | KeyError) else HandlerError
        raise kind(
            f"lm-eval fails with {handler.name}: {type(error).__name__}: {str(error)[:300]}.",
            "Check that the model's context is long enough for the task, and that the task's data have its fields.",
        ) from error
    return Evaluation(results, model.shortened)


def _set_shots(task: Any, settings: BenchmarkSettings) -> None:
    """Set how many examples precede each document, as lm-eval does: a task with 0 keeps it."""
    own = task.get_config("num_fewshot")
    if own is None or (own and settings.shots is not None):
        task.set_config(key="num_fewshot", value=settings.shots or 0)
        apart = task.has_training_docs() or task.has_validation_docs() or task.fewshot_cfg.split
        if settings.shots and not (apart or task.fewshot_cfg.samples):
            raise BenchmarkFailed(
                f"{task.config.task} has no examples besides the documents to answer.", "Measure it without shots."
            )
    task.set_fewshot_seed(seed=settings.seed)


def check_model(handler: Any, name: str) -> None:
    """Raise BenchmarkFailed or HandlerError for a handler whose model is elsewhere."""
    if getattr(handler, "model", None) is None or getattr(handler, "tokenizer", None) is None:
        raise BenchmarkFailed(
            f"{name} needs the likelihood of plain texts, and {handler.name} only answers messages.",
            "Measure the model where its weights are; an endpoint can be judged by mt_bench.",
        )
    if not isinstance(handler.model, torch.nn.Module):
        raise HandlerError(f"The model of {handler.name} is not a torch model.", "lm-eval runs those of transformers.")
