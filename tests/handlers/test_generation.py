"""How answers end, what they keep, and what a publisher's generation_config.json may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.handlers import tiny
from weighbridge.errors import HandlerError, InvalidRequest
from weighbridge.handlers.chat import TextChat

pytestmark = pytest.mark.xdist_group("torch")
HELLO = [{"role": "user", "content": "x"}]
GREEDY = {"temperature": 0.0, "top_p": 1.0}


def answer(folder: Path, **options: Any) -> tuple[str, int, str]:
    done = TextChat(str(folder), "cpu", name="m").generate(HELLO, **({"max_new_tokens": 8} | GREEDY | options))
    return done.text, done.completion_tokens, done.finish_reason


def test_an_answer_that_fills_the_context_was_cut(tmp_path: Path) -> None:
    folder = tiny.follower(tmp_path, {}, context=64)
    assert answer(folder, max_new_tokens=500) == ("A" * 45, 45, "length")


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("most", [2, 8])
def test_the_models_own_end_is_no_cut_even_as_the_last_token(tmp_path: Path, pad: int, most: int) -> None:
    folder = tiny.follower(tmp_path, {">": "A", "A": "</s>"}, pad_token_id=pad)
    assert answer(folder, max_new_tokens=most) == ("A", 2, "stop")


@pytest.mark.parametrize("pad", ["A", "!"])
def test_no_tokens_are_lost_where_padding_is_an_ordinary_token(tmp_path: Path, pad: str) -> None:
    folder = tiny.follower(tmp_path, {">": "A", "A": "!", "!": "!"})
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"pad_token": pad}))
    handler = TextChat(str(folder), "cpu")
    done = handler.generate(HELLO, max_new_tokens=4, **GREEDY)
    assert (done.completion_tokens, done.finish_reason) == (4, "length")
    short, long = handler.encode(HELLO), handler.encode([{"role": "user", "content": "longer"}])
    assert handler.complete([short, long], max_new_tokens=4) == [handler.complete([short], max_new_tokens=4)[0]] * 2


@pytest.mark.parametrize(
    ("stop", "text", "count"),
    [
        (["<end>"], "A", 2),
        ("<end>", "A", 2),
        ("BC", "A", 4),
        (["", "C"], "AB", 4),
        ("zz", "ABCCCCC", 8),
        ([], "ABCCCCC", 8),
    ],
)
def test_stop_strings_may_be_special_tokens_and_one_string(tmp_path: Path, stop: Any, text: str, count: int) -> None:
    folder = tiny.follower(tmp_path, {">": "A", "A": "<end>", "<end>": "B", "B": "C", "C": "C"})
    assert answer(folder, stop=stop) == (text, count, "length" if count == 8 else "stop")


@pytest.mark.parametrize(
    "said",
    [
        {"num_beams": 3, "num_return_sequences": 2},
        {"return_dict_in_generate": True, "output_scores": True},
        {"max_time": 0.0001},
        {"max_new_tokens": 2},
        {"min_new_tokens": 20},
        {"do_sample": True, "temperature": 9.0, "top_p": 0.1},
        {"num_beams": 2, "early_stopping": True, "length_penalty": 2.0},
    ],
)
def test_what_a_publisher_says_of_beams_dicts_and_time_is_overridden_and_named(tmp_path: Path, said: Any) -> None:
    folder = tiny.llama(tmp_path)
    plain = answer(folder)
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | said))
    assert answer(folder) == plain
    handler = TextChat(str(folder), "cpu")
    assert handler.generation_settings.overridden == set(said)
    steps: list[int] = []
    handler.complete([[5, 6]], on_token=lambda: steps.append(1), max_new_tokens=3, min_new_tokens=3)
    assert len(steps) == 3


def test_what_a_publisher_says_of_ends_and_repetitions_counts(tmp_path: Path) -> None:
    folder = tiny.follower(tmp_path, {">": "A", "A": "B", "B": "C", "C": "C"})
    file, own = folder / "generation_config.json", json.loads((folder / "generation_config.json").read_text())
    file.write_text(json.dumps(own | {"stop_strings": ["C"]}))
    assert answer(folder) == ("AB", 3, "stop")
    end = TextChat(str(folder), "cpu").tokenizer.convert_tokens_to_ids("C")
    file.write_text(json.dumps(own | {"eos_token_id": [1, end]}))
    assert answer(folder)[1:] == (3, "stop")
    file.write_text(json.dumps(own | {"no_repeat_ngram_size": 1}))
    assert answer(folder)[0].count("C") == 1


def test_all_tokens_may_be_drawn_unless_the_publisher_says_otherwise(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path)
    assert TextChat(str(folder), "cpu").generation_settings.sampled["top_k"] == 0
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"top_k": 1}))
    handler = TextChat(str(folder), "cpu")
    assert handler.generation_settings.sampled["top_k"] == 1
    hot = handler.generate(HELLO, max_new_tokens=8, temperature=100.0, top_p=1.0)
    assert hot == handler.generate(HELLO, max_new_tokens=8, **GREEDY)


def test_a_token_that_only_the_tokenizer_knows_is_told(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path)
    words = tiny.tokenizer(folder)
    words.add_special_tokens({"additional_special_tokens": ["<more>"]})
    words.save_pretrained(folder)
    handler = TextChat(str(folder), "cpu", name="m")
    assert handler.generate(HELLO, max_new_tokens=2, **GREEDY).completion_tokens
    with pytest.raises(HandlerError, match=r"m has 259 tokens.*'<more>' \(259\)"):
        handler.generate([{"role": "user", "content": "a<more>"}], max_new_tokens=2, **GREEDY)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> TextChat:
    return TextChat(str(tiny.llama(tmp_path_factory.mktemp("llama"))), "cpu")


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_new_tokens": 0},
        {"max_new_tokens": True},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": -0.1},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"stop": [1]},
        {"stop": 7},
    ],
)
def test_options_that_cannot_be_are_the_requests_fault(chat: TextChat, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        chat.generate(HELLO, **({"max_new_tokens": 4} | GREEDY | wrong))


@pytest.mark.parametrize(
    "messages",
    [
        [],
        "hi",
        [{"content": "hi"}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": "\ud800"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}],
        [{"role": "user", "content": ["hi"]}],
    ],
)
def test_messages_in_no_known_form_are_the_requests_fault(chat: TextChat, messages: Any) -> None:
    with pytest.raises(InvalidRequest):
        chat.generate(messages, max_new_tokens=4, **GREEDY)


def test_content_parts_are_their_text(chat: TextChat) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert chat.encode([{"role": "user", "content": parts}]) == chat.encode([{"role": "user", "content": "a\nb"}])
    assert chat.encode([{"role": "assistant", "content": None}]) == chat.encode([{"role": "assistant", "content": ""}])


def test_what_is_drawn_is_the_same_for_the_same_seed(chat: TextChat) -> None:
    drawn: dict[str, Any] = {"max_new_tokens": 12, "temperature": 5.0, "top_p": 1.0}
    state = torch.get_rng_state()
    texts = [chat.generate(HELLO, **drawn, seed=seed).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert torch.equal(torch.get_rng_state(), state)
    assert chat.generate(HELLO, **drawn, top_k=1) == chat.generate(HELLO, **(drawn | GREEDY))


@pytest.mark.parametrize(
    "wrong",
    [
        {"top_k": -1},
        {"seed": "one"},
        {"n": 2},
        {"logit_bias": {"1": 1}},
        {"tool_choice": "required"},
        {"tools": "all"},
        {"chat_template_kwargs": {"tokenize": True}},
    ],
)
def test_options_that_are_not_taken_are_told(chat: TextChat, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        chat.generate(HELLO, max_new_tokens=4, **GREEDY, **wrong)
    assert chat.generate(HELLO, max_new_tokens=4, **GREEDY, **dict.fromkeys(wrong)).completion_tokens


def test_tools_and_further_words_reach_the_template(tmp_path: Path) -> None:
    template = (
        "{% for tool in tools or [] %}[{{ tool['function']['name'] }}]{% endfor %}{% if thinking %}T{% endif %}"
        "{% for m in messages %}{{ m['content'] }}{% for c in m['tool_calls'] or [] %}"
        "{{ c['function']['arguments']['x'] }}{% endfor %}{% endfor %}"
    )
    handler = TextChat(str(tiny.llama(tmp_path, template=template)), "cpu")
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": "yes"}'}}
    messages = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}]
    options: dict[str, Any] = {
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "chat_template_kwargs": {"thinking": True},
    }
    lengths = [
        handler.generate(messages, max_new_tokens=1, **GREEDY, **more).prompt_tokens
        for more in (options, options | {"tool_choice": "none"}, {})
    ]
    assert lengths == [len("[f]Txyes"), len("Txyes"), len("xyes")]


def test_what_counted_is_recorded(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path)
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"top_k": 20, "num_beams": 3, "repetition_penalty": 1.1}))
    recorded = TextChat(str(folder), "cpu").generation_settings.recorded
    assert recorded == {"top_k": 20, "repetition_penalty": 1.1, "stop_strings": [], "overridden": ["num_beams"]}


@pytest.mark.parametrize("publisher", [{}, {"top_k": 5, "repetition_penalty": 1.3}, {"min_p": 0.01, "typical_p": 0.9}])
@pytest.mark.parametrize(
    "asked",
    [{"temperature": 0.0, "top_p": 1.0}, {"temperature": 0.7, "top_p": 0.9}, {"temperature": 3.0, "top_p": 1.0}],
)
def test_answers_are_those_of_transformers(tmp_path: Path, publisher: dict[str, Any], asked: dict[str, float]) -> None:
    folder = tiny.llama(tmp_path)
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | publisher))
    handler, plain = TextChat(str(folder), "cpu"), AutoModelForCausalLM.from_pretrained(folder)
    for seed, text in enumerate(["a", "a longer one"]):
        messages = [{"role": "user", "content": text}]
        prompt = torch.tensor([handler.encode(messages)])
        drawn = asked["temperature"] > 0
        torch.manual_seed(seed)
        options = {"do_sample": drawn} | ({**asked, "top_k": publisher.get("top_k", 0)} if drawn else {})
        wanted = plain.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, **options)
        own = wanted[0, prompt.shape[1] :].tolist()
        found = handler.generate(messages, max_new_tokens=20, seed=seed, **asked)
        assert found.text == handler.tokenizer.decode(own, skip_special_tokens=True)
        assert found.completion_tokens == len(own)
