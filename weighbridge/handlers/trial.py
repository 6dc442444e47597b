"""Trying a model: loaded through its handler in a process of its own, and asked one thing."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from weighbridge import errors
from weighbridge.errors import HandlerError, WeighbridgeError
from weighbridge.handlers import child_process
from weighbridge.handlers.interface import Handler
from weighbridge.handlers.loading import open_handler
from weighbridge.handlers.sampling import sampling

_WORDS_SHOWN = 8
_MAX_IMAGE_SIZE = 20 * 1024**2


@dataclass(frozen=True)
class Trial:
    """One question to one model.

    Attributes:
        handler: path of the handler's class.
        model: folder of the model, or its name at an endpoint.
        text: a prompt, a text to embed, or a query.
        documents: to rank by the query.
        sound: path of a sound file to transcribe.
        images: paths of images that the prompt is about.
        device: `auto`, `cpu`, `cuda`, …
        options: of the handler.
        max_tokens, temperature, top_p: of an answer; None for the model's own defaults.
    """

    handler: str
    model: str
    text: str = ""
    documents: tuple[str, ...] = ()
    sound: str = ""
    images: tuple[str, ...] = ()
    device: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None


def try_model(trial: Trial, timeout_s: float = 600.0) -> str:
    """Return what the model answers, as text for a person.

    Raises:
        InvalidConfiguration: no such handler.
        HandlerError: the model cannot be loaded or fails, or nothing that it can do was asked.
    """
    answer = child_process.ask("weighbridge.handlers.trial", asdict(trial), timeout_s=timeout_s)
    if answer.value is None:
        raise HandlerError(answer.failure, "Its files may be broken, or the memory too small.")
    if "error" in answer.value:
        kind = getattr(errors, answer.value["error"], HandlerError)
        raise kind(answer.value["problem"], answer.value["remedy"])
    return str(answer.value["answer"])


def _run(question: Mapping[str, Any]) -> dict[str, Any]:
    trial = Trial(**{**question, **{name: tuple(question[name]) for name in ("documents", "images")}})
    try:
        handler = open_handler(trial.handler, trial.model, device=trial.device, **trial.options)
        return {"answer": _asked(handler, trial)}
    except WeighbridgeError as error:
        return {"error": type(error).__name__, "problem": error.problem, "remedy": error.remedy}


def _asked(handler: Any, trial: Trial) -> str:
    able = list(handler.capabilities)
    if "audio-transcription" in able and trial.sound:
        options = {"language": None, "prompt": None, "temperature": 0.0, "timestamp_granularity": None}
        return str(handler.transcribe(trial.sound, task="transcribe", **options).text)
    if "chat-completion" in able and trial.text:
        if trial.images and "vision" not in able:
            raise HandlerError(f"{handler.name} sees no images.", "Ask without --image, or name a handler that sees.")
        content = [*map(_image, trial.images), {"type": "text", "text": trial.text}] if trial.images else trial.text
        options = sampling(handler, max_tokens=trial.max_tokens, temperature=trial.temperature, top_p=trial.top_p)
        return str(handler.generate([{"role": "user", "content": content}], **options).text)
    if "rerank" in able and trial.text and trial.documents:
        ranked = handler.rerank(trial.text, list(trial.documents))
        return "\n".join(f"{result.score:.4f}  {result.document}" for result in ranked)
    if "text-embedding" in able and trial.text:
        (vector,) = handler.embed([trial.text])
        first = ", ".join(f"{value:.4f}" for value in vector[:_WORDS_SHOWN])
        return f"[{first}{', …' if len(vector) > _WORDS_SHOWN else ''}] of {len(vector)} dimensions"
    raise HandlerError(_wanted(handler, able))


def _image(path: str) -> dict[str, Any]:
    """Return an image as a part of a message."""
    try:
        if not Path(path).is_file():
            raise FileNotFoundError(None, "no such file")
        with Path(path).open("rb") as file:
            content = file.read(_MAX_IMAGE_SIZE + 1)
    except OSError as error:
        raise HandlerError(f"The image {path} cannot be read: {error.strerror}.", "Check the path.") from error
    if len(content) > _MAX_IMAGE_SIZE:
        raise HandlerError(f"The image {path} is larger than {_MAX_IMAGE_SIZE:,} bytes.", "Scale it down.")
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{base64.b64encode(content).decode()}"}}


def _wanted(handler: Handler, able: list[str]) -> str:
    needs = {
        "audio-transcription": "a sound file (--sound FILE)",
        "chat-completion": "a prompt" + (" (and --image FILE)" if "vision" in able else ""),
        "rerank": "a query and documents (--document TEXT, repeated)",
        "text-embedding": "a text",
    }
    return f"{handler.name} takes {' or '.join(needs[name] for name in able if name in needs) or 'nothing'}."


if __name__ == "__main__":
    child_process.answer_stdin(_run)
