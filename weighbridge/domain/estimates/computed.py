"""How many weights a network has, computed from its config.json: what one asks when no header is known.

Good to a few per cent for the usual families (docs/estimates.md has the error of each). Not here: one layer's weights
(layer_weights).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.estimates.config_network import HEAD_KEYS, LAYER_KEYS, WIDTH_KEYS, language_part
from weighbridge.domain.estimates.layer_kinds import layer_kinds
from weighbridge.domain.estimates.layer_weights import INNER_KEYS, LayerWeights, layer_weights
from weighbridge.domain.estimates.network import MOST_LAYERS
from weighbridge.domain.estimates.plausible import LARGEST, first_whole, part, text, whole

_MOST_WIDTH = 2**20
#: Families that learn a vector for each position.
_POSITIONS = frozenset(
    [
        "gpt2",
        "gpt_neo",
        "opt",
        "bert",
        "roberta",
        "xlm-roberta",
        "camembert",
        "distilbert",
        "electra",
        "albert",
        "gpt_bigcode",
        "codegen",
        "whisper",
        "biogpt",
        "mpnet",
        "bart",
    ]
)
#: Families whose classes have an output matrix of their own unless their configuration says otherwise.
_UNTIED = frozenset(
    [
        "llama",
        "mistral",
        "mixtral",
        "phi3",
        "phi",
        "gptj",
        "gpt_neox",
        "falcon_mamba",
        "qwen2_moe",
        "qwen3_moe",
        "deepseek_v2",
    ]
)
#: Families whose layers are one layer, used again and again.
_SHARED_LAYERS = frozenset(["albert"])
#: Families that share layers in ways that their numbers do not say.
_NOT_COMPUTED = frozenset(["zamba", "zamba2"])
#: Families whose bare models end in a matrix for the first token.
_POOLED = frozenset(["bert", "roberta", "xlm-roberta", "camembert", "albert", "mpnet"])


@dataclass(frozen=True, slots=True)
class ComputedCount:
    """Weights of a model by its configuration.

    Attributes:
        total: all of them.
        active: those that one token uses; fewer in a mixture of experts.
    """

    total: int
    active: int


def computed_count(config: Mapping[str, Any] | None) -> ComputedCount | None:
    """Return the weights of the network that a config.json describes, or None where it does not say enough."""
    if not isinstance(config, Mapping):
        return None
    language = language_part(config)
    if text(language.get("model_type")) in _NOT_COMPUTED:
        return None
    width, layers = first_whole(language, WIDTH_KEYS, _MOST_WIDTH), first_whole(language, LAYER_KEYS, MOST_LAYERS)
    words = language.get("layers_block_type")
    if not layers and isinstance(words, list) and 0 < len(words) <= MOST_LAYERS:
        layers = len(words), "layers_block_type"
    vocabulary = whole(language.get("vocab_size"), _MOST_WIDTH * 8) or whole(config.get("vocab_size"), _MOST_WIDTH * 8)
    if not width or not layers or not vocabulary:
        return None
    hidden = width[0]
    embedded = _embeddings(config, language, vocabulary, hidden, layers[0])
    body = _body(language, layers[0], hidden)
    seen = sum(_tower(part(config, name), hidden) for name in ("vision_config", "audio_config"))
    total, active = body.total + embedded + seen, body.active + embedded + seen
    return ComputedCount(total, active) if total <= LARGEST else None


def _body(config: Mapping[str, Any], layers: int, hidden: int) -> LayerWeights:
    kinds = layer_kinds(config, layers)
    if text(config.get("model_type")) in _SHARED_LAYERS:
        kinds = kinds[:1]
    body = LayerWeights()
    for number, kind in enumerate(kinds):
        body += layer_weights(config, number, kind, hidden)
    if config.get("is_encoder_decoder") is True:
        body += _encoder_and_crossing(config, body, layers, hidden)
    return body


def _encoder_and_crossing(config: Mapping[str, Any], decoder: LayerWeights, layers: int, hidden: int) -> LayerWeights:
    """Return the encoder, which is as its decoder is, and the attention of each layer of the decoder to it."""
    stated = first_whole(config, ("encoder_layers", "num_layers"), MOST_LAYERS)
    count = stated[0] if stated else layers
    heads, size = first_whole(config, HEAD_KEYS, _MOST_WIDTH), whole(config.get("d_kv"), _MOST_WIDTH)
    inner = heads[0] * size if heads and size else hidden
    more = decoder.total * count // layers + layers * 4 * hidden * inner
    return LayerWeights(more, more)


def _embeddings(
    config: Mapping[str, Any], language: Mapping[str, Any], vocabulary: int, hidden: int, layers: int
) -> int:
    family = text(language.get("model_type"))
    narrow = whole(language.get("embedding_size"), _MOST_WIDTH) if family in ("albert", "electra") else None
    narrow = narrow or whole(language.get("word_embed_proj_dim"), _MOST_WIDTH)
    matrix = vocabulary * (narrow or hidden) + (narrow * hidden if narrow else 0)
    count = matrix if _is_tied(config, language) else 2 * matrix
    if family in _POOLED and any(name.endswith("Model") for name in _classes(config)):
        count += hidden * hidden
    if family in _POSITIONS:
        positions = first_whole(
            language, ("max_position_embeddings", "n_positions", "max_target_positions"), _MOST_WIDTH
        )
        count += (positions[0] if positions else 0) * hidden
        if family == "whisper":
            count += (whole(language.get("max_source_positions"), _MOST_WIDTH) or 0) * hidden
    each = whole(language.get("hidden_size_per_layer_input"), _MOST_WIDTH)
    known = whole(language.get("vocab_size_per_layer_input"), _MOST_WIDTH * 8)
    if each and known:
        count += layers * each * (known + 3 * hidden)
    return count


def _is_tied(config: Mapping[str, Any], language: Mapping[str, Any]) -> bool:
    classes = _classes(config)
    if classes and not any("For" in name or "LMHead" in name for name in classes):
        return True  # a model without a head, which has no output matrix
    for document in (config, language):
        if isinstance(said := document.get("tie_word_embeddings"), bool):
            return said
    return text(language.get("model_type")) not in _UNTIED


def _classes(config: Mapping[str, Any]) -> list[str]:
    values = config.get("architectures")
    return [value for value in values[:20] if isinstance(value, str)] if isinstance(values, list) else []


def _tower(config: Mapping[str, Any], hidden: int) -> int:
    """Return the weights of the part that reads images or sound, with what joins it to the language model."""
    width = first_whole(config, ("embed_dim", "hidden_size", "d_model", "width"), _MOST_WIDTH)
    layers = first_whole(config, ("num_hidden_layers", "depth", "encoder_layers", "layers"), MOST_LAYERS)
    if not width or not layers:
        return 0
    inner = first_whole(config, INNER_KEYS, _MOST_WIDTH)
    size, wide = width[0], inner[0] if inner else 4 * width[0]
    gated = config.get("hidden_act") == "silu" and "out_hidden_size" in config
    patch = whole(config.get("patch_size"), 1024) or 14
    joined = 16 * size * size + 4 * size * hidden if "out_hidden_size" in config else size * hidden
    return layers[0] * (4 * size * size + (3 if gated else 2) * size * wide) + 3 * patch * patch * size + joined
