"""Embeddings and reranking at a service that speaks OpenAI's protocol, or TEI's, Cohere's and vLLM's for reranking.

A service that refuses the number of texts of a request gets fewer at once. Not here: chat (upstream).
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from weighbridge.errors import HandlerError, InvalidRequest
from weighbridge.handlers.interface import Device, RerankResult
from weighbridge.handlers.ranking import ranked
from weighbridge.handlers.request import check_top_k, checked_text, whole_number
from weighbridge.handlers.upstream_service import UpstreamService
from weighbridge.handlers.vectors import WantedVectors, from_base64, wanted_vectors
from weighbridge.net.openai.dialect import Dialect

#: The most texts of one request, until a service refuses them.
_BATCH = 256
_TOO_MANY = re.compile(r"batch|too many|too large|maximum|per request|at most|limit|larger than|inputs", re.IGNORECASE)
_LIMIT = re.compile(
    r"(?:maximum allowed|max(?:imum)?|limit|at most|larger than|exceed)[^0-9.]{0,40}?(\d{1,5})\b", re.IGNORECASE
)
Part = TypeVar("Part")


class _InBatches(UpstreamService):
    """A service for many texts, in requests as large as it accepts."""

    def __init__(self, hf_repo_id: str, device: Device = "cpu", cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, cache_dir, **kwargs)
        self._batch = _BATCH

    def _in_batches(self, texts: Sequence[str], ask: Callable[[Sequence[str]], Part]) -> list[Part]:
        found: list[Part] = []
        done = 0
        while done < len(texts):
            some = texts[done : done + self._batch]
            try:
                found.append(ask(some))
            except InvalidRequest as error:
                if len(some) == 1 or not _TOO_MANY.search(error.problem):
                    raise
                stated = [int(number) for number in _LIMIT.findall(error.problem) if 0 < int(number) < len(some)]
                self._batch = stated[-1] if stated else len(some) // 2
            else:
                done += len(some)
        return found


class UpstreamEmbedding(_InBatches):
    """Embeddings at a service."""

    capabilities = ["text-embedding"]

    def __init__(self, hf_repo_id: str, device: Device = "cpu", cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, cache_dir, **kwargs)
        self._dim: int | None = None
        self._dialect = Dialect()

    @property
    def dim(self) -> int:
        """Return the length of a vector, from one request for a vector."""
        return self._dim if self._dim is not None else int(self.embed(["dimension"]).shape[1])

    def embed(self, texts: list[str], cancel_event: threading.Event | None = None, **options: Any) -> np.ndarray:
        """Return float32 vectors of shape (texts, dim).

        Args:
            texts: what is embedded.
            cancel_event: ends it.
            options: of `WantedVectors`, which the service gets.

        Raises:
            InvalidRequest: the service says so, or it is no list of texts.
            HandlerError: the service fails, or answers with vectors of another length.
            Cancelled: `cancel_event` was set.
        """
        wanted = wanted_vectors(self.name, options)
        if isinstance(texts, str):
            raise InvalidRequest(f"{self.name} embeds a list of texts, and got one text.", "Put it into a list.")
        if not texts:
            return np.zeros((0, wanted.dimensions or self.dim), np.float32)
        found = [vectors for vectors, _ in self._ask(texts, cancel_event, wanted)]
        expected = self._dim if wanted.dimensions is None else wanted.dimensions
        lengths = {vectors.shape[1] for vectors in found} | ({expected} if expected is not None else set())
        if len(lengths) > 1:
            asked = "" if wanted.dimensions is None else f", and {wanted.dimensions:,} dimensions were asked for"
            raise self.wrong(f"vectors of the lengths {', '.join(map(str, sorted(lengths)))}{asked}")
        if wanted.dimensions is None:
            (self._dim,) = lengths
        return np.concatenate(found)

    def count_tokens(self, texts: list[str]) -> int:
        """Return the service's count of tokens. Raises HandlerError where it has none."""
        counted = [tokens for _, tokens in self._ask(texts, None, WantedVectors())]
        if None in counted:
            raise HandlerError(f"{self.device} does not count the tokens of {self.name}.", "Count them elsewhere.")
        return sum(filter(None, counted))

    def _ask(
        self, texts: Sequence[str], cancel_event: threading.Event | None, wanted: WantedVectors
    ) -> list[tuple[np.ndarray, int | None]]:
        whole = [checked_text(text) for text in texts]
        chosen = {key: value for key, value in vars(wanted).items() if value is not None}
        return self._in_batches(whole, lambda some: self._vectors(some, cancel_event, chosen))

    def _vectors(
        self, texts: Sequence[str], event: threading.Event | None, chosen: Mapping[str, Any]
    ) -> tuple[np.ndarray, int | None]:
        answer = self._post({"model": self._model, "input": list(texts), **chosen}, event)
        usage = answer.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        tokens = usage.get("prompt_tokens", usage.get("total_tokens"))
        if tokens is not None and (not whole_number(tokens) or tokens < 0):
            raise self.wrong(f"prompt_tokens of {str(tokens)[:40]!r}")
        try:
            entries = answer["data"]
            indexed = any("index" in entry for entry in entries)
            found = sorted(entries, key=lambda entry: entry["index"]) if indexed else entries
            places = [entry["index"] for entry in found] if indexed else list(range(len(found)))
            vectors = np.array([_vector(entry["embedding"]) for entry in found], np.float32)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self.wrong("no vectors") from error
        if places != list(range(len(texts))) or vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise self.wrong(
                f"vectors of the shape {vectors.shape} for {len(texts)} texts, or with values that are not numbers"
            )
        return vectors, tokens

    def _post(self, body: Mapping[str, Any], event: threading.Event | None) -> dict[str, Any]:
        while True:
            said = self._dialect.adapted(body)
            try:
                return self._endpoint.post("/embeddings", said, event)
            except HandlerError as error:
                if not self._dialect.learn(error, said):
                    raise


class UpstreamRerank(_InBatches):
    """Reranking at a service: Cohere's, Jina's and vLLM's `/rerank`, or TEI's."""

    capabilities = ["rerank"]

    def __init__(self, hf_repo_id: str, device: Device = "cpu", cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, cache_dir, **kwargs)
        self._key = "documents"

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_k: int | None = None,
        cancel_event: threading.Event | None = None,
    ) -> list[RerankResult]:
        """Return the documents with their scores, the most relevant first. Raises HandlerError, Cancelled."""
        check_top_k(top_k)
        found = self._in_batches(documents, lambda some: self._scores(query, some, cancel_event))
        scores = [score for some in found for score in some]
        return ranked(scores, documents, top_k)

    def _scores(self, query: str, documents: Sequence[str], cancel_event: threading.Event | None) -> list[float]:
        # Some services return only the best ten by default.
        body = {"model": self._model, "query": query, "top_n": len(documents)}
        try:
            answer = self._endpoint.post("/rerank", {**body, self._key: list(documents)}, cancel_event)
        except InvalidRequest as error:
            if self._key == "texts" or "texts" not in error.problem:
                raise
            self._key = "texts"  # TEI's name for documents.
            answer = self._endpoint.post("/rerank", {**body, self._key: list(documents)}, cancel_event)
        try:
            entries = answer["results"] if "results" in answer else answer["data"]
            scores = {int(entry["index"]): _score(entry) for entry in entries}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self.wrong("no scores") from error
        if scores.keys() != set(range(len(documents))) or not all(map(math.isfinite, scores.values())):
            raise self.wrong(f"scores of {len(scores)} documents for {len(documents)}, or that are not numbers")
        return [scores[index] for index in range(len(documents))]


def _score(entry: Mapping[str, Any]) -> float:
    return float(entry["relevance_score"] if "relevance_score" in entry else entry["score"])


def _vector(value: Any) -> Any:
    """Return the numbers of a vector, which may be base64."""
    return from_base64(value) if isinstance(value, str) else value
