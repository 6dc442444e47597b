"""Text embeddings through transformers, with the pooling that the model was trained for."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from weighbridge.errors import HandlerError, InvalidConfiguration
from weighbridge.handlers.inference import batches, finite, inferring
from weighbridge.handlers.interface import Device
from weighbridge.handlers.pretrained import load_model, load_processor, locate

POOLINGS = ("mean", "cls", "last")
#: What sentence-transformers calls them in `1_Pooling/config.json`.
_STATED = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}
_BATCH = 32


class TextEmbedding:
    """An embedding model; calls are made one after another, under a lock.

    The pooling is the one of `pooling`, else the one that the model's own `1_Pooling` states, else the mean. Vectors
    are of length 1 where the model says so (a `Normalize` module), or `normalize` does.

    Args:
        hf_repo_id: repository in the cache, or a folder.
        device: where it runs.
        cache_dir: the Hugging Face cache; huggingface_hub's own when None.
        kwargs: `name`, `pooling` (`mean`, `cls`, `last`), `normalize`, `dtype`, `trust_remote_code`.

    Raises:
        InvalidConfiguration: there is no such pooling.
        HandlerError, OutOfMemory: it cannot be loaded.
    """

    capabilities = ["text-embedding"]
    thread_safe = False
    max_parallelism: int | None = 1
    owned_by = "local"

    def __init__(self, hf_repo_id: str, device: Device, cache_dir: str | None = None, **kwargs: Any) -> None:
        self.name: str = kwargs.get("name", hf_repo_id)
        self.device = device
        place, trusted = locate(hf_repo_id, cache_dir), bool(kwargs.get("trust_remote_code"))
        self.pooling = _pooling(kwargs.get("pooling", ""), place.folder)
        self._normalize = bool(kwargs.get("normalize", _normalizes(place.folder)))
        side = "left" if self.pooling == "last" else "right"
        self.tokenizer = load_processor(AutoTokenizer, place, trust_remote_code=trusted, padding_side=side)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = load_model(AutoModel, place, device, trust_remote_code=trusted, dtype=kwargs.get("dtype", "auto"))
        self.dim: int = int(self.model.config.hidden_size)
        self.max_tokens = _max_tokens(self.tokenizer, self.model, place.folder)
        self._lock = threading.Lock()

    def embed(self, texts: list[str], cancel_event: threading.Event | None = None) -> np.ndarray:
        """Return float32 vectors of shape (texts, dim); texts longer than `max_tokens` are cut.

        Raises:
            HandlerError: the model fails or computes no numbers.
            OutOfMemory: the device is too small.
            Cancelled: `cancel_event` was set.
        """
        found = [np.zeros((0, self.dim), np.float32)]
        with self._lock, inferring(self.name, str(self.device), "embeddings"):
            for batch in batches(texts, _BATCH, self.name, cancel_event):
                inputs = self.tokenizer(
                    list(batch), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
                ).to(self.device)
                states = self.model(**inputs).last_hidden_state.float()
                pooled = finite(self.name, _pool(states, inputs["attention_mask"], self.pooling))
                if self._normalize:
                    pooled = torch.nn.functional.normalize(pooled, dim=-1)
                found.append(pooled.cpu().numpy())
        return np.concatenate(found)

    def count_tokens(self, texts: list[str]) -> int:
        """Return the tokens of all texts together, as they would be embedded but uncut."""
        if not texts:
            return 0
        return sum(map(len, self.tokenizer(texts)["input_ids"]))


def _pool(states: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Return one vector a text from the states of its tokens, shape (texts, tokens, dim)."""
    if pooling == "last":
        return states[:, -1]  # padded on the left
    if pooling == "cls":
        return states[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None


def _pooling(wanted: str, folder: Path) -> str:
    if wanted:
        if wanted not in POOLINGS:
            raise InvalidConfiguration(f"There is no pooling “{wanted}”.", f"Write one of {', '.join(POOLINGS)}.")
        return wanted
    stated = _json(folder / "1_Pooling" / "config.json")
    if isinstance(stated, dict):
        chosen = [pooling for key, pooling in _STATED.items() if stated.get(key) is True]
        others = [key for key, on in stated.items() if key.startswith("pooling_mode_") and on is True]
        if len(others) > 1 or (others and not chosen):
            raise HandlerError(
                f"The model pools by {', '.join(others)}, which is not done here.", "Name `pooling:` in models.yaml."
            )
        if chosen:
            return chosen[0]
    return "mean"


def _normalizes(folder: Path) -> bool:
    modules = _json(folder / "modules.json")
    kinds = [module.get("type") for module in modules if isinstance(module, dict)] if isinstance(modules, list) else []
    return any(isinstance(kind, str) and kind.endswith(".Normalize") for kind in kinds)


def _max_tokens(tokenizer: Any, model: Any, folder: Path) -> int:
    """Return the tokens a text may have: what sentence-transformers says, else tokenizer and model."""
    stated = _json(folder / "sentence_bert_config.json")
    lengths = [
        stated.get("max_seq_length") if isinstance(stated, dict) else None,
        tokenizer.model_max_length,
        getattr(model.config, "max_position_embeddings", None),
    ]
    return min((length for length in lengths if isinstance(length, int) and length > 0), default=512)
