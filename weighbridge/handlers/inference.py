"""Inference by transformers: in torch's inference mode, with whatever a stranger's model raises as our errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from weighbridge.errors import Cancelled, HandlerError, WeighbridgeError
from weighbridge.handlers.pretrained import refuse_memory


@contextmanager
def inferring(name: str, device: str, task: str) -> Iterator[None]:
    """Run a model.

    Args:
        name: of the model, for errors.
        device: where it runs, for errors.
        task: what it is used for, for errors.

    Raises:
        OutOfMemory: the device is too small.
        HandlerError: the model fails.
    """
    try:
        with torch.inference_mode():
            yield
    except WeighbridgeError:
        raise
    except Exception as error:
        refuse_memory(error, device)
        raise HandlerError(
            f"{name} fails: {type(error).__name__}: {str(error)[:300]}.", f"It may be no model for {task}."
        ) from error


def batches(items: Sequence[str], size: int, name: str, event: threading.Event | None) -> Iterator[Sequence[str]]:
    """Yield items in groups of `size`, until the event is set. Raises Cancelled."""
    for start in range(0, len(items), size):
        if event is not None and event.is_set():
            raise Cancelled(f"The work of {name} was cancelled.")
        yield items[start : start + size]


def finite(name: str, values: torch.Tensor) -> torch.Tensor:
    """Return values that are numbers. Raises HandlerError."""
    if not torch.isfinite(values).all():
        raise HandlerError(f"{name} computes NaN.", "Its weights are broken, or their type is too small.")
    return values
