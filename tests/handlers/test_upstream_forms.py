"""Answers in the forms that real services give: each comes to the same values, and nothing of them is lost."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.simulators.openai import OpenAIService
from weighbridge.errors import HandlerError, InvalidRequest
from weighbridge.handlers.upstream import UpstreamChat, UpstreamEmbedding, UpstreamRerank, UpstreamSpeech

MESSAGES = [{"role": "user", "content": "one two three four"}]
GREEDY: dict[str, Any] = {"max_new_tokens": 16, "temperature": 0.0, "top_p": 1.0}
SPEECH: dict[str, Any] = {"language": None, "prompt": None, "temperature": 0.0, "task": "transcribe"}
USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}


@pytest.fixture
def service() -> Iterator[OpenAIService]:
    with OpenAIService() as service:
        yield service


def piece(end: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}


def asked(service: OpenAIService, *events: dict[str, Any], **options: Any) -> Any:
    service.events = list(events) or None
    return UpstreamChat("m", upstream_base_url=service.url).generate(MESSAGES, **(GREEDY | options))


def test_a_model_with_a_temperature_of_its_own_is_asked_in_its_words(service: OpenAIService) -> None:
    service.not_taken = {"max_tokens", "temperature", "top_p", "stop", "stream_options"}
    handler = UpstreamChat("o-series", upstream_base_url=service.url)
    assert handler.generate(MESSAGES, **GREEDY, stop=" three").text == "one two"
    assert handler.not_taken == service.not_taken
    count = len(service.asked)
    cut = handler.generate(MESSAGES, **(GREEDY | {"max_new_tokens": 2}))
    assert (cut.text.strip(), cut.finish_reason, len(service.asked)) == ("one two", "length", count + 1)
    assert service.asked[-1][1]["max_completion_tokens"] == 2


def test_what_is_wrong_with_a_request_is_not_asked_again(service: OpenAIService) -> None:
    service.respond = lambda path, body: (400, {}, {"error": {"message": "max_tokens is too large: 16", "code": "x"}})
    with pytest.raises(InvalidRequest, match="too large"):
        asked(service)
    assert len(service.asked) == 1
    with pytest.raises(InvalidRequest):
        asked(service, temperature=-1.0)
    assert len(service.asked) == 1


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart(service: OpenAIService, key: str) -> None:
    steps: list[int] = []
    service.events = [piece(**{key: "hm "}), piece(**{key: "so"}), piece(content="Yes"), piece("stop"), USAGE]
    handler = UpstreamChat("m", upstream_base_url=service.url)
    found = handler.stream(MESSAGES, **GREEDY, on_token=lambda: steps.append(1))
    assert (found.text, found.reasoning, found.completion_tokens, len(steps)) == ("Yes", "hm so", 3, 3)
    only = asked(service, piece(**{key: "hm"}), piece("length"), USAGE)
    assert (only.text, only.reasoning, only.finish_reason) == ("", "hm", "length")


def test_mistrals_parts_are_text_and_reasoning(service: OpenAIService) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    found = asked(service, piece(content=[thought, {"type": "text", "text": "a"}]), piece("stop", content="b"), USAGE)
    assert (found.text, found.reasoning) == ("ab", "hm")


def test_tool_calls_are_put_together(service: OpenAIService) -> None:
    def call(index: int | None, id_: str | None, name: str | None, arguments: str) -> dict[str, Any]:
        function = {"arguments": arguments} | ({"name": name} if name else {})
        return {"function": function} | ({} if index is None else {"index": index}) | ({"id": id_} if id_ else {})

    wanted = ({"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},)
    wanted += ({"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},)
    pieces = [call(0, "a", "f", '{"x"'), call(0, None, None, ": 1}"), call(1, "b", "g", "{}")]
    loose = [call(None, "a", "f", '{"x"'), call(None, None, None, ": 1}"), call(None, "b", "g", "{}")]
    for calls in (pieces, loose):
        found = asked(service, *(piece(tool_calls=[one]) for one in calls), piece("tool_calls"), USAGE)
        assert (found.tool_calls, found.text, found.finish_reason) == (wanted, "", "tool_calls")
    old = asked(service, piece(function_call={"name": "f", "arguments": "{}"}), piece("function_call"), USAGE)
    assert (old.tool_calls[0]["function"], old.finish_reason) == ({"name": "f", "arguments": "{}"}, "tool_calls")
    with pytest.raises(HandlerError, match="out of order"):
        asked(service, piece(tool_calls=[call(7, "a", "f", "")]), piece("tool_calls"))


def test_a_refusal_is_kept(service: OpenAIService) -> None:
    found = asked(service, piece(content=None, refusal="I "), piece(refusal="won't"), piece("stop"), USAGE)
    assert (found.text, found.refusal) == ("", "I won't")


@pytest.mark.parametrize(
    ("said", "means"),
    [("eos_token", "stop"), ("model_length", "length"), ("content_filter", "content_filter"), ("abort", "abort")],
)
def test_ends_have_one_name_each(service: OpenAIService, said: str, means: str) -> None:
    assert asked(service, piece(content="a"), piece(said), USAGE).finish_reason == means


def test_an_end_by_an_error_is_none(service: OpenAIService) -> None:
    with pytest.raises(HandlerError, match="interrupted its answer") as error:
        asked(service, piece(content="a"), piece("error"))
    assert error.value.facts["transient"]


@pytest.mark.parametrize("counted", [{"completion_tokens": 500, "prompt_tokens": 5}, {"prompt_tokens": 5}, {}])
def test_tokens_are_the_services_count_or_unknown_and_never_pieces(service: OpenAIService, counted: Any) -> None:
    found = asked(service, piece(content="a b c"), piece("stop"), {"choices": [], "usage": counted})
    assert (found.prompt_tokens, found.completion_tokens) == (
        counted.get("prompt_tokens"),
        counted.get("completion_tokens"),
    )


def test_other_streams_than_openais(service: OpenAIService) -> None:
    filtered = {"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {}}]}
    azure = [{"choices": [], "prompt_filter_results": []}, piece(content="a"), filtered, piece("stop")]
    assert asked(service, *azure).text == "a"
    service.says_done = False
    assert asked(service, piece(content="a"), piece("stop")).text == "a"
    with pytest.raises(HandlerError, match="in the middle"):
        asked(service, piece(content="a"))
    whole = {"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}], "usage": None}
    service.respond = lambda path, body: (200, {}, whole)
    assert asked(service).text == "hi"
    service.respond = lambda path, body: (200, {}, {"choices": [{"text": "a", "index": 0}]})
    with pytest.raises(HandlerError, match="no text"):
        asked(service)


def test_azures_version_and_key(service: OpenAIService) -> None:
    handler = UpstreamChat("m", upstream_base_url=f"{service.url}?api-version=2025-01-01-preview")
    assert handler.generate(MESSAGES, **GREEDY).text
    assert service.asked[0][0] == "/v1/chat/completions?api-version=2025-01-01-preview"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (413, "batch size {n} > maximum allowed batch size 32"),
        (400, "The batch limit is 32. Your batch size is {n}."),
        (400, "Too many inputs. The max number of inputs is 32."),
        (422, "Requested {n} inputs are too many"),
    ],
)
def test_a_service_gets_no_more_texts_at_once_than_it_takes(service: OpenAIService, status: int, words: str) -> None:
    def limited(path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any] | None:
        count = len(body.get("input") or body.get("documents"))
        return (status, {}, {"error": words.format(n=count)}) if count > 32 else None

    service.respond = limited
    texts = ["a" * (number % 7) for number in range(300)]
    handler = UpstreamEmbedding("m", upstream_base_url=service.url)
    assert handler.embed(texts)[:, 0].tolist() == [len(text) for text in texts]
    refusals = sum(len(body["input"]) > 32 for _, body in service.asked)
    handler.embed(texts)
    assert sum(len(body["input"]) > 32 for _, body in service.asked) == refusals <= 3
    ranked = UpstreamRerank("m", upstream_base_url=service.url).rerank("a", texts)
    assert [found.index for found in ranked[:2]] == [6, 13]


def test_a_text_that_is_too_long_is_refused_in_its_words(service: OpenAIService) -> None:
    service.respond = lambda path, body: (400, {}, {"error": "maximum context length is 512 tokens"})
    with pytest.raises(InvalidRequest, match="512 tokens"):
        UpstreamEmbedding("m", upstream_base_url=service.url).embed(["a", "b", "c"])


@pytest.mark.parametrize(
    "data",
    [
        [{"embedding": [1.0, 2.0]}, {"embedding": [3.0, 4.0]}],
        [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": [1.0, 2.0]}],
        [
            {"index": number, "embedding": base64.b64encode(struct.pack("<2f", *pair)).decode()}
            for number, pair in enumerate([(1, 2), (3, 4)])
        ],
    ],
)
def test_vectors_come_with_or_without_places_and_as_base64(service: OpenAIService, data: Any) -> None:
    service.respond = lambda path, body: (200, {}, {"data": data[: len(body["input"])], "usage": {"total_tokens": 9}})
    handler = UpstreamEmbedding("m", upstream_base_url=service.url)
    np.testing.assert_array_equal(handler.embed(["a", "b"]), np.array([[1, 2], [3, 4]], np.float32))
    assert (handler.dim, handler.count_tokens(["a", "b"])) == (2, 9)
    count = len(service.asked)
    assert handler.dim == 2
    assert handler.embed([]).shape == (0, 2)
    assert len(service.asked) == count


def test_a_service_that_does_not_count_is_told(service: OpenAIService) -> None:
    service.respond = lambda path, body: (200, {}, {"data": [{"embedding": [1.0]}]})
    with pytest.raises(HandlerError, match="does not count"):
        UpstreamEmbedding("m", upstream_base_url=service.url).count_tokens(["a"])
    with pytest.raises(InvalidRequest):
        UpstreamEmbedding("m", upstream_base_url=service.url).embed("hello")  # type: ignore[arg-type]


def tei(path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    if "texts" not in body:
        return 422, {}, {"error": "Failed to deserialize: missing field `texts`", "error_type": "Validation"}
    return 200, {}, [{"index": number, "score": float(len(text))} for number, text in enumerate(body["texts"])][::-1]


@pytest.mark.parametrize(
    "respond",
    [
        tei,
        lambda path, body: (200, {}, [{"index": n, "score": float(len(t))} for n, t in enumerate(body["documents"])]),
        lambda path, body: (
            *(200, {}),
            {"data": [{"index": n, "relevance_score": len(t)} for n, t in enumerate(body["documents"])]},
        ),
    ],
    ids=["tei", "bare list", "voyage"],
)
def test_scores_in_every_form(service: OpenAIService, respond: Any) -> None:
    service.respond = respond
    handler = UpstreamRerank("m", upstream_base_url=service.url)
    for _ in range(2):
        assert [found.index for found in handler.rerank("q", ["a", "bbb", "cc"], top_k=2)] == [1, 2]
    with pytest.raises(InvalidRequest, match="top_k"):
        handler.rerank("q", ["a"], top_k=-1)


def test_a_service_that_ranks_a_few_is_told(service: OpenAIService) -> None:
    service.respond = lambda path, body: (200, {}, {"results": [{"index": 0, "relevance_score": 1.0}]})
    with pytest.raises(HandlerError, match="1 documents for 3"):
        UpstreamRerank("m", upstream_base_url=service.url).rerank("q", ["a", "b", "c"])
    assert service.asked[0][1]["top_n"] == 3


def transcribed(service: OpenAIService, folder: Path, granularity: Any = None, **options: Any) -> Any:
    (folder / "hi.wav").write_bytes(b"RIFF")
    handler = UpstreamSpeech("m", upstream_base_url=service.url)
    return handler.transcribe(str(folder / "hi.wav"), timestamp_granularity=granularity, **(SPEECH | options))


@pytest.mark.parametrize(
    ("said", "language", "duration_s"),
    [
        ({"text": "hello", "language": "english", "duration": 9.96}, "en", 9.96),
        ({"text": "hello", "language": "en", "duration": "9.96", "segments": [], "words": None}, "en", 9.96),
        ({"text": "hello", "language": "Klingon"}, None, 0.0),
        ({"text": "hello", "usage": {"type": "duration", "seconds": 10}}, None, 10.0),
    ],
)
def test_transcripts_of_many_services(
    service: OpenAIService, tmp_path: Path, said: Any, language: str | None, duration_s: float
) -> None:
    service.respond = lambda path, body: (200, {}, said)
    found = transcribed(service, tmp_path)
    assert (found.text, found.language, found.duration_s) == ("hello", language, duration_s)


def test_a_model_without_verbose_json_is_asked_for_its_text_alone(service: OpenAIService, tmp_path: Path) -> None:
    def plain(path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        if b"verbose_json" in body["form"]:
            message = "response_format 'verbose_json' is not compatible with model 'gpt-4o-transcribe'. Use 'json'."
            return 400, {}, {"error": {"message": message, "param": "response_format", "code": "unsupported_value"}}
        return 200, {}, {"text": "hello"}

    service.respond = plain
    assert transcribed(service, tmp_path, language="de").language == "de"
    with pytest.raises(InvalidRequest, match="returns no times"):
        transcribed(service, tmp_path, "word")
