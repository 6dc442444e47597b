"""Several chats in one batch: each answer is the one that its request has alone, whatever is beside it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.handlers import tiny
from weighbridge.errors import Cancelled, InvalidRequest, WeighbridgeError
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.generation import Generation
from weighbridge.handlers.interface import ChatGeneration, ChatRequest

pytestmark = pytest.mark.xdist_group("torch")
GREEDY: dict[str, Any] = {"max_new_tokens": 12, "temperature": 0.0, "top_p": 1.0}
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
PLACES = {"max_position_embeddings": tiny.CONTEXT}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": tiny.CONTEXT}
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0] * 4,
    "long_factor": [9.0] * 4,
    "rope_theta": 10_000.0,
    "original_max_position_embeddings": 48,
}
#: Kinds of models, by how they know positions and what they keep of a prompt.
KINDS: dict[str, dict[str, Any]] = {
    "llama": SIZES | PLACES | {"num_key_value_heads": 2},
    "qwen2": SIZES | PLACES | {"num_key_value_heads": 2},
    "gpt2": GPT,
    "gpt_neox": SIZES | PLACES,
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "opt": SIZES | PLACES | {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "gemma2": SIZES
    | PLACES
    | {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8, "tie_word_embeddings": False},
    "mixtral": SIZES | PLACES | {"num_key_value_heads": 2, "num_local_experts": 4},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of the batches that a model computes, in a list that grows; without those of measuring it."""
    sizes: list[int] = []
    run = Generation.run

    def counted(self: Generation, prompts: Any, ending: Any, **options: Any) -> list[list[int]]:
        if type(ending).__name__ != "_Never":
            sizes.append(len(prompts))
        return run(self, prompts, ending, **options)

    monkeypatch.setattr(Generation, "run", counted)
    return sizes


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextChat]:
    handler = TextChat(str(tiny.chatting(tmp_path_factory.mktemp("llama"), "llama", **KINDS["llama"])), "cpu", name="m")
    yield handler
    handler.close()


def request(text: str, event: threading.Event | None = None, on_text: Any = None, **options: Any) -> ChatRequest:
    return ChatRequest([{"role": "user", "content": text}], GREEDY | options, event, on_text)


def together(handler: TextChat, requests: Sequence[ChatRequest]) -> list[Any]:
    """Return the answers or errors of requests, in their order."""
    found: dict[int, Any] = {}

    def keep(place: int, answer: ChatGeneration | WeighbridgeError) -> None:
        assert place not in found
        found[place] = answer

    handler.generate_many(requests, keep)
    return [found[place] for place in range(len(requests))]


def alone(handler: TextChat, requests: Sequence[ChatRequest]) -> list[ChatGeneration]:
    return [handler.generate(one.messages, **one.options) for one in requests]


UNEQUAL = [
    request("x"),
    request("a longer message", max_new_tokens=3),
    request("one that is longer than the others by far, " * 2, stop=["e", "q"]),
    request("", presence_penalty=1.5, frequency_penalty=0.5, max_new_tokens=14),
    request("x" * 33),
]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_do_not_depend_on_those_beside_them(tmp_path: Path, batches: list[int], kind: str) -> None:
    handler = TextChat(str(tiny.chatting(tmp_path, kind, **KINDS[kind])), "cpu", name="m")
    wanted = alone(handler, UNEQUAL)
    assert len({answer.text for answer in wanted}) > 3
    batches.clear()
    assert together(handler, UNEQUAL) == wanted
    assert batches[0] == len(UNEQUAL)


@pytest.mark.parametrize(
    ("kind", "left_out", "always"),
    [("llama", "attention_mask", True), ("llama", "attention_mask", False), ("gpt2", "position_ids", True)],
)
def test_models_that_read_padding_are_asked_one_by_one(
    tmp_path: Path, batches: list[int], kind: str, left_out: str, always: bool
) -> None:
    """MiniCPM3 in mlx-lm (issue 1906) had no mask while it wrote; GPT-2 (transformers 7552) and others no positions."""

    def leave_out(module: Any, inputs: Any, options: dict[str, Any]) -> Any:
        tokens = (inputs[0] if inputs else options["input_ids"]).shape[1]
        return (inputs, options | {left_out: None}) if always or tokens == 1 else (inputs, options)

    handler = TextChat(str(tiny.chatting(tmp_path, kind, **KINDS[kind])), "cpu", name="m")
    handler.model.base_model.register_forward_pre_hook(leave_out, with_kwargs=True)
    wanted = alone(handler, UNEQUAL)
    batches.clear()
    assert together(handler, UNEQUAL) == wanted
    assert batches == [1] * len(UNEQUAL)


@pytest.mark.parametrize("settings", [{"repetition_penalty": 1.5}, {"no_repeat_ngram_size": 1}])
def test_padding_does_not_count_as_repeated(tmp_path: Path, batches: list[int], settings: Mapping[str, Any]) -> None:
    """TGI's penalties counted it (pull request 1765): here it is a token that the answer wants to have, once."""
    tiny.follower(tmp_path, {">": "A", "A": "!", "!": "!"})
    handler = TextChat(str(published(tmp_path, settings, "!")), "cpu", name="m")
    other, *before = handler.tokenizer.convert_tokens_to_ids(["C", "A", "!"])
    with torch.no_grad():
        handler.model.lm_head.weight[other, before] = 0.8
    requests = [request("x", max_new_tokens=3), request("longer", max_new_tokens=3), request("even longer")]
    wanted = alone(handler, requests)
    assert (wanted[0].text, wanted[0].completion_tokens) == ("AC", 3)  # A!C, and padding has no text.
    batches.clear()
    assert together(handler, requests) == wanted
    assert batches[0] == len(requests)


@pytest.mark.parametrize("settings", [{"forced_eos_token_id": 1}, {"bad_words_ids": [[5, 6]]}])
def test_settings_that_a_batch_cannot_have_are_kept_alone(
    tmp_path: Path, batches: list[int], settings: Mapping[str, Any]
) -> None:
    tiny.chatting(tmp_path, "llama", **KINDS["llama"])
    handler = TextChat(str(published(tmp_path, settings, "<pad>")), "cpu", name="m")
    assert together(handler, UNEQUAL) == alone(handler, UNEQUAL)
    assert set(batches) == {1}


def published(folder: Path, settings: Mapping[str, Any], pad: str) -> Path:
    """Give a chat model settings of its publisher, and its own padding."""
    for name, more in (("generation_config.json", settings), ("tokenizer_config.json", {"pad_token": pad})):
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | dict(more)))
    return folder


def test_each_ends_by_itself(tmp_path: Path, batches: list[int]) -> None:
    """lm-eval (issue 873), outlines (757) and unsloth (11039) ended all rows by the stop of one, or none."""
    follows = {">": "A", "A": "B", "B": "<end>", "<end>": "C", "C": "</s>"}
    handler = TextChat(str(tiny.follower(tmp_path, follows)), "cpu", name="m")
    requests = [
        request("x", stop=["B"]),
        request("longer", stop="<end>"),
        request("x", max_new_tokens=1),
        request("much longer"),
        request("x", max_new_tokens=5),
        request("y", stop=["AC", "zz"]),
    ]
    found = [(one.text, one.completion_tokens, one.finish_reason) for one in together(handler, requests)]
    assert found == [
        ("A", 2, "stop"),
        ("AB", 3, "stop"),
        ("A", 1, "length"),
        ("ABC", 5, "stop"),
        ("ABC", 5, "stop"),
        ("ABC", 5, "stop"),
    ]
    assert batches == [len(requests)]
    assert together(handler, requests) == alone(handler, requests)


def test_pieces_come_to_whom_they_belong_and_nothing_of_a_stop_string(chat: TextChat) -> None:
    pieces: dict[int, list[str]] = {}
    plain = alone(chat, [request(text) for text in ("x", "a longer message", "")])
    asked: list[tuple[str, str | None]] = [("x", None), ("a longer message", plain[1].text[3:6]), ("", None)]
    requests = [
        request(text, on_text=pieces.setdefault(place, []).append, stop=words)
        for place, (text, words) in enumerate(asked)
    ]
    found = together(chat, requests)
    assert ["".join(pieces[place]) for place in range(3)] == [answer.text for answer in found]
    assert found[::2] == plain[::2]
    assert found[1].text == plain[1].text[: plain[1].text.index(str(asked[1][1]))]


def test_a_cancelled_one_keeps_its_text_and_harms_no_other(chat: TextChat) -> None:
    event, before, pieces = threading.Event(), threading.Event(), list[str]()
    before.set()

    def hear(piece: str) -> None:
        pieces.append(piece)
        event.set()

    long = [request("x", max_new_tokens=40), request("a longer message", max_new_tokens=40)]
    stopped, late = request("yy", event, hear, max_new_tokens=40), request("z", before)
    found = together(chat, [long[0], stopped, late, long[1]])
    assert [found[0], found[3]] == alone(chat, long)
    assert (found[1].finish_reason, found[1].text) == ("cancelled", "".join(pieces))
    assert found[1].completion_tokens < 40
    assert isinstance(found[2], Cancelled)


def test_all_cancelled_end_the_pass(chat: TextChat) -> None:
    event = threading.Event()
    hook = chat.model.model.layers[0].register_forward_hook(lambda *_: event.set())
    try:
        found = together(chat, [request("x", event), request("longer", event)])
    finally:
        hook.remove()
    assert [type(one) for one in found] == [Cancelled, Cancelled]


def test_a_wrong_request_is_refused_alone(tmp_path: Path, batches: list[int]) -> None:
    folder = tiny.chatting(tmp_path, "llama", **KINDS["llama"])
    words = tiny.tokenizer(folder)
    words.add_special_tokens({"additional_special_tokens": ["<more>"]})
    words.save_pretrained(folder)
    handler = TextChat(str(folder), "cpu", name="m")
    wrong = [
        request("x", temperature=-1.0),
        request("x" * tiny.CONTEXT),
        request("a<more>"),
        request("x", logit_bias={}, max_new_tokens=1),
        ChatRequest([], GREEDY),
    ]
    right = [request("x"), request("longer")]
    found = together(handler, [right[0], *wrong, right[1]])
    assert [found[0], found[-1]] == alone(handler, right)
    for one, answer in zip(wrong, found[1:-1], strict=True):
        with pytest.raises(InvalidRequest) as refused:
            handler.generate(one.messages, **one.options)
        assert (type(answer), answer.problem) == (InvalidRequest, refused.value.problem)


def test_a_model_that_fails_beside_others_is_asked_alone(chat: TextChat, batches: list[int]) -> None:
    def fail(module: Any, inputs: Any, outputs: Any) -> Any:
        if len(outputs.logits) == 3:
            outputs.logits[1] = float("nan")
        return outputs

    requests, pieces = [request("x"), request("longer"), request("")], list[str]()
    wanted = alone(chat, requests)
    batches.clear()
    hook = chat.model.register_forward_hook(fail)
    try:
        assert together(chat, [*requests[:2], request("", on_text=pieces.append)]) == wanted
    finally:
        hook.remove()
    assert (batches, "".join(pieces)) == ([3, 1, 1, 1], wanted[2].text)


def test_what_is_almost_a_tie_is_decided_alone(tmp_path: Path, batches: list[int]) -> None:
    """llama.cpp (issue 7052) and vLLM (1761): numbers of a batch differ in their last digits, and so may words."""
    handler = TextChat(str(tiny.follower(tmp_path, {">": "A", "A": "B", "B": "C", "C": "D"})), "cpu", name="m")
    last, then, other = handler.tokenizer.convert_tokens_to_ids(["C", "D", "E"])
    with torch.no_grad():
        handler.model.lm_head.weight[other, last] = handler.model.lm_head.weight[then, last] + 1e-6
    pieces: list[str] = []
    requests = [request("x", on_text=pieces.append), request("longer", max_new_tokens=2)]
    found = together(handler, requests)
    assert batches == [2, 1]
    assert found == alone(handler, requests)
    assert "".join(pieces) == found[0].text


def test_numbers_of_half_precision_are_computed_alone_unless_they_are_drawn(tmp_path: Path, batches: list[int]) -> None:
    folder = str(tiny.chatting(tmp_path, "llama", **KINDS["llama"]))
    handler = TextChat(folder, "cpu", name="m", dtype="bfloat16")
    together(handler, [request("x"), request("longer")])
    together(handler, [request("x", temperature=1.0), request("longer", temperature=1.0)])
    assert batches == [1, 1, 2]


def test_only_those_that_are_drawn_alike_and_without_a_seed_are_one_batch(chat: TextChat, batches: list[int]) -> None:
    hot: dict[str, Any] = {"temperature": 50.0, "top_k": 1}
    requests = [
        request("x", **hot),
        request("longer", **hot, seed=1),
        request("longer", **hot),
        request("x", seed=5),
        request("longer", top_p=0.5),
        request("x", logprobs=True),
        request("longer", response_format={"type": "text"}),
    ]
    wanted = alone(chat, requests)
    batches.clear()
    found = together(chat, requests)
    assert found == wanted
    assert sorted(batches) == [1, 1, 2, 3]
    assert found[5].logprobs
    drawn = [one.text for one in together(chat, [request("x", temperature=50.0)] * 4)]
    assert len(set(drawn)) == 4


def test_long_ones_are_not_computed_beside_short_ones(tmp_path: Path, batches: list[int]) -> None:
    """A batch is as long as its longest prompt and its longest answer together: it has to have room in the context."""
    folder = tiny.chatting(tmp_path, "llama", **(KINDS["llama"] | {"max_position_embeddings": 64}))
    handler = TextChat(str(folder), "cpu", name="m")
    requests = [request("x" * 30, max_new_tokens=500), request("x", max_new_tokens=40), request("y")]
    wanted = alone(handler, requests)
    assert [answer.completion_tokens for answer in wanted] == [16, 40, 12]
    batches.clear()
    assert together(handler, requests) == wanted
    assert batches == [1, 2]


def test_a_long_one_does_not_turn_the_positions_of_a_short_one(tmp_path: Path, batches: list[int]) -> None:
    """Qwen (issue 401) and llama.cpp (24875): such rotations are those of the longest sequence of a batch."""
    more = {"rope_parameters": LONGROPE, "max_position_embeddings": 384}
    folder = tiny.chatting(tmp_path, "llama", **(KINDS["llama"] | more))
    handler = TextChat(str(folder), "cpu", name="m")
    requests = [request("x", max_new_tokens=8), request("w" * 60, max_new_tokens=8), request("zz", max_new_tokens=8)]
    wanted = alone(handler, requests)
    batches.clear()
    assert together(handler, requests) == wanted
    assert batches == [1, 2]
