"""Chat about images: a tiny Qwen-VL of random weights sees, and the same words about other images are other answers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.handlers import tiny
from tests.handlers.test_images import data_url
from weighbridge.errors import Cancelled, HandlerError
from weighbridge.handlers.loading import open_handler
from weighbridge.handlers.vision import VisionChat

pytestmark = pytest.mark.xdist_group("torch")
GREEDY: dict[str, Any] = {"max_new_tokens": 6, "temperature": 0.0, "top_p": 1.0}


def about(*urls: str, text: str = "what?") -> list[dict[str, Any]]:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.qwen_vl(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def vision(folder: Path) -> VisionChat:
    return open_handler("weighbridge.handlers.vision.VisionChat", folder, device="cpu", name="tiny")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def red() -> str:
    return data_url(Image.new("RGB", (16, 16), "red"))


def test_an_image_is_counted_and_answered(vision: VisionChat, red: str) -> None:
    found = vision.generate(about(red), **GREEDY)
    assert found == vision.generate(about(red), **GREEDY)
    assert found.prompt_tokens == vision.count_tokens(about(red)) == len("<user>what?<assistant>") + 1 + 2 + 4
    assert vision.count_tokens(about(red, red)) == found.prompt_tokens + 6
    assert vision.count_tokens(about(red), add_generation_prompt=False) < found.prompt_tokens
    assert found.completion_tokens <= 6


def test_the_image_is_seen(vision: VisionChat, red: str) -> None:
    seen = [
        vision._encoded(*vision._templated(about(url), True))
        for url in (red, data_url(Image.new("RGB", (16, 16), "blue")))
    ]
    with torch.inference_mode():
        logits = [vision.model(**inputs).logits[0, -1] for inputs in seen]
    assert torch.equal(seen[0]["input_ids"], seen[1]["input_ids"])
    assert not torch.allclose(logits[0], logits[1])


def test_text_alone_is_answered(vision: VisionChat) -> None:
    assert vision.generate([{"role": "user", "content": "hello"}], **GREEDY).completion_tokens > 0
    assert vision.count_tokens([{"role": "user", "content": "hello"}]) == vision.count_tokens(about(text="hello"))
    steps: list[None] = []
    options = {"max_new_tokens": 3, "min_new_tokens": 3}
    assert vision.complete([[5, 6, 7]], on_token=lambda: steps.append(None), **options)
    assert len(steps) == 3


@pytest.mark.parametrize(
    "part",
    [
        {"type": "audio", "audio": "x"},
        {"type": "image_url"},
        {"type": "image_url", "image_url": {"url": 5}},
        {"type": "text", "text": None},
        {"type": ["text"]},
        "text",
        None,
    ],
)
def test_other_parts_are_refused(vision: VisionChat, part: Any) -> None:
    with pytest.raises(HandlerError, match="part of a message"):
        vision.generate([{"role": "user", "content": [part]}], **GREEDY)


def test_files_and_addresses_are_refused_unless_allowed(folder: Path, vision: VisionChat, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    with pytest.raises(HandlerError, match="on behalf of others"):
        vision.generate(about("https://example.org/a.png"), **GREEDY)
    with pytest.raises(HandlerError, match="files are not read"):
        vision.generate(about(str(tmp_path / "a.png")), **GREEDY)
    allowed = VisionChat(str(folder), "cpu", image_folder=str(tmp_path))
    assert allowed.count_tokens(about("a.png")) == allowed.count_tokens(about(str(tmp_path / "a.png")))


def test_too_many_images_and_too_long_messages_are_told(vision: VisionChat, red: str) -> None:
    with pytest.raises(HandlerError, match="more than 16 images"):
        vision.generate(about(*[red] * 17), **GREEDY)
    with pytest.raises(HandlerError, match="takes 256"):
        vision.generate(about(red, text="x" * 400), **GREEDY)


def test_placeholders_in_a_text_are_no_images(vision: VisionChat, red: str) -> None:
    with pytest.raises(HandlerError, match="fails"):
        vision.generate(about(red, text="<|image_pad|>"), **GREEDY)


def test_a_cancelled_answer_ends(vision: VisionChat, red: str) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(Cancelled):
        vision.generate(about(red), **GREEDY, cancel_event=event)


@pytest.mark.parametrize("template", ["{{ raise_exception('no') }}", "{% for %}", None])
def test_a_template_that_fails_is_told(tmp_path: Path, template: str | None) -> None:
    handler = VisionChat(str(tiny.qwen_vl(tmp_path, template)), "cpu")
    with pytest.raises(HandlerError, match="template"):
        handler.generate(about(), **GREEDY)


def test_a_model_that_computes_no_numbers_is_told(tmp_path: Path, red: str) -> None:
    weights = load_file(tiny.qwen_vl(tmp_path) / "model.safetensors")
    (name,) = [name for name in weights if name.endswith("model.norm.weight")]
    weights[name] = torch.full_like(weights[name], float("nan"))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(HandlerError, match="NaN"):
        VisionChat(str(tmp_path), "cpu").generate(about(red), **GREEDY)


def test_a_model_that_sees_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(HandlerError):
        VisionChat(str(tiny.llama(tmp_path)), "cpu")
