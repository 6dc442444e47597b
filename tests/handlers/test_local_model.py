"""Giving a model's memory back: nothing of it is left, whoever waits is told, and nothing is asked of it again."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.handlers import tiny
from tests.handlers.test_loading import module
from tests.handlers.test_turns import until
from tests.simulators.openai import OpenAIService
from weighbridge.errors import HandlerError
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.embedding import TextEmbedding
from weighbridge.handlers.loading import opened
from weighbridge.handlers.local_model import LocalModel
from weighbridge.handlers.rerank import TextRerank
from weighbridge.handlers.upstream import UpstreamChat
from weighbridge.handlers.vision import VisionChat

pytestmark = pytest.mark.xdist_group("torch")
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hello"}]
GREEDY: dict[str, Any] = {"max_new_tokens": 4, "temperature": 0.0, "top_p": 1.0}
Asks = tuple[Callable[[Any], object], ...]
CHATS: Asks = (
    lambda handler: handler.generate(HELLO, **GREEDY),
    lambda handler: handler.count_tokens(HELLO),
    lambda handler: handler.complete([[5, 6]], max_new_tokens=2),
    lambda handler: handler.context_length,
)
EMBEDS: Asks = (lambda handler: handler.embed(["a"]), lambda handler: handler.count_cut(["a"]))
RANKS: Asks = (lambda handler: handler.rerank("q", ["a"]), lambda handler: handler.count_cut("q", ["a"]))


@pytest.mark.parametrize(
    ("kind", "made", "asks"),
    [
        (TextChat, tiny.llama, CHATS),
        (VisionChat, tiny.qwen_vl, CHATS),
        (TextEmbedding, tiny.bert, EMBEDS),
        (TextRerank, lambda folder: tiny.bert(folder, labels=1), RANKS),
    ],
)
def test_a_closed_model_leaves_no_weights_and_refuses(tmp_path: Path, kind: Any, made: Any, asks: Asks) -> None:
    handler = kind(str(made(tmp_path)), "cpu", name="m")
    for ask in asks:
        ask(handler)
    weights = [weakref.ref(weight) for weight in handler.model.parameters()]
    handler.close()
    handler.close()
    assert weights
    assert [weight for weight in weights if weight() is not None] == []
    for ask in asks:
        with pytest.raises(HandlerError, match=r"m is closed, and its memory is released\. Load it again"):
            ask(handler)
    assert (handler.name, handler.capabilities) == ("m", kind.capabilities)
    assert kind(str(tmp_path), "cpu", name="m").close() is None


def test_closing_waits_for_the_call_that_works_and_refuses_those_that_wait() -> None:
    model = LocalModel("m", "cpu", {})
    model.weights = object()  # type: ignore[attr-defined]

    def wait() -> None:
        with model.turns.take("m", threading.Event()):
            raise AssertionError

    with ThreadPoolExecutor(4) as pool:
        with model.turns.take("m", None):
            waiting = [pool.submit(wait) for _ in range(3)]
            until(lambda: model.turns.waiting == 3)
            closing = pool.submit(model.close)
            until(lambda: model.turns.waiting == 4)
            assert model.weights is not None
        closing.result(60)
    assert {type(one.exception()) for one in waiting} == {HandlerError}
    with pytest.raises(HandlerError, match="closed"):
        _ = model.weights


def test_what_a_handler_never_had_is_no_word_of_closing() -> None:
    model = LocalModel("m", "cpu", {})
    with pytest.raises(AttributeError, match="LocalModel has no attribute embed"):
        model.embed  # noqa: B018
    model.close()
    assert not hasattr(model, "__array__")


def test_a_handler_is_open_as_long_as_its_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plain = "class Mine:\n    def __init__(self, *a, **k): self.name = 'm'\n    def embed(self): ...\n"
    plain += "    def count_tokens(self): ...\n"
    with opened(module(tmp_path, "own_stays", plain), "x", device="cpu") as handler:
        assert handler.name == "m"
    closes = plain + "    def close(self):\n        self.was = 'closed'\n        raise ValueError\n"
    with pytest.raises(KeyError), opened(module(tmp_path, "own_goes", closes), "x", device="cpu") as handler:
        raise KeyError
    assert handler.was == "closed"  # type: ignore[union-attr]


def test_a_services_handler_lets_its_connections_go_and_can_be_asked_again() -> None:
    with OpenAIService() as service:
        handler = UpstreamChat("m", upstream_base_url=service.url)
        said = handler.generate(HELLO, **GREEDY)
        handler.close()
        assert handler.generate(HELLO, **GREEDY) == said
