"""What kind of network a model is, from its config.json or its GGUF metadata: family, sizes, context.

Every number is the publisher's claim, taken only when it is plausible. Not here: counting weights (cards.weights),
the memory that they need (cards.memory), or reading files (content.headers).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weighbridge.content.findings import plain
from weighbridge.content.headers.gguf import GgufHeader
from weighbridge.domain.card import Field

_MAX_NUMBER = 2**40
#: Names that families give to the same number, the usual one first.
_KEYS = {
    "context_length": (
        "max_position_embeddings",
        "n_positions",
        "max_sequence_length",
        "max_seq_len",
        "seq_length",
        "n_ctx",
        "model_max_length",
        "max_target_positions",
    ),
    "vocab_size": ("vocab_size", "padded_vocab_size"),
    "hidden_size": ("hidden_size", "d_model", "n_embd", "dim", "model_dim"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers"),
}
#: Where multimodal models keep their language model's part.
_PARTS = ("text_config", "llm_config", "language_config", "thinker_config", "decoder")
#: By how the name of a class ends (https://huggingface.co/docs/transformers/model_doc/auto), the Hub's task.
_TASKS = (
    ("ForCausalLM", "text-generation"),
    ("LMHeadModel", "text-generation"),
    ("ForSpeechSeq2Seq", "automatic-speech-recognition"),
    ("ForCTC", "automatic-speech-recognition"),
    ("ForSequenceClassification", "text-classification"),
    ("ForTokenClassification", "token-classification"),
    ("ForQuestionAnswering", "question-answering"),
    ("ForMaskedLM", "fill-mask"),
    ("ForImageClassification", "image-classification"),
    ("ForObjectDetection", "object-detection"),
    ("ForAudioClassification", "audio-classification"),
    ("ForTextToWaveform", "text-to-audio"),
)
_SPEECH = ("whisper", "moonshine", "speech_to_text")
_ENCODERS = ("bert", "nomic-bert", "jina-bert-v2", "t5encoder", "modern-bert")


def config_fields(config: Mapping[str, Any], path: str) -> Iterator[tuple[str, Field]]:
    """Yield the card's fields in a config.json (of transformers or similar)."""
    family = config.get("model_type")
    if isinstance(family, str) and family:
        yield "architecture", Field(plain(family, 100), f"{path}#model_type")
    elif classes := _classes(config):
        yield "architecture", Field(plain(classes[0], 100), f"{path}#architectures")
    elif isinstance(name := config.get("_class_name"), str):
        yield "architecture", Field(plain(name, 100), f"{path}#_class_name")
    for field in ("context_length", "vocab_size", "hidden_size", "layers"):
        if found := _number(config, field):
            yield field, Field(found[0], f"{path}#{found[1]}")
    if task := _task(config):
        yield "task", Field(task, f"{path}#architectures")


def gguf_fields(header: GgufHeader, path: str) -> Iterator[tuple[str, Field]]:
    """Yield the card's fields that a GGUF's metadata states."""
    family = header.metadata.get("general.architecture")
    if not isinstance(family, str) or not family:
        return
    yield "architecture", Field(plain(family, 100), f"{path}#general.architecture")
    for field, key in (
        ("context_length", "context_length"),
        ("vocab_size", "vocab_size"),
        ("hidden_size", "embedding_length"),
        ("layers", "block_count"),
    ):
        if number := _plausible(header.metadata.get(f"{family}.{key}")):
            yield field, Field(number, f"{path}#{family}.{key}")
    if number := header.lengths.get("tokenizer.ggml.tokens"):
        yield "vocab_size", Field(number, f"{path}#tokenizer.ggml.tokens")
    elif header.embedding_rows:
        yield "vocab_size", Field(header.embedding_rows, f"{path}#token_embd.weight")
    if family in _ENCODERS:
        yield "task", Field("feature-extraction", f"{path}#general.architecture")
    elif family not in ("clip", "whisper") and "tokenizer.ggml.model" in header.metadata:
        yield "task", Field("text-generation", f"{path}#general.architecture")


def _plausible(value: object) -> int | None:
    """Return a number that can be a size, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_NUMBER else None


def _classes(config: Mapping[str, Any]) -> list[str]:
    found = config.get("architectures")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _number(config: Mapping[str, Any], field: str) -> tuple[int, str] | None:
    """Return a number of `_KEYS` with its key: the model's own, or its language part's."""
    for key in _KEYS[field]:
        if number := _plausible(config.get(key)):
            return number, key
    for part in _PARTS:
        inner = config.get(part)
        if isinstance(inner, dict):
            nested = inner.get("text_config")
            found = _number(nested if isinstance(nested, dict) else inner, field)
            if found:
                return found[0], f"{part}.{found[1]}"
    return None


def _task(config: Mapping[str, Any]) -> str:
    if config.get("model_type") in _SPEECH:
        return "automatic-speech-recognition"
    for name in _classes(config):
        for ending, task in _TASKS:
            if name.endswith(ending):
                return task
        if name.endswith("ForConditionalGeneration"):
            return "image-text-to-text" if "vision_config" in config else "text2text-generation"
        if name.endswith("Model"):
            return "feature-extraction"
    return ""
