"""Trying a model: it is loaded through its handler in a separate process, and gets one question."""

from __future__ import annotations

import base64
import inspect
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from weighbridge.errors import HandlerError, InvalidRequest, WeighbridgeError
from weighbridge.handlers import child_process
from weighbridge.handlers.interface import Handler
from weighbridge.handlers.loading import opened
from weighbridge.handlers.request import check_taken
from weighbridge.handlers.sampling import sampling
from weighbridge.handlers.vectors import encoded

_WORDS_SHOWN = 8
#: Fields of a trial that only some models take, with their names on the command line.
_OPTIONS = {
    "sound": "--sound",
    "documents": "--document",
    "images": "--image",
    "max_tokens": "--max-tokens",
    "temperature": "--temperature",
    "top_p": "--top-p",
    "language": "--language",
    "translate": "--translate",
    "timestamps": "--timestamps",
    "dimensions": "--dimensions",
    "encoding_format": "--encoding-format",
}
_MAX_IMAGE_SIZE = 20 * 1024**2


@dataclass(frozen=True)
class Trial:
    """One question to one model.

    Attributes:
        handler: the path of the handler's class.
        model: the folder of the model, or its name at an endpoint.
        text: a prompt, a text to embed, a query, or words that a sound is likely to have.
        documents: the documents to rank by the query.
        sound: the path of a sound file to transcribe.
        images: the paths of images for the prompt.
        device: `auto`, `cpu`, `cuda`, …
        options: the handler's options.
        max_tokens, temperature, top_p: options of an answer; None for the model's own defaults.
        language: the language of the speech, or empty for detection.
        translate: whether speech is translated to English.
        timestamps: `word` or `segment` for the times of a transcript, or empty.
        dimensions: numbers of a vector; None for the model's own.
        encoding_format: `float` or `base64`, how a vector is answered; empty for numbers.
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
    language: str = ""
    translate: bool = False
    timestamps: str = ""
    dimensions: int | None = None
    encoding_format: str = ""


@dataclass(frozen=True)
class Reply:
    """The answer of a model.

    Attributes:
        value: plain JSON types: a text, a vector, ranked documents, a transcript with its times.
        text: the same for people.
    """

    value: Any
    text: str


def try_model(trial: Trial, timeout_s: float = 600.0, on_text: Callable[[str], None] | None = None) -> Reply:
    """Return the model's answer.

    Args:
        trial: the question.
        timeout_s: seconds after which the process is killed.
        on_text: called with each piece of a chat model's answer as it is written, where its handler supports that.

    Raises:
        InvalidConfiguration: no such handler.
        InvalidRequest: the trial does not fit the model.
        HandlerError: the model cannot be loaded or fails.
    """
    keys = (trial.options.get("upstream_api_key_env", ""),)
    answer = child_process.ask(
        "weighbridge.handlers.trial",
        asdict(trial),
        timeout_s=timeout_s,
        keys=keys,
        hear=on_text or child_process.unheard,
    )
    if answer.value is None:
        remedy = "Give it more time." if answer.late else "Its files may be broken, or the memory too small."
        raise HandlerError(answer.failure, remedy)
    if (error := child_process.told_error(answer.value)) is not None:
        raise error
    return Reply(**answer.value)


def _run(question: Mapping[str, Any], on_text: Callable[[str], None] = child_process.unheard) -> dict[str, Any]:
    trial = Trial(**{**question, **{name: tuple(question[name]) for name in ("documents", "images")}})
    try:
        with opened(trial.handler, trial.model, device=trial.device, **trial.options) as handler:
            return asdict(_asked(handler, trial, on_text))
    except WeighbridgeError as error:
        return child_process.as_json(error)


def _asked(handler: Any, trial: Trial, on_text: Callable[[str], None]) -> Reply:
    able = list(handler.capabilities)
    if "audio-transcription" in able and trial.sound:
        _refuse_others(handler, trial, {"sound", "text", "temperature", "language", "translate", "timestamps"})
        return _transcribed(handler, trial)
    if "chat-completion" in able and trial.text:
        return _answered(handler, trial, on_text)
    if "rerank" in able and trial.text and trial.documents:
        _refuse_others(handler, trial, {"text", "documents"})
        return _ranked(handler, trial)
    if "text-embedding" in able and trial.text:
        _refuse_others(handler, trial, {"text", "dimensions", "encoding_format"})
        return _embedded(handler, trial)
    raise InvalidRequest(_wanted(handler, able))


def _embedded(handler: Any, trial: Trial) -> Reply:
    options = {} if trial.dimensions is None else {"dimensions": trial.dimensions}
    check_taken(handler.name, handler.embed, options)
    (vector,) = encoded(handler.embed([trial.text], **options), trial.encoding_format)
    if trial.encoding_format == "base64":
        return Reply(vector, vector)
    first = ", ".join(f"{value:.4f}" for value in vector[:_WORDS_SHOWN])
    return Reply(vector, f"[{first}{', …' if len(vector) > _WORDS_SHOWN else ''}] of {len(vector)} dimensions")


def _answered(handler: Any, trial: Trial, on_text: Callable[[str], None]) -> Reply:
    if trial.images and "vision" not in handler.capabilities:
        raise InvalidRequest(f"{handler.name} reads no images.", "Ask without --image, or name a handler for images.")
    _refuse_others(handler, trial, {"text", "images", "max_tokens", "temperature", "top_p"})
    content = [*map(_image, trial.images), {"type": "text", "text": trial.text}] if trial.images else trial.text
    options = sampling(handler, max_tokens=trial.max_tokens, temperature=trial.temperature, top_p=trial.top_p)
    answer: Callable[..., Any] = partial(handler.stream, on_text=on_text) if _streams(handler) else handler.generate
    said = str(answer([{"role": "user", "content": content}], **options).text)
    return Reply(said, said)


def _streams(handler: Any) -> bool:
    """Return whether a handler passes its text on while it writes.

    A user's class may have a `stream` of another kind, or a `generate` that ours would bypass.
    """
    defining = (vars(kind) for kind in type(handler).__mro__)
    nearest: Mapping[str, Any] = next((names for names in defining if names.keys() & {"stream", "generate"}), {})
    return "stream" in nearest and "on_text" in inspect.signature(handler.stream).parameters


def _ranked(handler: Any, trial: Trial) -> Reply:
    ranked = handler.rerank(trial.text, list(trial.documents))
    # A user's handler may return only the index.
    texts = [one.document or trial.documents[one.index] for one in ranked]
    found = [
        {"index": one.index, "score": float(one.score), "document": text}
        for one, text in zip(ranked, texts, strict=True)
    ]
    return Reply(found, "\n".join(f"{one['score']:.4f}  {one['document']}" for one in found))


def _refuse_others(handler: Any, trial: Trial, taken: set[str]) -> None:
    """Raise InvalidRequest for other options, which would have no effect."""
    for name, option in _OPTIONS.items():
        given = getattr(trial, name)
        if name not in taken and given is not False and given not in ("", (), None):
            raise InvalidRequest(
                f"{option} does not fit: {_wanted(handler, list(handler.capabilities))}", "Leave it out."
            )


def _transcribed(handler: Any, trial: Trial) -> Reply:
    found = handler.transcribe(
        trial.sound,
        language=trial.language or None,
        prompt=trial.text or None,
        temperature=0.0 if trial.temperature is None else trial.temperature,
        task="translate" if trial.translate else "transcribe",
        timestamp_granularity=trial.timestamps or None,
    )
    parts = found.words if trial.timestamps == "word" else found.segments
    if not trial.timestamps:
        return Reply(str(found.text), str(found.text))
    lines = [f"{part.start_s:8.2f} {part.end_s:8.2f}  {part.text.strip()}" for part in parts]
    return Reply({"text": found.text, "language": found.language, "parts": list(map(asdict, parts))}, "\n".join(lines))


def _image(path: str) -> dict[str, Any]:
    """Return an image as a part of a message."""
    try:
        if not Path(path).is_file():
            raise FileNotFoundError(None, "no such file")
        with Path(path).open("rb") as file:
            content = file.read(_MAX_IMAGE_SIZE + 1)
    except OSError as error:
        raise InvalidRequest(f"The image {path} cannot be read: {error.strerror}.", "Check the path.") from error
    if len(content) > _MAX_IMAGE_SIZE:
        raise InvalidRequest(f"The image {path} is larger than {_MAX_IMAGE_SIZE:,} bytes.", "Scale it down.")
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{base64.b64encode(content).decode()}"}}


def _wanted(handler: Handler, able: list[str]) -> str:
    needs = {
        "audio-transcription": "a sound file (--sound FILE) and words that it may hold",
        "chat-completion": "a prompt" + (" (and --image FILE)" if "vision" in able else ""),
        "rerank": "a query and documents (--document TEXT, repeated)",
        "text-embedding": "a text",
    }
    return f"{handler.name} takes {' or '.join(needs[name] for name in able if name in needs) or 'nothing'}."


if __name__ == "__main__":
    child_process.answer_stdin(_run)
