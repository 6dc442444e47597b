"""Tiny models of random weights, made by code: enough for a handler to load and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
CONTEXT = 128


def tokenizer(folder: Path, template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    """Write a byte-level tokenizer, one token a byte, and return it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {letter: number + 3 for number, letter in enumerate(alphabet)}
    inner = Tokenizer(models.BPE(words, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=CONTEXT
    )
    made.chat_template = template
    made.save_pretrained(folder)
    return made


def llama(folder: Path, *, template: str | None = TEMPLATE, **config: Any) -> Path:
    """Write a Llama of two layers and its tokenizer."""
    words = tokenizer(folder, template)
    settings = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": None,
    }
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**(settings | config))).save_pretrained(folder)
    return folder


def bert(folder: Path, *, labels: int = 0, **config: Any) -> Path:
    """Write a BERT of two layers and its tokenizer; with labels, one that classifies."""
    words = tokenizer(folder, None)
    settings = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    made = BertConfig(**(settings | config | ({"num_labels": labels} if labels else {})))
    (BertForSequenceClassification(made) if labels else BertModel(made)).save_pretrained(folder)
    return folder


def whisper(folder: Path, real: Path, **generation: Any) -> Path:
    """Write a multilingual Whisper of one layer with the processor of a real one; its settings name no language."""
    ends = {"bos_token_id": 50256, "eos_token_id": 50256, "pad_token_id": 50256, "decoder_start_token_id": 50257}
    sizes = {f"{side}_{size}": 1 for side in ("encoder", "decoder") for size in ("layers", "attention_heads")}
    sizes |= {f"{side}_ffn_dim": 8 for side in ("encoder", "decoder")}
    torch.manual_seed(0)
    made = WhisperForConditionalGeneration(WhisperConfig(vocab_size=51865, d_model=8, **sizes, **ends))
    made.generation_config.update(max_length=8, **generation)
    made.save_pretrained(folder)
    WhisperProcessor.from_pretrained(real).save_pretrained(folder)
    return folder
