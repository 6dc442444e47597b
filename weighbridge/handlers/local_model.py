"""What handlers have in common that load a model into this process: its turns, and giving its memory back.

Not here: how a model is loaded (pretrained), and what is done with it.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import torch

from weighbridge.handlers.interface import ATTRIBUTES, Device
from weighbridge.handlers.turns import Turns, closed

#: What a handler still says of itself after it was closed.
_KEPT = frozenset({"name", "device", "capabilities", "dim", "max_tokens", "turns", *ATTRIBUTES})


class LocalModel:
    """A model in this process's memory, until `close`; calls are made one after another.

    Args:
        hf_repo_id: the model's name, where `options` hold none.
        device: where it runs.
        options: of the handler.
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
        """Give the model's memory back once the call that works is done; those that wait, and later ones, are refused.

        Closing twice is harmless.
        """
        if not self.turns.close():
            return
        for attribute in vars(self).keys() - _KEPT:
            delattr(self, attribute)
        gc.collect()  # Layers know each other in circles.
        if str(self.device).startswith("cuda"):
            torch.cuda.empty_cache()

    def __getattr__(self, attribute: str) -> Any:
        """Refuse what went with the model. Raises HandlerError after `close`, AttributeError before."""
        turns = vars(self).get("turns")
        if turns is not None and turns.closed and not attribute.startswith("__"):
            raise closed(self.name)
        raise AttributeError(f"{type(self).__name__} has no attribute {attribute}")
