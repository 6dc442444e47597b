"""The description of a model in the form of sentence-transformers: prompt, case, lengths, and the layers after it.

`modules.json` lists the steps of a text, in order; `config_sentence_transformers.json` has prompts and the size of
vectors; the transformer's own file describes how texts are cut. Each is read whole: an unknown key is refused by name,
because ignoring it would silently give another vector. Not here: the work of the layers (sentence_layers), how they are
read (sentence_modules), and the vectors themselves (embedding).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weighbridge.handlers.request import whole_number
from weighbridge.handlers.sentence_files import below, read_object, refusal, refuse_unknown
from weighbridge.handlers.sentence_layers import SENTENCE, TOKENS, Layer, Pooling
from weighbridge.handlers.sentence_modules import read_layer, read_modules

_MODEL_FILE = "config_sentence_transformers.json"
_TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
#: Settings of the transformer that are accepted only with the value that is always used here.
_FIXED: dict[str, tuple[Any, ...]] = {
    "transformer_task": ("feature-extraction",),
    "module_output_name": (TOKENS,),
    "processing_kwargs": (None, {}),
    "query_length": (None,),
    "document_length": (None,),
    "query_expansion": (None,),
    "tokenizer_name_or_path": (None,),
}
_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}
#: Accepted options for loading the tokenizer, the weights and the configuration.
_LOADING = {
    "tokenizer": {"model_max_length", "padding_side", "truncation_side"},
    "model": {"attn_implementation", "dtype", "torch_dtype"},
    "config": set[str](),
}


@dataclass(frozen=True)
class Sentence:
    """A model's steps from a text to its vector.

    Attributes:
        stated: whether its files describe any, so whether it is made for embedding.
        transformer: the folder of the transformer below the model's, empty for the model's own.
        layers: the layers for the states of the tokens; at least one pooling.
        prompt: the text before each text.
        lower_case: whether texts are lower-cased.
        max_tokens: the most tokens of a text, or None.
        size: how many numbers of a vector are kept, or None for all.
        tokenizer: the options for loading the tokenizer.
    """

    stated: bool
    transformer: str
    layers: tuple[Layer, ...]
    prompt: str = ""
    lower_case: bool = False
    max_tokens: int | None = None
    size: int | None = None
    tokenizer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pooling(self) -> str:
        """Return the modes of its poolings, joined by `+`."""
        return "+".join(mode for layer in self.layers if isinstance(layer, Pooling) for mode in layer.modes)


def read_sentence(folder: Path, pooling: str = "") -> Sentence:
    """Return the steps in a model's files.

    Args:
        folder: the folder of its files.
        pooling: the mode that replaces its own.

    Raises:
        HandlerError: a file is invalid, or names something that is not supported.
    """
    modules = read_modules(folder)
    kind, place = modules[0] if modules else ("Transformer", "")
    if kind != "Transformer":
        raise refusal("modules.json", f"begins with {kind}", "texts have to go through a transformer first")
    layers = [layer for kind, path in modules[1:] if (layer := read_layer(folder, kind, path, pooling)) is not None]
    if not modules:
        layers = [Pooling((pooling or "mean",))]
    there = {TOKENS}
    for layer in layers:
        if layer.reads not in there:
            raise refusal(
                "modules.json", f"puts {type(layer).__name__} before the layer that computes its {layer.reads}"
            )
        there.add(layer.writes)
    if SENTENCE not in there:
        raise refusal(
            "modules.json",
            "has no pooling",
            "the model computes a vector for each token, as ColBERT does, and none for a text",
        )
    prompt, size = _model_file(folder)
    lower_case, max_tokens, tokenizer = _transformer_file(below(folder, place))
    return Sentence(bool(modules), place, tuple(layers), prompt, lower_case, max_tokens, size, tokenizer)


def _model_file(folder: Path) -> tuple[str, int | None]:
    """Return the prompt before each text, and how many numbers of a vector are kept."""
    said = read_object(folder / _MODEL_FILE)
    known = {"model_type", "prompts", "default_prompt_name", "truncate_dim", "__version__", "similarity_fn_name"}
    refuse_unknown(_MODEL_FILE, said, known)
    if said.get("model_type", "SentenceTransformer") != "SentenceTransformer":
        raise refusal(_MODEL_FILE, f"says model_type: {ascii(said['model_type'])[:40]}")
    prompts, chosen, size = said.get("prompts") or {}, said.get("default_prompt_name"), said.get("truncate_dim")
    if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise refusal(_MODEL_FILE, "has prompts that are not texts")
    prompts = {"query": "", "document": "", **prompts}
    if chosen is not None and (not isinstance(chosen, str) or chosen not in prompts):
        raise refusal(_MODEL_FILE, f"has no prompt {ascii(chosen)[:40]}, which it names as default_prompt_name")
    if size is not None and (not whole_number(size) or size < 1):
        raise refusal(_MODEL_FILE, f"says truncate_dim: {ascii(size)[:40]}")
    return (prompts[chosen] or "") if chosen is not None else "", size


def _transformer_file(folder: Path) -> tuple[bool, int | None, dict[str, Any]]:
    """Return whether texts are lower-cased, the most tokens of a text, and the options for loading the tokenizer."""
    name = next((name for name in _TRANSFORMER_FILES if read_object(folder / name)), _TRANSFORMER_FILES[0])
    said = read_object(folder / name)
    old = {"tokenizer": "processor_kwargs", "model": "model_kwargs", "config": "config_kwargs"}
    loading = {f"{kind}_args": kind for kind in old} | {newer: kind for kind, newer in old.items()}
    known = {"max_seq_length", "do_lower_case", "modality_config", *loading, *_FIXED, "unpad_inputs"}
    refuse_unknown(name, said, known)
    for key, allowed in _FIXED.items():
        if key in said and said[key] not in allowed:
            raise refusal(name, f"says {key}: {ascii(said[key])[:100]}")
    options: dict[str, Any] = {}
    for key, kind in loading.items():
        given = said.get(key) or {}
        if not isinstance(given, dict):
            raise refusal(name, f"says {key}: {ascii(given)[:100]}")
        given = {option: value for option, value in given.items() if option != "trust_remote_code"}
        refuse_unknown(f"{name} under {key}", given, _LOADING[kind])
        options |= given if kind == "tokenizer" else {}
    kinds = said.get("modality_config", {"text": _TEXT})
    if not isinstance(kinds, dict) or kinds.get("text") != _TEXT or "message" in kinds:
        raise refusal(name, f"says modality_config: {ascii(kinds)[:100]}")
    length, lower_case = said.get("max_seq_length"), said.get("do_lower_case", False)
    if not isinstance(length, int | None) or isinstance(length, bool) or not isinstance(lower_case, bool):
        raise refusal(name, f"says max_seq_length: {ascii(length)[:40]}, do_lower_case: {ascii(lower_case)[:40]}")
    return lower_case, length, options
