"""Loading: what is no model, or one for another task; pickles, and code of the model's own; types and GGUF files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from tests.handlers import tiny
from weighbridge.errors import HandlerError, InvalidConfiguration
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.embedding import TextEmbedding
from weighbridge.handlers.loading import open_handler
from weighbridge.handlers.rerank import TextRerank

pytestmark = pytest.mark.xdist_group("torch")
HELLO = [{"role": "user", "content": "hello"}]
GREEDY: dict[str, Any] = {"max_new_tokens": 4, "temperature": 0.0, "top_p": 1.0}
HANDLERS = (
    "chat.TextChat",
    "vision.VisionChat",
    "embedding.TextEmbedding",
    "rerank.TextRerank",
    "speech.WhisperSpeech",
)


def opened(handler: str, folder: Path, **options: Any) -> Any:
    return open_handler(f"weighbridge.handlers.{handler}", folder, device="cpu", **options)


class Touch:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def junk(folder: Path) -> None:
    for name in ("model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json"):
        (folder / name).write_bytes(os.urandom(512))


def lies(folder: Path) -> None:
    """Write whole files around weights whose header promises terabytes."""
    tiny.llama(folder)
    header = b'{"w":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def pickle_only(folder: Path) -> None:
    tiny.llama(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Touch(folder / "ran")}, folder / "pytorch_model.bin")


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize(
    "write", [lambda folder: None, junk, lies, pickle_only], ids=["empty", "junk", "lies", "pickle"]
)
def test_what_is_no_model_is_told_by_every_handler(tmp_path: Path, handler: str, write: Any) -> None:
    write(tmp_path)
    with pytest.raises(HandlerError) as error:
        opened(handler, tmp_path)
    assert error.value.remedy
    assert not (tmp_path / "ran").exists()


def test_a_pickle_is_loaded_where_that_is_allowed_and_its_code_never(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path / "good")
    answer = TextChat(str(folder), "cpu").generate(HELLO, **GREEDY)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert TextChat(str(folder), "cpu", allow_pickle=True).generate(HELLO, **GREEDY) == answer
    (tmp_path / "bad").mkdir()
    pickle_only(tmp_path / "bad")
    with pytest.raises(HandlerError):
        TextChat(str(tmp_path / "bad"), "cpu", allow_pickle=True)
    assert not (tmp_path / "bad" / "ran").exists()
    torch.load(tmp_path / "bad" / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "bad" / "ran").exists()  # So its code would have run.


def with_code(folder: Path, ran: Path) -> Path:
    """Write a Llama whose configuration, model and tokenizer are classes in a Python file of its own."""
    tiny.llama(folder)
    (folder / "own.py").write_text(
        f"open({str(ran)!r}, 'w').close()\n"
        "from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast\n"
        "class Config(LlamaConfig):\n    model_type = 'own'\n"
        "class Own(LlamaForCausalLM):\n    config_class = Config\n"
        "class Words(PreTrainedTokenizerFast):\n    pass\n"
    )
    kinds = ("ForCausalLM", "", "ForSequenceClassification", "ForSpeechSeq2Seq", "ForImageTextToText")
    for name, own in {
        "config.json": {"AutoConfig": "own.Config"} | {f"AutoModel{kind}": "own.Own" for kind in kinds},
        "tokenizer_config.json": {"AutoTokenizer": ["own.Words", "own.Words"], "AutoProcessor": "own.Words"},
    }.items():
        said = json.loads((folder / name).read_text())
        said |= {"auto_map": own} | ({"model_type": "own"} if name == "config.json" else {})
        (folder / name).write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("handler", HANDLERS)
def test_the_models_own_code_does_not_run(tmp_path: Path, handler: str) -> None:
    folder = with_code(tmp_path / "coded", tmp_path / "ran")
    with pytest.raises(HandlerError):
        opened(handler, folder)
    assert not (tmp_path / "ran").exists()


def test_the_models_own_code_runs_where_that_is_allowed(tmp_path: Path) -> None:
    folder = with_code(tmp_path / "allowed", tmp_path / "ran")
    handler = TextChat(str(folder), "cpu", trust_remote_code=True)
    assert type(handler.model).__name__ == "Own"
    assert (tmp_path / "ran").exists()
    assert any("own" in name for name in sys.modules)


@pytest.mark.parametrize(
    ("handler", "made", "told"),
    [
        ("chat.TextChat", tiny.bert, "another task"),
        ("rerank.TextRerank", lambda folder: tiny.bert(folder, num_labels=1), "another task"),
        ("speech.WhisperSpeech", tiny.bert, ""),
        ("vision.VisionChat", tiny.bert, ""),
        ("embedding.TextEmbedding", tiny.llama, "made for generating text"),
        ("rerank.TextRerank", lambda folder: tiny.llama(folder, num_labels=1), "another task"),
        ("speech.WhisperSpeech", tiny.llama, ""),
        ("vision.VisionChat", tiny.llama, ""),
        ("chat.TextChat", tiny.qwen_vl, ""),
        ("speech.WhisperSpeech", tiny.qwen_vl, ""),
    ],
    ids=[
        *("bert chats", "bert ranks", "bert hears", "bert sees"),
        *("llama embeds", "llama ranks", "llama hears", "llama sees"),
        *("qwen-vl chats", "qwen-vl hears"),
    ],
)
def test_a_model_for_another_task_is_told(tmp_path: Path, handler: str, made: Any, told: str) -> None:
    with pytest.raises(HandlerError) as error:
        opened(handler, made(tmp_path))
    assert told in str(error.value)
    assert error.value.remedy


def test_a_model_that_writes_embeds_where_models_yaml_says_how(tmp_path: Path) -> None:
    handler = TextEmbedding(str(tiny.llama(tmp_path)), "cpu", pooling="last")
    assert handler.embed(["a", "longer"]).shape == (2, handler.dim)


def test_a_tokenizer_that_raises_is_told(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path)
    strict = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1}, unk_token="none"))
    made = PreTrainedTokenizerFast(tokenizer_object=strict, pad_token="<pad>", eos_token="</s>")
    made.chat_template = tiny.TEMPLATE
    made.save_pretrained(folder)
    with pytest.raises(HandlerError, match="UNK"):
        TextChat(str(folder), "cpu").generate(HELLO, **GREEDY)
    with pytest.raises(HandlerError, match="UNK"):
        TextEmbedding(str(folder), "cpu", pooling="last").embed(["hello"])


def test_the_type_of_the_weights_is_chosen(tmp_path: Path) -> None:
    folder = tiny.llama(tmp_path)
    assert TextChat(str(folder), "cpu").model.dtype == torch.float32
    assert TextChat(str(folder), "cpu", dtype="bfloat16").model.dtype == torch.bfloat16
    with pytest.raises(InvalidConfiguration, match="no dtype"):
        TextChat(str(folder), "cpu", dtype="int3")


def fp8(folder: Path, block: int, kind: torch.dtype, rest: torch.dtype) -> dict[str, torch.Tensor]:
    """Write a Llama in FP8 with a scale a block, or one a matrix for 0; return what its weights are."""
    tiny.llama(folder, hidden_size=64, intermediate_size=128, num_key_value_heads=4)
    written, whole = {}, {}
    for name, weight in load_file(folder / "model.safetensors").items():
        if "proj" not in name:
            written[name], whole[name] = weight.to(rest), weight.to(rest).float()
            continue
        rows, columns = (block, block) if block else weight.shape
        grid = weight.reshape(weight.shape[0] // rows, rows, -1, columns)
        scales = (grid.abs().amax((1, 3)) / 448).to(kind)
        spread = scales.float().repeat_interleave(rows, 0).repeat_interleave(columns, 1)
        written[name] = (weight / spread).to(torch.float8_e4m3fn)
        written[f"{name}_scale_inv"] = scales if block else scales.reshape(())
        whole[name] = written[name].float() * spread
    save_file(written, folder / "model.safetensors", {"format": "pt"})
    said = json.loads((folder / "config.json").read_text())
    quantized = {"quant_method": "fp8", "activation_scheme": "dynamic", "modules_to_not_convert": ["lm_head"]}
    quantized |= {"weight_block_size": [block, block]} if block else {}
    (folder / "config.json").write_text(json.dumps(said | {"dtype": "bfloat16", "quantization_config": quantized}))
    return whole


@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "float16", "float32"])
@pytest.mark.parametrize(
    ("block", "kind", "rest"),
    [
        (32, torch.float32, torch.bfloat16),
        (32, torch.float16, torch.float16),
        (32, torch.bfloat16, torch.float32),
        (0, torch.float32, torch.bfloat16),
    ],
)
def test_fp8_answers_in_every_type(
    tmp_path: Path, dtype: str, block: int, kind: torch.dtype, rest: torch.dtype
) -> None:
    whole = fp8(tmp_path, block, kind, rest)
    handler = TextChat(str(tmp_path), "cpu", dtype=dtype)
    chosen = torch.bfloat16 if dtype == "auto" else getattr(torch, dtype)
    assert {weight.dtype for weight in handler.model.parameters()} == {chosen}
    for name, weight in handler.model.named_parameters():
        torch.testing.assert_close(weight.float(), whole[name], rtol=torch.finfo(chosen).eps, atol=1e-6)
    assert handler.generate(HELLO, **GREEDY).completion_tokens


def test_a_gguf_file_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "mmproj-a.gguf").write_bytes(b"")
    with pytest.raises(HandlerError, match="safetensors or GGUF"):
        TextChat(str(tmp_path), "cpu")
    (tmp_path / "b.gguf").write_bytes(b"GGUF")
    with pytest.raises(InvalidConfiguration, match=r"It has b\.gguf, mmproj-a\.gguf"):
        TextChat(str(tmp_path), "cpu", gguf_file="c.gguf")
    with pytest.raises(HandlerError, match="cannot be loaded"):
        TextChat(str(tmp_path), "cpu")


def test_texts_longer_than_the_positions_are_cut(tmp_path: Path) -> None:
    folder = tiny.roberta(tmp_path, labels=1)
    assert TextRerank(str(folder), "cpu").rerank("q", ["x" * 500])[0].index == 0
    handler = TextEmbedding(str(folder), "cpu")
    assert handler.max_tokens == tiny.CONTEXT - 1  # Its positions begin after that of the padding.
    assert handler.embed(["x" * 500]).shape == (1, 32)
