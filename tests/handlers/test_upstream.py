"""Handlers of other services: what they pass on, and what a service that lies, hangs or breaks off leads to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.simulators.openai import OpenAIService
from weighbridge.errors import AddressRefused, Cancelled, HandlerError, InvalidConfiguration
from weighbridge.handlers.loading import open_handler
from weighbridge.handlers.upstream import UpstreamChat, UpstreamEmbedding, UpstreamRerank, UpstreamSpeech
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.openai.endpoint import OpenAIEndpoint

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
        ("not json", "does not answer with JSON"),
        ("html", "text/event-stream"),
        ("usage lies", "are possible"),
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


@pytest.mark.parametrize(
    ("fault", "passes"), [("429", True), ("500", True), ("half", True), ("hang", True), ("html", False), ("400", False)]
)
def test_what_may_pass_by_itself_is_said(service: OpenAIService, fault: str, passes: bool) -> None:
    service.fault, service.retry_after = fault, "7"
    with pytest.raises(HandlerError) as error:
        chat(service, timeout_s=0.2).generate(MESSAGES, **OPTIONS)
    assert error.value.facts.get("transient", False) is passes
    assert error.value.facts.get("retry_after_s") == (7 if fault in ("429", "500") else None)


def test_a_service_lies_where_it_may_be_asked(service: OpenAIService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is looked up when the connection is made: what it was before says nothing."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    body = {"messages": MESSAGES, "max_tokens": 9}
    with pytest.raises(AddressRefused):
        OpenAIEndpoint(service.url, addresses=AddressPolicy(private=())).post("/chat/completions", body)
    assert service.asked == []
    allowed = OpenAIEndpoint(service.url, addresses=AddressPolicy(private=("127.0.0.0/8",)))
    assert allowed.post("/chat/completions", body)["choices"]
    service.fault, event = "hang", threading.Event()
    threading.Timer(0.2, event.set).start()
    with pytest.raises(Cancelled):
        allowed.post("/chat/completions", body, event)


def test_a_service_that_is_not_there_is_told() -> None:
    with OpenAIService() as service:
        url = service.url
    with pytest.raises(HandlerError, match=r"The request to .* failed"):
        UpstreamChat("m", upstream_base_url=url).generate(MESSAGES, **OPTIONS)


@pytest.mark.parametrize("what", ["text", "line", "lines", "error"])
def test_a_stream_of_gigabytes_is_cut(service: OpenAIService, what: str) -> None:
    service.fault = f"gigabytes of {what}"
    with pytest.raises(HandlerError, match="HTTP 500" if what == "error" else "too much|more text than 16 tokens"):
        chat(service).generate(MESSAGES, **OPTIONS)
    assert service.flooded < 256 * 1024**2


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("gigabytes of json", "more than"),
        ("closes", "The request to .* failed"),
        ("gzip", "encoding"),
        ("usage lies", "prompt_tokens of"),
        ("hang", "sent nothing"),
    ],
)
def test_an_answer_in_one_piece_may_be_wrong_too(service: OpenAIService, fault: str, told: str) -> None:
    service.fault = fault
    with pytest.raises(HandlerError, match=told):
        UpstreamEmbedding("m", upstream_base_url=service.url, timeout_s=0.5).embed(["a"])
    assert service.flooded < 256 * 1024**2


@pytest.mark.parametrize("kind", ["chat", "begun chat", "embedding", "rerank", "speech"])
def test_a_cancelled_call_ends_while_the_service_hangs(service: OpenAIService, kind: str, tmp_path: Path) -> None:
    event, options = threading.Event(), {"upstream_base_url": service.url}
    service.fault = "hang within" if kind == "begun chat" else "hang"
    (tmp_path / "hi.wav").write_bytes(b"RIFF")
    sound = str(tmp_path / "hi.wav")
    calls: dict[str, Callable[[], object]] = {
        "chat": lambda: chat(service).generate(MESSAGES, **OPTIONS, cancel_event=event),
        "begun chat": lambda: chat(service).generate(MESSAGES, **OPTIONS, cancel_event=event),
        "embedding": lambda: UpstreamEmbedding("m", **options).embed(["a"], event),
        "rerank": lambda: UpstreamRerank("m", **options).rerank("a", ["b"], cancel_event=event),
        "speech": lambda: UpstreamSpeech("m", **options).transcribe(
            sound, task="transcribe", **SPEECH, cancel_event=event
        ),
    }

    def cancel() -> None:
        while not service.asked:
            time.sleep(0.01)
        event.set()

    threading.Thread(target=cancel, daemon=True).start()
    # Otherwise the service hangs for half a minute, and then that is told.
    if kind == "begun chat":
        found: Any = calls[kind]()
        assert (found.text, found.finish_reason, found.completion_tokens) == ("one two ", "cancelled", None)
    else:
        with pytest.raises(Cancelled):
            calls[kind]()
    with pytest.raises(Cancelled):
        calls[kind]()
    assert len(service.asked) == 1  # What is cancelled before it begins asks nothing.


def test_calls_side_by_side_keep_their_connections(service: OpenAIService) -> None:
    handler = chat(service)
    with ThreadPoolExecutor(8) as pool:
        texts = [f"answer {number}" for number in range(64)]
        asked = [pool.submit(handler.generate, [{"role": "user", "content": text}], **OPTIONS) for text in texts]
        assert [found.result().text for found in asked] == texts


def test_the_key_goes_along_and_into_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-hunter2")
    with OpenAIService(key="sk-hunter2") as service:
        assert chat(service, upstream_api_key_env="SOME_KEY").generate(MESSAGES, **OPTIONS).text
        monkeypatch.setenv("SOME_KEY", "sk-wrong")
        with pytest.raises(HandlerError, match="upstream_api_key_env") as error:
            chat(service, upstream_api_key_env="SOME_KEY").generate(MESSAGES, **OPTIONS)
        assert "sk-wrong" not in repr(error.value) + str(error.value.facts)
        monkeypatch.setenv("SOME_KEY", "sk-ü\nx")
        with pytest.raises(InvalidConfiguration, match="SOME_KEY") as refused:
            chat(service, upstream_api_key_env="SOME_KEY")
        assert "sk-" not in repr(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"upstream_base_url": "ftp://host/v1"},
        {"upstream_base_url": "https://user:secret@host/v1"},
        {"upstream_base_url": "https://user:secret@ho st/v1"},
        {"upstream_base_url": "https://host/v1?key=secret"},
        {"upstream_base_url": "https://host/v1", "upstream_api_key_env": "NO_SUCH_VARIABLE"},
    ],
)
def test_what_is_not_said_right_is_told(options: dict[str, str]) -> None:
    with pytest.raises(InvalidConfiguration) as error:
        open_handler("weighbridge.handlers.upstream.UpstreamChat", "org/model", device="cpu", **options)
    assert "secret" not in str(error.value)


def test_a_form_is_asked_for_where_models_yaml_says_that_it_can_be(service: OpenAIService) -> None:
    form = {"type": "json_object"}
    able = chat(service, supports_structured_outputs=True, owned_by="vllm")
    assert able.generate(MESSAGES, **OPTIONS, response_format=form).text
    assert (service.asked[0][1]["response_format"], able.owned_by) == (form, "vllm")
    with pytest.raises(HandlerError, match="supports_structured_outputs"):
        chat(service).generate(MESSAGES, **OPTIONS, response_format=form)
    assert len(service.asked) == 1


def test_embeddings_come_in_the_order_of_the_texts(service: OpenAIService) -> None:
    handler = UpstreamEmbedding("m", upstream_base_url=service.url)
    np.testing.assert_array_equal(handler.embed(["a", "bbb"]), np.array([[1, 1], [3, 1]], np.float32))
    assert (handler.dim, handler.count_tokens(["ab", "c"])) == (2, 4)
    assert handler.embed([]).shape == (0, 2)
    assert handler.embed(["a" * (number % 7) for number in range(600)])[:, 0].tolist() == [
        number % 7 for number in range(600)
    ]
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
    with pytest.raises(HandlerError, match="cannot be read"):
        handler.transcribe("/dev/zero", task="transcribe", **SPEECH)


@pytest.mark.parametrize(
    "lie",
    [
        {"text": 3},
        {"text": None},
        {"duration": -1},
        {"duration": "long"},
        {"language": ["en"]},
        {"words": [{"word": "hi", "start": 1.0, "end": 0.5}]},
        {"words": [{"word": "hi"}]},
        {"segments": ["hi"]},
    ],
    ids=str,
)
def test_a_transcript_that_cannot_be_is_told(service: OpenAIService, tmp_path: Path, lie: dict[str, Any]) -> None:
    (tmp_path / "hi.wav").write_bytes(b"RIFF")
    service.lie = lie
    handler = UpstreamSpeech("m", upstream_base_url=service.url)
    with pytest.raises(HandlerError, match="transcript"):
        handler.transcribe(str(tmp_path / "hi.wav"), task="transcribe", **SPEECH)
