"""The base class of handlers that load a model into this process: its queue of calls, and releasing its memory.

Not here: how a model is loaded (pretrained).
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import torch

from weighbridge.handlers.interface import ATTRIBUTES, Device
from weighbridge.handlers.turns import Turns, closed

#: The attributes that a closed handler still has.
_KEPT = frozenset({"name", "device", "capabilities", "dim", "max_tokens", "turns", *ATTRIBUTES})


class LocalModel:
    """A model in this process's memory, until `close`; calls are made one after another.

    Args:
        hf_repo_id: the model's name, where `options` have none.
        device: the device it runs on.
        options: the handler's options.
    """

    thread_safe = False
    max_parallelism: int | None = 1
    joins = False
    owned_by = "local"
    supports_structured_outputs = False

    def __init__(self, hf_repo_id: str, device: Device, options: Mapping[str, Any]) -> None:
        self.name: str = options.get("name", hf_repo_id)
        self.device = device
        self.generation_defaults: dict[str, Any] = options.get("generation_defaults", {})
        self.turns = Turns()

    def close(self) -> None:
        """Release the model's memory after the running call; waiting and later calls are refused.

        Closing twice is harmless.
        """
        if not self.turns.close():
            return
        for attribute in vars(self).keys() - _KEPT:
            delattr(self, attribute)
        gc.collect()  # Layers refer to each other in cycles.
        if str(self.device).startswith("cuda"):
            torch.cuda.empty_cache()

    def __getattr__(self, attribute: str) -> Any:
        """Refuse attributes of the removed model: raise HandlerError after `close`, AttributeError before."""
        turns = vars(self).get("turns")
        if turns is not None and turns.closed and not attribute.startswith("__"):
            raise closed(self.name)
        raise AttributeError(f"{type(self).__name__} has no attribute {attribute}")
