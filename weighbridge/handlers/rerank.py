"""Reranking through transformers: a cross-encoder that computes one score for a query and a document together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from weighbridge.errors import HandlerError
from weighbridge.handlers.inference import batches, finite, inferring, max_tokens, watched
from weighbridge.handlers.interface import Device, RerankResult
from weighbridge.handlers.local_model import LocalModel
from weighbridge.handlers.pretrained import load_model, load_processor, locate
from weighbridge.handlers.ranking import ranked
from weighbridge.handlers.request import check_top_k, checked_text

_BATCH = 16


class TextRerank(LocalModel):
    """A cross-encoder; calls are made one after another, under a lock.

    Args:
        hf_repo_id: a repository in the cache, or a folder.
        device: the device it runs on.
        cache_dir: the Hugging Face cache; huggingface_hub's default when None.
        kwargs: `name`, `dtype`, and the other options of `locate`.

    Raises:
        HandlerError: it cannot be loaded, or computes more than one score for a pair.
        OutOfMemory: the device is too small.
    """

    capabilities = ["rerank"]
    options = ["dtype"]
    joins = True

    def __init__(self, hf_repo_id: str, device: Device, cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, kwargs)
        place = locate(hf_repo_id, cache_dir, kwargs)
        self.tokenizer = load_processor(AutoTokenizer, place)
        self.model = load_model(AutoModelForSequenceClassification, place, device)
        if self.model.config.num_labels != 1:
            raise HandlerError(
                f"{self.name} computes {self.model.config.num_labels} scores, and a reranker computes one.",
                "It is a classifier; name the model that its publisher made for reranking.",
            )
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
            self.model.config.pad_token_id = self.tokenizer.pad_token_id
        self.max_tokens = max_tokens(self.tokenizer, self.model)

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_k: int | None = None,
        cancel_event: threading.Event | None = None,
    ) -> list[RerankResult]:
        """Return the documents with their scores of 0 to 1, the most relevant first; equal ones in their own order.

        Where a query and a document are longer than `max_tokens` together, the longer one is cut; `count_cut` returns
        how many are.

        Raises:
            InvalidRequest: a text or `top_k` is invalid.
            HandlerError: the model fails or computes NaN.
            OutOfMemory: the device is too small.
            Cancelled: `cancel_event` was set.
        """
        check_top_k(top_k)
        scores = self.score([(query, document) for document in documents], cancel_event)
        return ranked(scores, documents, top_k)

    def score(self, pairs: Sequence[tuple[str, str]], cancel_event: threading.Event | None = None) -> list[float]:
        """Return the score of each query and document. Raises as `rerank`."""
        checked = [(checked_text(query), checked_text(document)) for query, document in pairs]
        scores: list[float] = []
        with (
            self.turns.take(self.name, cancel_event),
            watched(self.model, self.name, cancel_event),
            inferring(self.name, str(self.device), "reranking"),
        ):
            for batch in batches(checked, _BATCH, self.name, cancel_event):
                inputs = self.tokenizer(
                    [query for query, _ in batch],
                    [document for _, document in batch],
                    padding=True,
                    truncation="longest_first",
                    max_length=self.max_tokens,
                    return_tensors="pt",
                ).to(self.device)
                logits = finite(self.name, self.model(**inputs).logits[:, 0].double())
                scores += torch.sigmoid(logits).cpu().tolist()  # Services return this range.
        return scores

    def count_cut(self, query: str, documents: Sequence[str]) -> int:
        """Return how many documents are, with the query, longer than `max_tokens`, so that one of both is cut."""
        if not documents:
            return 0
        with inferring(self.name, "the tokenizer", "reranking"):
            entries = self.tokenizer([query] * len(documents), list(documents))["input_ids"]
        return sum(len(tokens) > self.max_tokens for tokens in entries)
