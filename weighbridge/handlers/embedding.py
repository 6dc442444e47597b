"""Text embeddings through transformers, with the pooling that the model was trained for."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING, AutoModel, AutoTokenizer

from weighbridge.errors import HandlerError, InvalidConfiguration
from weighbridge.handlers.conversion import converted
from weighbridge.handlers.inference import batches, finite, inferring, max_tokens, taken, watched
from weighbridge.handlers.interface import Device
from weighbridge.handlers.pretrained import load_model, load_processor, locate
from weighbridge.handlers.sentence import read_sentence

POOLINGS = ("mean", "cls", "last")
_BATCH = 32


class TextEmbedding:
    """An embedding model; calls are made one after another, under a lock.

    The pooling is the one of `pooling`, else the one that the model itself states (`1_Pooling`), else the mean. Vectors
    go through the model's own dense layers, and are of length 1 where it says so (`Normalize`), or `normalize` does.

    Args:
        hf_repo_id: repository in the cache, or a folder.
        device: where it runs.
        cache_dir: the Hugging Face cache; huggingface_hub's own when None.
        kwargs: `name`, `pooling` (`mean`, `cls`, `last`), `normalize`, `dtype`, `gguf_file`, and what `locate` takes
            besides.

    Raises:
        InvalidConfiguration: there is no such pooling.
        HandlerError: it cannot be loaded, or was made to write texts and nothing says how it pools.
        OutOfMemory: the device is too small.
    """

    capabilities = ["text-embedding"]
    options = ["pooling", "normalize", "dtype", "gguf_file"]
    thread_safe = False
    max_parallelism: int | None = 1
    owned_by = "local"

    def __init__(self, hf_repo_id: str, device: Device, cache_dir: str | None = None, **kwargs: Any) -> None:
        self.name: str = kwargs.get("name", hf_repo_id)
        self.device = device
        wanted = kwargs.get("pooling") or ""
        if wanted and wanted not in POOLINGS:
            raise InvalidConfiguration(f"There is no pooling “{wanted}”.", f"Write one of {', '.join(POOLINGS)}.")
        place = locate(hf_repo_id, cache_dir, kwargs)
        sentence = read_sentence(place.folder, wanted)
        self.pooling = wanted or sentence.pooling or "mean"
        self._normalize = bool(kwargs.get("normalize", sentence.normalizes))
        place = converted(place, AutoModel)
        side = "left" if self.pooling == "last" else "right"
        self.tokenizer = load_processor(AutoTokenizer, place, padding_side=side)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = load_model(AutoModel, place, device, spare=("pooler.",))
        if not wanted and not sentence.stated and _writes(self.model):
            raise HandlerError(
                f"{self.name} was made to write texts, and says nothing of embedding them.",
                "Name the handler TextChat; or, if it is for embedding, `pooling:` in models.yaml.",
            )
        self._dense = torch.nn.Sequential(*sentence.dense).to(device)
        widths = [part.out_features for part in self._dense.modules() if isinstance(part, torch.nn.Linear)]
        self.dim: int = int(widths[-1] if widths else self.model.config.get_text_config().hidden_size)
        self.max_tokens = max_tokens(self.tokenizer, self.model, sentence.max_tokens)
        self._lock, self._words = threading.Lock(), threading.Lock()

    def embed(self, texts: list[str], cancel_event: threading.Event | None = None) -> np.ndarray:
        """Return float32 vectors of shape (texts, dim); texts longer than `max_tokens` are cut.

        Raises:
            HandlerError: the model fails or computes no numbers.
            OutOfMemory: the device is too small.
            Cancelled: `cancel_event` was set.
        """
        found = [np.zeros((0, self.dim), np.float32)]
        with (
            taken(self._lock, self.name, cancel_event),
            watched(self.model, self.name, cancel_event),
            inferring(self.name, str(self.device), "embeddings"),
        ):
            for batch in batches(texts, _BATCH, self.name, cancel_event):
                with self._words:  # What is cut and padded is a state of the tokenizer.
                    inputs = self.tokenizer(
                        list(batch), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
                    ).to(self.device)
                states = self.model(**inputs).last_hidden_state.float()
                pooled = self._dense(finite(self.name, _pool(states, inputs["attention_mask"], self.pooling)))
                if self._normalize:
                    pooled = torch.nn.functional.normalize(pooled, dim=-1)
                found.append(pooled.cpu().numpy())
        return np.concatenate(found)

    def count_tokens(self, texts: list[str]) -> int:
        """Return the tokens of all texts together, as they would be embedded but uncut."""
        if not texts:
            return 0
        with self._words:
            return sum(map(len, self.tokenizer(texts)["input_ids"]))


def _pool(states: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Return one vector a text from the states of its tokens, shape (texts, tokens, dim)."""
    if pooling == "last":
        return states[:, -1]  # padded on the left
    if pooling == "cls":
        return states[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)


def _writes(model: Any) -> bool:
    """Tell whether a model of this kind can only continue texts: it sees what came before a token, never after."""
    kind = type(model.config)
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in MODEL_FOR_MASKED_LM_MAPPING
