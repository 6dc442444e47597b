"""Text chat: a tiny model for every way in which it can go wrong, a real one for the proof."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.handlers import tiny
from tests.services.models import smollm2  # noqa: F401 (fixture)
from weighbridge.errors import Cancelled, HandlerError
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.loading import open_handler

pytestmark = pytest.mark.xdist_group("torch")
HELLO = [{"role": "user", "content": "hello"}]
GREEDY = {"temperature": 0.0, "top_p": 1.0}


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> TextChat:
    return TextChat(str(tiny.llama(tmp_path_factory.mktemp("llama"))), "cpu", name="tiny")


def test_an_answer_is_the_same_again_and_is_counted(chat: TextChat) -> None:
    first = chat.generate(HELLO, max_new_tokens=8, **GREEDY)
    assert first == chat.generate(HELLO, max_new_tokens=8, **GREEDY)
    assert first.prompt_tokens == chat.count_tokens(HELLO) == len("<user>hello") + 1 + len("<assistant>")
    assert first.completion_tokens <= 8
    assert chat.count_tokens(HELLO, add_generation_prompt=False) < first.prompt_tokens
    assert chat.generate(HELLO, max_new_tokens=8, temperature=1.0, top_p=0.9).completion_tokens <= 8


def test_a_batch_of_unequal_prompts_answers_as_one_by_one(chat: TextChat) -> None:
    prompts = [chat.encode(HELLO), chat.encode([{"role": "user", "content": "hello, who are you?"}])]
    options = {"max_new_tokens": 6, "min_new_tokens": 6}
    together = chat.complete(prompts, **options)
    assert together == [chat.complete([prompt], **options)[0] for prompt in prompts]


def test_each_step_is_told(chat: TextChat) -> None:
    steps: list[None] = []
    chat.complete([chat.encode(HELLO)], on_token=lambda: steps.append(None), max_new_tokens=5, min_new_tokens=5)
    assert len(steps) == 5


def test_what_follows_a_stop_string_is_cut(chat: TextChat) -> None:
    whole = chat.generate(HELLO, max_new_tokens=8, **GREEDY).text
    stop = whole[2]
    cut = chat.generate(HELLO, max_new_tokens=8, **GREEDY, stop=[stop])
    assert cut.text == whole[: whole.index(stop)]
    assert cut.finish_reason == "stop"


def test_a_cancelled_answer_ends(chat: TextChat) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(Cancelled):
        chat.generate(HELLO, max_new_tokens=64, **GREEDY, cancel_event=event)


def test_messages_longer_than_the_context_are_told(chat: TextChat) -> None:
    with pytest.raises(HandlerError, match="takes 256"):
        chat.generate([{"role": "user", "content": "x" * 400}], max_new_tokens=8, **GREEDY)
    almost = [{"role": "user", "content": "x" * 100}]
    done = chat.generate(almost, max_new_tokens=500, **GREEDY)
    assert done.prompt_tokens + done.completion_tokens <= tiny.CONTEXT


@pytest.mark.parametrize(
    "template", ["{{ raise_exception('no') }}", "{{ messages[9].content.x.y }}", "{% for %}", None]
)
def test_a_template_that_fails_is_told(tmp_path: Path, template: str | None) -> None:
    handler = TextChat(str(tiny.llama(tmp_path, template=template)), "cpu")
    with pytest.raises(HandlerError, match="template"):
        handler.generate(HELLO, max_new_tokens=4, **GREEDY)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_that_computes_no_numbers_is_told(tmp_path: Path, temperature: float) -> None:
    tiny.llama(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("nan"))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(HandlerError, match="NaN"):
        TextChat(str(tmp_path), "cpu").generate(HELLO, max_new_tokens=4, temperature=temperature, top_p=1.0)


def test_a_model_that_is_not_here_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(HandlerError, match="preload"):
        open_handler("weighbridge.handlers.chat.TextChat", "org/name", device="cpu", cache_dir=tmp_path)


def test_a_real_model_answers_from_gguf(smollm2: dict[str, Path], tmp_path: Path) -> None:  # noqa: F811
    (name,) = [name for name in smollm2 if name.endswith(".gguf")]
    (tmp_path / name).symlink_to(smollm2[name])
    handler = TextChat(str(tmp_path), "cpu")
    question = [{"role": "user", "content": "What is the capital of France?"}]
    assert "Paris" in handler.generate(question, max_new_tokens=12, **GREEDY).text
