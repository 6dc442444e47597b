"""The handler of a model for which models.yaml names none: by the task on its card."""

from __future__ import annotations

from weighbridge.domain.card import ModelCard
from weighbridge.errors import InvalidConfiguration

#: The handler for each task of the Hub.
HANDLERS = {
    "text-generation": "weighbridge.handlers.chat.TextChat",
    "image-text-to-text": "weighbridge.handlers.vision.VisionChat",
    "feature-extraction": "weighbridge.handlers.embedding.TextEmbedding",
    "sentence-similarity": "weighbridge.handlers.embedding.TextEmbedding",
    "automatic-speech-recognition": "weighbridge.handlers.speech.WhisperSpeech",
    "text-ranking": "weighbridge.handlers.rerank.TextRerank",
}
#: The default benchmarks of each task: those that need no data set and no judge.
BENCHMARKS = {
    "text-generation": ("inference_latency", "throughput", "memory"),
    "image-text-to-text": ("inference_latency",),
    "feature-extraction": ("embedding_rate",),
    "sentence-similarity": ("embedding_rate",),
    "automatic-speech-recognition": ("speech_rate",),
    "text-ranking": ("rerank_rate",),
}


def handler_of(name: str, card: ModelCard) -> str:
    """Return the path of the handler for a model's task.

    Raises:
        InvalidConfiguration: the card states no task, or one without a handler.
    """
    task = card.get("task")
    if task not in HANDLERS:
        stated = f"is for {task}, for which there is no handler" if task else "does not say what it is for"
        raise InvalidConfiguration(
            f"{name} {stated}.", "Name its handler in models.yaml, or with --handler package.module.Class.", model=name
        )
    return HANDLERS[task]


def benchmarks_of(card: ModelCard) -> tuple[str, ...]:
    """Return the names of the benchmarks for a model's task."""
    return BENCHMARKS.get(card.get("task"), ())
