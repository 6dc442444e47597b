"""Which handler serves a model when models.yaml names none: by the task that its card states."""

from __future__ import annotations

from weighbridge.domain.card import ModelCard
from weighbridge.errors import InvalidConfiguration

#: The Hub's word for a task to the handler of it.
HANDLERS = {
    "text-generation": "weighbridge.handlers.chat.TextChat",
    "image-text-to-text": "weighbridge.handlers.vision.VisionChat",
    "feature-extraction": "weighbridge.handlers.embedding.TextEmbedding",
    "sentence-similarity": "weighbridge.handlers.embedding.TextEmbedding",
    "automatic-speech-recognition": "weighbridge.handlers.speech.WhisperSpeech",
    "text-ranking": "weighbridge.handlers.rerank.TextRerank",
}
#: The benchmarks of a task when nobody names some; those that need no data set and no judge.
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
        stated = f"is for {task}, which no handler of ours does" if task else "does not say what it is for"
        raise InvalidConfiguration(
            f"{name} {stated}.", "Name its handler in models.yaml, or with --handler package.module.Class.", model=name
        )
    return HANDLERS[task]


def benchmarks_of(card: ModelCard) -> tuple[str, ...]:
    """Return the names of the benchmarks for a model's task."""
    return BENCHMARKS.get(card.get("task"), ())
