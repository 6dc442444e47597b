"""Tiny models of random weights, made by code: enough for a handler to load and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    FNetConfig,
    FNetModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5EncoderModel,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
#: As Qwen-VL's: an image is a placeholder between two marks, which the processor repeats for each of its patches.
SEEING_TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{% for part in m['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
CONTEXT = 256


def tokenizer(folder: Path, template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    """Write a byte-level tokenizer, one token a byte, and return it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2} | {letter: number + 3 for number, letter in enumerate(alphabet)}
    inner = Tokenizer(models.BPE(words, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
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


def chatting(folder: Path, kind: str, **config: Any) -> Path:
    """Write a chat model of two layers of any kind of transformers, and its tokenizer; its next tokens are varied."""
    words = tokenizer(folder)
    settings = {"vocab_size": len(words), "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(settings | config)), dtype=torch.float32)
    with torch.no_grad():
        for weight in made.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.3)
    made.save_pretrained(folder)
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


def gpt2(folder: Path) -> Path:
    """Write a GPT-2 of two layers without a head, whose positions are absolute, and its tokenizer."""
    words = tokenizer(folder, None)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT, "initializer_range": 0.5}
    torch.manual_seed(0)
    made = GPT2Config(vocab_size=len(words), bos_token_id=None, eos_token_id=1, pad_token_id=0, **sizes)
    GPT2Model(made).save_pretrained(folder)
    return folder


def follower(folder: Path, follows: dict[str, str], *, first: str = "A", context: int = CONTEXT, **ends: Any) -> Path:
    """Write a chat model whose next token is told by the last one alone: `follows`, else `first`."""
    words = tokenizer(folder)
    words.add_special_tokens({"additional_special_tokens": ["<end>"]})
    words.save_pretrained(folder)
    count = len(words)
    settings = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0, "tie_word_embeddings": False} | ends
    made = GPT2LMHeadModel(
        GPT2Config(vocab_size=count, n_positions=context, n_embd=count, n_layer=0, n_head=1, **settings)
    )
    ids = {words.convert_tokens_to_ids(last): words.convert_tokens_to_ids(then) for last, then in follows.items()}
    table = torch.zeros(count, count)
    for last in range(count):
        table[ids.get(last, words.convert_tokens_to_ids(first)), last] = 1
    with torch.no_grad():
        made.transformer.wte.weight.copy_(torch.eye(count) * 10)
        made.transformer.wpe.weight.zero_()
        made.transformer.ln_f.bias.fill_(1 / count)  # Else the logit of `first` is a sum that is zero but for noise.
        made.lm_head.weight.copy_(table)
    made.save_pretrained(folder)
    return folder


def speaker(folder: Path, says: str, *, start: int, template: str = TEMPLATE, marks: tuple[str, ...] = ()) -> Path:
    """Write a chat model that says a text and ends, told by positions alone: after a prompt of `start` tokens."""
    words = tokenizer(folder, template)
    words.add_special_tokens({"additional_special_tokens": list(marks)})
    words.save_pretrained(folder)
    ids, context = [*words.encode(says, add_special_tokens=False), 1], 1024
    settings = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0, "tie_word_embeddings": False}
    made = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(words), n_positions=context, n_embd=context, n_layer=0, n_head=1, **settings)
    )
    with torch.no_grad():
        made.transformer.wte.weight.zero_()
        made.transformer.wpe.weight.copy_(torch.eye(context) * 10)
        made.lm_head.weight.zero_()
        for place, token in enumerate(ids):
            made.lm_head.weight[token, start - 1 + place] = 1
    made.save_pretrained(folder)
    return folder


def fnet(folder: Path) -> Path:
    """Write an FNet of two layers, which looks at padding too, and its tokenizer."""
    words = tokenizer(folder, None)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "max_position_embeddings": CONTEXT}
    torch.manual_seed(0)
    FNetModel(FNetConfig(vocab_size=len(words), pad_token_id=0, initializer_range=0.3, **sizes)).save_pretrained(folder)
    return folder


def t5(folder: Path) -> Path:
    """Write the encoder of a T5 of two layers, and its tokenizer."""
    words = tokenizer(folder, None)
    sizes = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_layers": 2, "num_heads": 4}
    torch.manual_seed(0)
    T5EncoderModel(T5Config(vocab_size=len(words), decoder_start_token_id=0, **sizes)).save_pretrained(folder)
    return folder


def roberta(folder: Path, *, labels: int) -> Path:
    """Write a RoBERTa of one layer that classifies, and a tokenizer that says nothing of lengths."""
    words = tokenizer(folder, None)
    words.model_max_length = 10**30
    words.save_pretrained(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    torch.manual_seed(0)
    made = RobertaConfig(
        vocab_size=len(words), max_position_embeddings=CONTEXT, pad_token_id=0, num_labels=labels, **sizes
    )
    RobertaForSequenceClassification(made).save_pretrained(folder)
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


def qwen_vl(folder: Path, template: str | None = SEEING_TEMPLATE) -> Path:
    """Write a Qwen2-VL of two layers; an image of 16 by 16 pixels is four tokens between two marks."""
    words = tokenizer(folder, template)
    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    words.add_special_tokens({"additional_special_tokens": marks})
    words.save_pretrained(folder)
    Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, min_pixels=256, max_pixels=1024).save_pretrained(folder)
    start, end, image, video = words.convert_tokens_to_ids(marks)
    text = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": None,
    }
    sight = {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4}
    torch.manual_seed(0)
    made = Qwen2VLConfig(
        text_config=text,
        vision_config=sight,
        vision_start_token_id=start,
        vision_end_token_id=end,
        image_token_id=image,
        video_token_id=video,
    )
    Qwen2VLForConditionalGeneration(made).save_pretrained(folder)
    return folder
