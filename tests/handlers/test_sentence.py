"""What a model in the form of sentence-transformers says: each of it is done, or refused by name.

The expected vectors are computed here from the transformer's own states, in numpy; that they are those of
sentence-transformers itself was compared when this was written (docs/models.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

from tests.handlers import tiny
from tests.handlers.poolings import WAYS
from weighbridge.errors import HandlerError
from weighbridge.handlers.embedding import TextEmbedding

pytestmark = pytest.mark.xdist_group("torch")
TEXTS = ["a", "A much longer text than the first", "hello"]
POOLS = {"embedding_dimension": 32, "pooling_mode": "mean"}
DENSE: dict[str, Any] = {"in_features": 32, "out_features": 8, "bias": False}
SETTINGS = "config_sentence_transformers.json"
LENGTHS = "sentence_bert_config.json"


def write(folder: Path, *modules: tuple[str, dict[str, Any]]) -> Path:
    """Write a BERT, and what its states go through after it."""
    tiny.bert(folder, initializer_range=0.3)
    listed = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for number, (kind, said) in enumerate(modules, 1):
        path = f"{number}_{kind}"
        listed.append(
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        )
        (folder / path).mkdir()
        (folder / path / "config.json").write_text(json.dumps(said))
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


def say(path: Path, **said: Any) -> None:
    path.write_text(json.dumps(said))


def weights(folder: Path, out: int = 8, **more: torch.Tensor) -> np.ndarray:
    """Write a dense layer's weights and return them."""
    matrix = torch.randn(out, 32, generator=torch.Generator().manual_seed(1))
    save_file({"linear.weight": matrix} | more, folder / "model.safetensors")
    return np.asarray(matrix.numpy())


def states(folder: Path, text: str) -> np.ndarray:
    """Return the states of a text's tokens, shape (tokens, 32)."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        return np.asarray(AutoModel.from_pretrained(folder)(**tokens).last_hidden_state[0].numpy())


def expected(folder: Path, pool: Callable[[np.ndarray], np.ndarray], prompt: str = "") -> np.ndarray:
    return np.stack([pool(states(folder, prompt + text)) for text in TEXTS])


def embedded(folder: Path, **options: Any) -> np.ndarray:
    return TextEmbedding(str(folder), "cpu", **options).embed(TEXTS)


def unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


@pytest.mark.parametrize("mode", WAYS)
def test_every_pooling_and_every_form_of_saying_it(tmp_path: Path, mode: str) -> None:
    folder = write(tmp_path, ("Pooling", {"embedding_dimension": 32, "pooling_mode": mode}))
    truth = expected(folder, WAYS[mode])
    np.testing.assert_allclose(embedded(folder), truth, atol=1e-4)
    old = {"lasttoken": "pooling_mode_lasttoken", "cls": "pooling_mode_cls_token"}.get(mode, f"pooling_mode_{mode}")
    old += "_tokens" if mode in ("max", "mean", "weightedmean") else ""
    say(
        folder / "1_Pooling" / "config.json",
        word_embedding_dimension=32,
        **{"pooling_mode_mean_tokens": False, old: True},
    )
    np.testing.assert_allclose(embedded(folder), truth, atol=1e-4)
    say(folder / "1_Pooling" / "config.json", embedding_dimension=32, pooling_mode=[mode, "mean"])
    joined = np.concatenate([truth, expected(folder, WAYS["mean"])], axis=1)
    np.testing.assert_allclose(embedded(folder), joined, atol=1e-4)


@pytest.mark.parametrize("mode", WAYS)
def test_the_default_prompt_is_put_before_texts_and_may_be_left_out_of_the_pooling(tmp_path: Path, mode: str) -> None:
    folder = write(tmp_path, ("Pooling", {"embedding_dimension": 32, "pooling_mode": mode}))
    say(folder / SETTINGS, prompts={"query": "query: ", "other": None}, default_prompt_name="query")
    np.testing.assert_allclose(embedded(folder), expected(folder, WAYS[mode], "query: "), atol=1e-4)
    say(folder / "1_Pooling" / "config.json", embedding_dimension=32, pooling_mode=mode, include_prompt=False)
    size = len("query: ")

    def without(found: np.ndarray) -> np.ndarray:
        if mode == "weightedmean":  # The tokens keep the weights that they have after the prompt.
            return np.asarray(np.average(found[size:], axis=0, weights=np.arange(size + 1, len(found) + 1)))
        return WAYS[mode](found[size:])

    np.testing.assert_allclose(embedded(folder), expected(folder, without, "query: "), atol=1e-4)
    say(folder / SETTINGS, prompts={"query": "query: "}, default_prompt_name=None)
    np.testing.assert_allclose(embedded(folder), expected(folder, WAYS[mode]), atol=1e-4)


def test_layers_are_done_in_their_order(tmp_path: Path) -> None:
    folder = write(tmp_path, ("Pooling", POOLS), ("Normalize", {}), ("Dense", DENSE))
    matrix = weights(folder / "3_Dense")
    truth = expected(folder, lambda found: np.tanh(unit(found.mean(axis=0)) @ matrix.T))
    np.testing.assert_allclose(embedded(folder), truth, atol=1e-5)


def test_a_dense_layer_may_stand_before_the_pooling(tmp_path: Path) -> None:
    said = DENSE | {"module_input_name": "token_embeddings", "activation_function": "torch.nn.modules.activation.ReLU"}
    folder = write(tmp_path, ("Dense", said), ("Pooling", POOLS))
    matrix = weights(folder / "1_Dense")
    truth = expected(folder, lambda found: np.maximum(found @ matrix.T, 0).mean(axis=0))
    np.testing.assert_allclose(embedded(folder), truth, atol=1e-5)


@pytest.mark.parametrize("out", [8, 32])
def test_a_dense_layer_may_add_its_input(tmp_path: Path, out: int) -> None:
    said = DENSE | {
        "out_features": out,
        "use_residual": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    folder = write(tmp_path, ("Pooling", POOLS), ("Dense", said))
    beside = torch.ones(out, 32)
    matrix = weights(folder / "2_Dense", out, **({"residual.weight": beside} if out != 32 else {}))
    whole = matrix + (beside.numpy() if out != 32 else np.eye(32))
    np.testing.assert_allclose(embedded(folder), expected(folder, lambda found: whole @ found.mean(axis=0)), atol=1e-3)


def test_vectors_are_cut_before_they_are_normalized_on_request(tmp_path: Path) -> None:
    folder = write(tmp_path, ("Pooling", POOLS), ("Normalize", {}))
    say(folder / SETTINGS, truncate_dim=8)
    truth = expected(folder, lambda found: unit(found.mean(axis=0))[:8])
    handler = TextEmbedding(str(folder), "cpu")
    assert handler.dim == 8
    np.testing.assert_allclose(handler.embed(TEXTS), truth, atol=1e-5)
    np.testing.assert_allclose(embedded(folder, normalize=True), unit(truth), atol=1e-5)
    np.testing.assert_allclose(
        embedded(folder, normalize=False), expected(folder, lambda f: f.mean(axis=0)[:8]), atol=1e-4
    )


def test_case_and_length_are_the_transformers_own(tmp_path: Path) -> None:
    folder = write(tmp_path, ("Pooling", POOLS))
    say(folder / LENGTHS, max_seq_length=4, do_lower_case=True)
    handler = TextEmbedding(str(folder), "cpu")
    assert handler.max_tokens == 4
    lower, upper, other = handler.embed(["a much", "A MUCH longer", "a must"])
    np.testing.assert_allclose(lower, upper, atol=1e-6)
    np.testing.assert_allclose(lower, other, atol=1e-6)


def test_the_old_layout_keeps_the_transformer_in_a_folder_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "new", ("Pooling", POOLS))
    write(tmp_path / "old", ("Pooling", POOLS))
    inner = tmp_path / "old" / "0_Transformer"
    inner.mkdir()
    for path in [path for path in (tmp_path / "old").iterdir() if path.is_file() and path.name != "modules.json"]:
        path.rename(inner / path.name)
    say(inner / "sentence_roberta_config.json", max_seq_length=8)
    listed = json.loads((tmp_path / "old" / "modules.json").read_text())
    listed[0]["path"] = "0_Transformer"
    (tmp_path / "old" / "modules.json").write_text(json.dumps(listed))
    say(tmp_path / "new" / LENGTHS, max_seq_length=8)
    np.testing.assert_allclose(embedded(tmp_path / "old"), embedded(tmp_path / "new"), atol=1e-6)


@pytest.mark.parametrize(
    ("file", "said", "told"),
    [
        ("modules.json", {}, "not a list"),
        ("modules.json", [{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}], "begins with"),
        ("modules.json", [{"type": "custom_st.Transformer", "path": ""}], "custom_st"),
        ("modules.json", [{"type": "sentence_transformers.models.Transformer", "path": "", "dtype": 1}], "'dtype'"),
        (
            "modules.json",
            [{"type": "sentence_transformers.models.Transformer", "path": "../x"}],
            "has no pooling|leaves",
        ),
        ("modules.json", [{"type": "sentence_transformers.models.Transformer", "path": ""}], "has no pooling"),
        (SETTINGS, {"default_prompt_name": "gone"}, "gone"),
        (SETTINGS, {"truncate_dim": 0}, "truncate_dim"),
        (SETTINGS, {"model_type": "MultiVectorEncoder"}, "model_type"),
        (SETTINGS, {"query_prefix": "[Q]"}, "query_prefix"),
        (SETTINGS, [], "not a JSON object"),
        (LENGTHS, {"max_seq_length": "8"}, "max_seq_length"),
        (LENGTHS, {"document_length": 8}, "document_length"),
        (LENGTHS, {"modality_config": {"message": {"method": "forward"}}}, "modality_config"),
        (LENGTHS, {"tokenizer_args": {"use_fast": False}}, "use_fast"),
        (LENGTHS, {"louder": True}, "louder"),
        ("1_Pooling/config.json", {"pooling_mode": ["mean", "loud"]}, "pools by"),
        ("1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": 0}, "include_prompt"),
        ("1_Pooling/config.json", {"pooling_mode_loud_tokens": True}, "pooling_mode_loud_tokens"),
        ("1_Pooling/config.json", {}, "missing or empty"),
        ("2_Dense/config.json", DENSE | {"activation_function": "torch.nn.modules.activation.PReLU"}, "PReLU"),
        ("2_Dense/config.json", DENSE | {"activation_function": "evil.Tanh"}, "evil"),
        ("2_Dense/config.json", DENSE | {"gate": 1}, "'gate'"),
        ("2_Dense/config.json", DENSE | {"module_input_name": "elsewhere"}, "elsewhere"),
        ("2_Dense/config.json", DENSE | {"use_residual": True}, "2_Dense cannot be loaded"),
    ],
)
def test_what_is_not_done_here_is_refused_by_name(tmp_path: Path, file: str, said: Any, told: str) -> None:
    folder = write(tmp_path, ("Pooling", POOLS), ("Dense", DENSE))
    weights(folder / "2_Dense")
    TextEmbedding(str(folder), "cpu")
    (folder / file).write_text(json.dumps(said))
    with pytest.raises(HandlerError, match=told):
        TextEmbedding(str(folder), "cpu")


def test_modules_that_are_not_listed_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, ("Pooling", POOLS), ("Dense", DENSE))
    (folder / "modules.json").unlink()
    with pytest.raises(HandlerError, match="2_Dense"):
        TextEmbedding(str(folder), "cpu")
