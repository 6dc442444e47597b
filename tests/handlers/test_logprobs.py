"""How likely each token was, penalties, several answers, and the form of an answer."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.handlers import tiny
from tests.handlers.test_tool_calls import HELLO, speaker
from tests.simulators.openai import OpenAIService
from weighbridge.errors import HandlerError, InvalidRequest
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.choices import choices
from weighbridge.handlers.upstream import UpstreamChat

pytestmark = pytest.mark.xdist_group("torch")
PLAIN: dict[str, Any] = {"max_new_tokens": 8, "temperature": 0.0, "top_p": 1.0}


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> TextChat:
    return TextChat(str(tiny.llama(tmp_path_factory.mktemp("llama"))), "cpu", name="m")


@pytest.mark.parametrize(
    "further",
    [{}, {"temperature": 5.0, "seed": 3, "top_k": 20}, {"presence_penalty": 2, "frequency_penalty": 1.5}],
)
def test_logprobs_are_the_models_own_whatever_chose_the_tokens(chat: TextChat, further: dict[str, Any]) -> None:
    found = chat.generate(HELLO, logprobs=True, top_logprobs=3, **PLAIN | further)
    assert dataclasses.replace(found, logprobs=()) == chat.generate(HELLO, **PLAIN | further)
    assert len(found.logprobs) == found.completion_tokens == 8
    prompt = chat.encode(HELLO)
    words, ids = chat.tokenizer, list(prompt)
    for told in found.logprobs:
        with torch.inference_mode():
            row = torch.log_softmax(chat.model(torch.tensor([ids])).logits[0, -1], -1)
        top = row.topk(3)
        assert [one.logprob for one in told.top] == pytest.approx(top.values.tolist(), abs=1e-4)
        number = next(
            number
            for number in range(len(words))
            if abs(row[number].item() - told.logprob) < 1e-4 and bytes(told.content or ()) == _content(words, number)
        )
        ids.append(number)
    assert b"".join(bytes(told.content or ()) for told in found.logprobs).decode(errors="replace") == found.text


def _content(words: Any, number: int) -> bytes:
    text = words.decode([number])
    if "\ufffd" not in text:
        return str(text).encode()
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    inverse = {letter: byte for byte, letter in bytes_to_unicode().items()}
    return bytes(inverse[letter] for letter in words.convert_ids_to_tokens(number))


@pytest.mark.parametrize(
    ("stop", "tokens"), [((), ["A", "é", "!"]), (("!",), ["A", "é"]), (("A",), []), (("<end>",), ["A", "é", "!"])]
)
def test_logprobs_are_those_of_the_text(tmp_path: Path, stop: tuple[str, ...], tokens: list[str]) -> None:
    handler = speaker(tmp_path, "Aé!<end>", tiny.TEMPLATE, ("<end>",))
    found = handler.generate(HELLO, logprobs=True, stop=[*stop, "<end>"], **PLAIN)
    assert found.text == "".join(tokens)
    assert b"".join(bytes(told.content or ()) for told in found.logprobs).decode() == found.text
    assert all(math.isclose(told.logprob, 0, abs_tol=0.1) and told.top == () for told in found.logprobs)
    assert handler.generate(HELLO, **PLAIN).logprobs == ()


def test_penalties_are_those_of_openai(chat: TextChat) -> None:
    prompt, answer = chat.encode(HELLO), list[int]()
    for _ in range(8):
        with torch.inference_mode():
            row = chat.model(torch.tensor([[*prompt, *answer]])).logits[0, -1].tolist()
        for token in set(answer):
            row[token] -= 0.02 * answer.count(token) + 0.03
        answer.append(row.index(max(row)))
    asked = {"frequency_penalty": 0.02, "presence_penalty": 0.03}
    assert chat.generate(HELLO, **PLAIN | asked).text == chat.tokenizer.decode(answer)
    repeated = chat.generate(HELLO, **PLAIN | {"frequency_penalty": -2.0}).text
    assert len(set(repeated)) < len(set(chat.generate(HELLO, **PLAIN | {"frequency_penalty": 2.0}).text))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"presence_penalty": 2.1}, "presence_penalty is 2.1. Send -2 to 2"),
        ({"frequency_penalty": math.nan}, "frequency_penalty is nan"),
        ({"frequency_penalty": "1"}, "frequency_penalty is '1'"),
        ({"logprobs": 3}, "logprobs is 3. Send true or false"),
        ({"top_logprobs": 3}, "without logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs is 21. Send 0 to 20"),
        ({"n": 2}, "n is 2, and a call returns one answer"),
        ({"n": True}, "n is True"),
        ({"response_format": "json"}, "response_format is in no known form"),
        ({"schema": "{}"}, "m takes no schema"),
        ({"logit_bias": {"1": 2}}, "m takes no logit_bias"),
    ],
)
def test_what_cannot_be_or_is_not_done_is_refused_before_the_model_runs(
    chat: TextChat, options: dict[str, Any], told: str
) -> None:
    def runs(*_: object) -> None:
        raise AssertionError

    hook = chat.model.register_forward_pre_hook(runs)
    try:
        with pytest.raises(InvalidRequest) as refused:
            chat.generate(HELLO, **PLAIN | options)
    finally:
        hook.remove()
    assert told in str(refused.value)


def test_what_asks_for_nothing_is_taken(chat: TextChat) -> None:
    asked: dict[str, Any] = {
        "n": 1,
        "response_format": {"type": "text"},
        "logprobs": False,
        "top_logprobs": 0,
        "tools": [],
    }
    assert chat.generate(HELLO, **PLAIN, **asked) == chat.generate(HELLO, **PLAIN)


@pytest.mark.parametrize("not_taken", [set(), {"stop"}])
def test_a_services_logprobs_are_those_of_its_text(not_taken: set[str]) -> None:
    def entry(token: str) -> dict[str, Any]:
        other = {"token": "x", "logprob": -math.inf, "bytes": None}
        return {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": [other]}

    def event(content: str, told: list[Any], end: str | None = None) -> dict[str, Any]:
        return {"choices": [{"delta": {"content": content}, "logprobs": {"content": told}, "finish_reason": end}]}

    with OpenAIService() as service:
        service.not_taken = not_taken
        far = UpstreamChat("m", upstream_base_url=service.url)
        service.events = [event(token, [entry(token)]) for token in ("ä", "b", "c")] + [event("", [], "stop")]
        found = far.generate(HELLO, logprobs=True, stop=["c"] if not_taken else None, **PLAIN)
        assert [told.token for told in found.logprobs] == ["ä", "b"] + ([] if not_taken else ["c"])
        assert (found.logprobs[0].content, found.logprobs[0].top[0].logprob) == ((0xC3, 0xA4), -9999)
        assert far.generate(HELLO, **PLAIN).logprobs == ()
        for told in (
            [3],
            [{"token": 3, "logprob": 0}],
            [entry("a") | {"logprob": 0.1}],
            [entry("a") | {"bytes": [999]}],
        ):
            service.events = [event("a", told), event("", [], "stop")]
            with pytest.raises(HandlerError, match="logprobs in an unknown form"):
                far.generate(HELLO, logprobs=True, **PLAIN)
        service.events = None
        with pytest.raises(HandlerError, match="no logprobs, which were requested"):
            far.generate(HELLO, logprobs=True, **PLAIN)


def test_several_answers_are_those_of_their_seeds(chat: TextChat) -> None:
    drawn = PLAIN | {"temperature": 3.0}
    found = choices(chat, HELLO, n=3, seed=5, **drawn)
    assert found == [chat.generate(HELLO, seed=seed, **drawn) for seed in (5, 6, 7)]
    assert len({one.text for one in found}) == 3
    assert len(choices(chat, HELLO, n=2, **PLAIN)) == 2
    for wrong in (0, 129, True, 1.0):
        with pytest.raises(InvalidRequest, match="n is"):
            choices(chat, HELLO, n=wrong, **PLAIN)  # type: ignore[arg-type]
    with OpenAIService() as service:
        far = UpstreamChat("m", upstream_base_url=service.url)
        assert len(choices(far, HELLO, n=2, seed=1, **PLAIN)) == 2
        assert [body["seed"] for _, body in service.asked] == [1, 2]
        with pytest.raises(InvalidRequest, match="n is 2"):
            far.generate(HELLO, n=2, **PLAIN)
