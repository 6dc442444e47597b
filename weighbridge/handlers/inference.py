"""Inference by transformers until it is cancelled, and conversion of a model's exceptions to our errors.

Not here: the queue of calls (turns).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch

from weighbridge.errors import Cancelled, HandlerError, WeighbridgeError
from weighbridge.handlers.interface import Device
from weighbridge.handlers.pretrained import refuse_memory

Item = TypeVar("Item")

#: More tokens than any text has; tokenizers without a limit report 10^30 (T5).
_NO_LIMIT = 2**31 - 1


@contextmanager
def watched(model: Any, name: str, event: threading.Event | None) -> Iterator[None]:
    """End a forward pass between two layers when the event is set, as a long one takes minutes. Raises Cancelled.

    Only the call whose turn it is may use it, as the hooks are on the model.
    """

    def look(*_: Any) -> None:
        refuse_cancelled(name, event)

    with ExitStack() as stack:
        for layers in model.modules() if event is not None else ():
            for layer in layers if isinstance(layers, torch.nn.ModuleList) else ():
                stack.callback(layer.register_forward_pre_hook(look).remove)
        yield


@contextmanager
def sown(device: Device, seed: int | None) -> Iterator[None]:
    """Use a seed in the context and restore the random state afterwards; None changes nothing."""
    cards = [device] if str(device).startswith("cuda") else []
    with torch.random.fork_rng(cards, enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def refuse_cancelled(name: str, event: threading.Event | None) -> None:
    """Raise Cancelled when the event is set."""
    if event is not None and event.is_set():
        raise Cancelled(f"The work of {name} was cancelled.")


@contextmanager
def inferring(name: str, device: str, task: str) -> Iterator[None]:
    """Run a model in the context.

    Args:
        name: the model's name, for messages.
        device: the device it runs on, for messages.
        task: its purpose, for messages.

    Raises:
        OutOfMemory: the device is too small.
        HandlerError: the model fails.
    """
    try:
        with torch.inference_mode():
            yield
    except WeighbridgeError:
        raise
    except Exception as error:  # torch and transformers may raise anything for an untrusted model
        refuse_memory(error, device)
        raise HandlerError(
            f"{name} fails: {type(error).__name__}: {str(error)[:300]}.",
            f"Check that its files, handler and dtype fit together: it may not be a model for {task}.",
        ) from error


def batches(items: Sequence[Item], size: int, name: str, event: threading.Event | None) -> Iterator[Sequence[Item]]:
    """Yield items in groups of `size`, until the event is set. Raises Cancelled."""
    for start in range(0, len(items), size):
        refuse_cancelled(name, event)
        yield items[start : start + size]


def finite(name: str, values: torch.Tensor) -> torch.Tensor:
    """Return the values; raise HandlerError where one is NaN."""
    if not torch.isfinite(values).all():
        raise HandlerError(f"{name} computes NaN.", "Its weights are broken, or their type is too small.")
    return values


def max_tokens(tokenizer: Any, model: Any, stated: Any = None) -> int:
    """Return the most tokens of a text: the least of the stated limit, the tokenizer's, and the model's positions."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    for module in model.modules():
        table = getattr(module, "position_embeddings", None)
        if (
            isinstance(table, torch.nn.Embedding) and table.padding_idx is not None
        ):  # RoBERTa's positions begin after the padding's.
            positions = table.num_embeddings - table.padding_idx - 1
    lengths = (stated, tokenizer.model_max_length, positions)
    return min((length for length in lengths if isinstance(length, int) and 0 < length < _NO_LIMIT), default=_NO_LIMIT)
