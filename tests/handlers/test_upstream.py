"""Handlers of other services: what they pass on, and what a service that lies, hangs or breaks off leads to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.simulators.openai import OpenAIService
from weighbridge.errors import Cancelled, HandlerError, InvalidConfiguration
from weighbridge.handlers.loading import open_handler
from weighbridge.handlers.upstream import UpstreamChat, UpstreamEmbedding, UpstreamRerank, UpstreamSpeech

MESSAGES = [{"role": "user", "content": "one two three four"}]
OPTIONS: dict[str, Any] = {"max_new_tokens": 16, "temperature": 0.5, "top_p": 0.9}
SPEECH: dict[str, Any] = {"language": "en", "prompt": None, "temperature": 0.0, "timestamp_granularity": "word"}


@pytest.fixture
def service() -> Iterator[OpenAIService]:
    with OpenAIService() as service:
        yield service


def chat(service: OpenAIService, **options: Any) -> UpstreamChat:
    return UpstreamChat("org/model", upstream_base_url=service.url, name="mine", **options)


def test_a_chat_is_passed_on_and_counted(service: OpenAIService) -> None:
    steps: list[None] = []
    found = chat(service).stream(MESSAGES, **OPTIONS, stop=["x"], on_token=lambda: steps.append(None))
    assert (found.text, found.prompt_tokens, found.completion_tokens, found.finish_reason) == (
        "one two three four",
        4,
        4,
        "stop",
    )
    assert len(steps) == 4
    path, body = service.asked[0]
    assert path == "/v1/chat/completions"
    assert {key: body[key] for key in ("model", "max_tokens", "temperature", "top_p", "stop")} == {
        "model": "org/model",
        "max_tokens": 16,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["x"],
    }
    assert chat(service).generate(MESSAGES, **(OPTIONS | {"max_new_tokens": 2})).finish_reason == "length"
    assert chat(service).count_tokens(MESSAGES) == 4


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("half", "in the middle"),
        ("no reason", "half an answer"),
        ("not json", "no JSON"),
        ("html", "text/event-stream"),
        ("usage lies", "at most 16"),
        ("usage is text", "many"),
        ("usage is nothing", "no tokens"),
        ("500", "HTTP 500"),
        ("429", "HTTP 429"),
    ],
)
def test_what_a_service_gets_wrong_is_told(service: OpenAIService, fault: str, told: str) -> None:
    service.fault = fault
    with pytest.raises(HandlerError, match=told):
        chat(service).generate(MESSAGES, **OPTIONS)


def test_a_service_that_hangs_is_given_up(service: OpenAIService) -> None:
    service.fault = "hang"
    with pytest.raises(HandlerError, match="sent nothing"):
        chat(service, timeout_s=0.2).generate(MESSAGES, **OPTIONS)


def test_a_service_that_is_not_there_is_told() -> None:
    with OpenAIService() as service:
        url = service.url
    with pytest.raises(HandlerError, match="could not be asked"):
        UpstreamChat("m", upstream_base_url=url).generate(MESSAGES, **OPTIONS)


def test_a_cancelled_answer_ends(service: OpenAIService) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(Cancelled):
        chat(service).generate(MESSAGES, **OPTIONS, cancel_event=event)


def test_the_key_goes_along_and_into_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-hunter2")
    with OpenAIService(key="sk-hunter2") as service:
        assert chat(service, upstream_api_key_env="SOME_KEY").generate(MESSAGES, **OPTIONS).text
        monkeypatch.setenv("SOME_KEY", "sk-wrong")
        with pytest.raises(HandlerError, match="upstream_api_key_env") as error:
            chat(service, upstream_api_key_env="SOME_KEY").generate(MESSAGES, **OPTIONS)
        assert "sk-wrong" not in repr(error.value) + str(error.value.facts)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"upstream_base_url": "ftp://host/v1"},
        {"upstream_base_url": "https://user:secret@host/v1"},
        {"upstream_base_url": "https://host/v1", "upstream_api_key_env": "NO_SUCH_VARIABLE"},
    ],
)
def test_what_is_not_said_right_is_told(options: dict[str, str]) -> None:
    with pytest.raises(InvalidConfiguration) as error:
        open_handler("weighbridge.handlers.upstream.UpstreamChat", "org/model", device="cpu", **options)
    assert "secret" not in str(error.value)


def test_embeddings_come_in_the_order_of_the_texts(service: OpenAIService) -> None:
    handler = UpstreamEmbedding("m", upstream_base_url=service.url)
    np.testing.assert_array_equal(handler.embed(["a", "bbb"]), np.array([[1, 1], [3, 1]], np.float32))
    assert (handler.dim, handler.count_tokens(["ab", "c"])) == (2, 4)
    service.fault = "wrong shape"
    with pytest.raises(HandlerError, match="vectors"):
        handler.embed(["a", "b"])


def test_documents_come_in_order_of_their_scores(service: OpenAIService) -> None:
    handler = UpstreamRerank("m", upstream_base_url=service.url)
    assert [found.index for found in handler.rerank("x", ["", "xx", "x"], top_k=2)] == [1, 2]
    service.fault = "wrong shape"
    with pytest.raises(HandlerError, match="scores"):
        handler.rerank("x", ["a", "b"])


def test_speech_is_passed_on(service: OpenAIService, tmp_path: Path) -> None:
    sound = tmp_path / "hi.wav"
    sound.write_bytes(b"RIFF")
    handler = UpstreamSpeech("m", upstream_base_url=service.url)
    found = handler.transcribe(str(sound), task="transcribe", **SPEECH)
    assert (found.text, found.language, found.words[0].end_s) == ("hi", "en", 0.5)
    path, body = service.asked[0]
    assert path == "/v1/audio/transcriptions"
    assert b"RIFF" in body["form"]
    with pytest.raises(HandlerError, match="cannot be read"):
        handler.transcribe(str(tmp_path / "none.wav"), task="translate", **SPEECH)
