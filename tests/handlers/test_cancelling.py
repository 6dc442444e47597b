"""Cancelling: whatever a handler does, it ends soon; and calls from several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.handlers import tiny
from tests.handlers.test_images import data_url
from tests.services.whisper import beckett, whisper  # noqa: F401 (fixtures)
from weighbridge.errors import Cancelled
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.embedding import TextEmbedding
from weighbridge.handlers.rerank import TextRerank
from weighbridge.handlers.sound import RATE, read_sound
from weighbridge.handlers.speech import WhisperSpeech
from weighbridge.handlers.vision import VisionChat

pytestmark = pytest.mark.xdist_group("torch")
#: Asks a handler one thing, until an event is set.
Ask = Callable[[threading.Event | None], object]
OPTIONS: dict[str, Any] = {"max_new_tokens": 40, "temperature": 0.0, "top_p": 1.0}
KINDS = ("chat", "vision", "embedding", "rerank", "speech")


@pytest.fixture(scope="module")
def handlers(
    tmp_path_factory: pytest.TempPathFactory,
    whisper: Path,  # noqa: F811
    beckett: Path,  # noqa: F811
) -> dict[str, tuple[Any, Ask]]:
    def folder(name: str) -> Path:
        return tmp_path_factory.mktemp(name)

    chat = TextChat(str(tiny.llama(folder("llama"))), "cpu")
    vision = VisionChat(str(tiny.qwen_vl(folder("qwen"))), "cpu")
    embedding = TextEmbedding(str(tiny.bert(folder("bert"))), "cpu")
    rerank = TextRerank(str(tiny.bert(folder("ranking"), labels=1)), "cpu")
    speech = WhisperSpeech(str(whisper), "cpu")
    said: Any = [{"role": "user", "content": "hello"}]
    image = {"type": "image_url", "image_url": {"url": data_url(Image.new("RGB", (16, 16)))}}
    seen: Any = [{"role": "user", "content": [image, {"type": "text", "text": "what?"}]}]
    heard: Any = {"language": None, "prompt": None, "temperature": 0.0, "timestamp_granularity": None}
    return {
        "chat": (chat, lambda event: chat.generate(said, **OPTIONS, cancel_event=event)),
        "vision": (vision, lambda event: vision.generate(seen, **OPTIONS, cancel_event=event)),
        "embedding": (embedding, lambda event: embedding.embed(["hello"], event)),
        "rerank": (rerank, lambda event: rerank.rerank("q", ["hello"], cancel_event=event)),
        "speech": (
            speech,
            lambda event: speech.transcribe(str(beckett), task="transcribe", **heard, cancel_event=event),
        ),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_through_the_model_ends_between_two_layers(handlers: dict[str, tuple[Any, Ask]], kind: str) -> None:
    handler, ask = handlers[kind]
    event, ran = threading.Event(), []
    first = max((part for part in handler.model.modules() if isinstance(part, torch.nn.ModuleList)), key=len)
    hooks = [
        first[0].register_forward_hook(lambda *_: event.set()),
        first[1].register_forward_hook(lambda *_: ran.append(1)),
    ]
    try:
        with pytest.raises(Cancelled):
            ask(event)
    finally:
        for hook in hooks:
            hook.remove()
    assert ran == []
    assert ask(None) is not None  # It works again, and nothing watches any more.
    assert all(not layer._forward_pre_hooks for layer in first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_waits_for_another_ends_too(handlers: dict[str, tuple[Any, Ask]], kind: str) -> None:
    handler, ask = handlers[kind]
    turns = handler.turns if hasattr(handler, "turns") else handler._generation.turns
    event = threading.Event()
    with turns.take("test", None), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, event)
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        assert turns.waiting == 1
        event.set()
        with pytest.raises(Cancelled):
            waiting.result(60)


def test_reading_a_sound_ends_between_two_pieces(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", np.zeros(RATE * 60), RATE)
    pieces: list[int] = []

    def check() -> None:
        pieces.append(1)
        if len(pieces) == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        read_sound(tmp_path / "long.flac", 100, check)
    assert len(pieces) == 2


def test_several_threads_at_once_get_their_own_answers(handlers: dict[str, tuple[Any, Ask]]) -> None:
    """How a tokenizer cuts and pads is a state of it, which threads overwrite for each other: a call in fifty fails."""
    handler = handlers["embedding"][0]
    texts = [["a" * (1 + number), "b"] for number in range(9)]
    alone = [handler.embed(pair) for pair in texts]

    def work(number: int) -> bool:
        vectors, counted = handler.embed(texts[number % 9]), handler.count_tokens(["a" * 300, "b"])
        return counted == 301 and np.allclose(vectors, alone[number % 9], atol=1e-5)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(1200)))


def test_several_chats_at_once_get_their_own_answers(handlers: dict[str, tuple[Any, Ask]]) -> None:
    def ask(number: int) -> object:
        message = [{"role": "user", "content": "x" * number}]
        return handlers["chat"][0].generate(message, **OPTIONS | {"max_new_tokens": 3})

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(12))) == [ask(number) for number in range(12)]
