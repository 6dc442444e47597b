"""How a model's weights are quantised, as its configuration, its tags or its name say it; and bits of each type.

Not here: counting weights that are packed (counts).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.domain import gguf_names
from weighbridge.domain.estimates.plausible import part, text, whole

#: Bits of one element of each type, in the words of safetensors.
TYPE_BITS: Mapping[str, int] = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL", "UE8"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("F4", "FP4", "I4", "U4"), 4),
}
#: Types in which a quantisation packs several weights into one element.
CONTAINERS = ("I32", "U32", "U8", "I8", "I64", "U64")
#: GGUF's types by the bits of one weight, blocks' scales included; of a mixture (`Q4_K_M`), on the average of the whole
#: file of a model of 7 to 9 billion weights.
_GGUF_NAMES: Mapping[float, str] = {
    32: "F32 FP32",
    16: "F16 FP16 BF16",
    9.125: "Q8_K",
    8.5: "Q8_0",
    6.7: "Q6_K_L",
    6.5625: "Q6_K",
    6.0: "Q5_1",
    5.9: "Q5_K_L",
    5.7: "Q5_K_M",
    5.57: "Q5_K_S",
    5.5: "Q5_0 Q5_K",
    5.1: "Q4_K_L",
    5.0: "Q4_1 Q4_K_XL",
    4.89: "Q4_K_M",
    4.7: "Q3_K_XL",
    4.67: "Q4_K_S",
    4.5: "Q4_0 Q4_K IQ4_NL NVFP4",
    4.4: "MXFP4_MOE",
    4.3: "Q3_K_L",
    4.25: "IQ4_XS MXFP4",
    4.0: "Q3_K_M",
    3.76: "IQ3_M",
    3.65: "Q3_K_S",
    3.5: "IQ3_XS",
    3.4375: "IQ3_S Q3_K",
    3.4: "Q2_K_L",
    3.0625: "IQ3_XXS",
    2.98: "Q2_K_S",
    2.93: "IQ2_M",
    2.625: "Q2_K",
    2.5625: "IQ2_S",
    2.3125: "IQ2_XS",
    2.0625: "IQ2_XXS TQ2_0",
    1.75: "IQ1_M",
    1.6875: "TQ1_0",
    1.5625: "IQ1_S",
}
#: Bits of one weight by GGUF's names.
GGUF_BITS: Mapping[str, float] = {name: bits for bits, names in _GGUF_NAMES.items() for name in names.split()}
#: Bits beside those of the weights themselves that scales and layers in 16 bits add, for a model that is quantised.
_BESIDE = 0.5
_METHODS = re.compile(
    r"(?<![a-z0-9])(gptq|awq|bnb|bitsandbytes|fp8|mxfp4|nvfp4|w4a16|w8a8|w8a16|autoround|hqq|exl2|exl3|eetq|aqlm|quip)"
    r"(?![a-z0-9])"
)
_WIDTH = re.compile(
    r"(?<![a-z0-9.])(?:int|nf|w)?([2-8])[-_. ]?bits?(?![a-z])|(?<![a-z0-9])(?:int|nf|w)([2-8])(?![0-9])"
)
_METHOD_BITS = {"fp8": 8, "w8a8": 8, "w8a16": 8, "eetq": 8, "mxfp4": 4, "nvfp4": 4, "gptq": 4, "awq": 4, "w4a16": 4}
_METHOD_BITS |= {"fbgemm_fp8": 8, "bnb": 4, "autoround": 4, "auto-round": 4, "hqq": 4, "aqlm": 2, "quip": 2}
_MOST_TAGS = 200


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How weights are stored.

    Attributes:
        method: `gptq`, `awq`, `bitsandbytes`, `fp8`, `gguf`, or another word of the publisher's.
        bits: of one quantised weight.
        average: bits of a weight on the average of a whole file, with scales and what stays in 16 bits.
        source: what said so: config, tags or name.
    """

    method: str
    bits: float
    average: float
    source: str


def quantisation_in_config(config: Mapping[str, Any] | None) -> Quantisation | None:
    """Return what `quantization_config` of a config.json says: the model's own, or its language part's.

    MLX writes `quantization` with bits and a group size in its place.
    """
    said = part(config, "quantization_config") or part(part(config, "text_config"), "quantization_config")
    said = said or part(config, "compression_config") or part(config, "quantization")
    if not said:
        return None
    method = text(said.get("quant_method"), 40).lower() or ("mlx" if "group_size" in said else "unknown")
    bits = _stated_bits(said, method)
    return Quantisation(method, bits, bits + _BESIDE, "config") if bits else None


def quantisation_in_words(name: str, tags: Sequence[str] = ()) -> Quantisation | None:
    """Return what a model's name or its tags say: `…-GPTQ-Int4`, `…-Q4_K_M-GGUF`, the tag `4-bit`."""
    words = name[-200:].rpartition("/")[2]
    stated = gguf_names.quantisation(words)
    if stated and stated not in ("BF16", "F16", "FP16", "F32", "FP32"):
        bits = gguf_bits(stated)
        return Quantisation(stated, bits, bits, "name") if bits else None
    if found := _in_text(words.lower(), "name"):
        return found
    known = " ".join(tag[:60] for tag in tags[:_MOST_TAGS] if isinstance(tag, str) and ":" not in tag)
    return _in_text(known.lower(), "tags") if known else None


def gguf_bits(name: str) -> float | None:
    """Return bits of one weight for a GGUF's quantisation, `UD-Q4_K_XL` being a Q4_K_XL; None for an unknown one."""
    return GGUF_BITS.get(name.upper().removeprefix("UD-"))


def _in_text(words: str, source: str) -> Quantisation | None:
    method = _METHODS.search(words)
    width = _WIDTH.search(words)
    if not method and not width:
        return None
    name = method[1] if method else "quantised"
    bits = int(width[1] or width[2]) if width else _METHOD_BITS.get(name, 4)
    return Quantisation(name, bits, bits + _BESIDE, source)


def _stated_bits(said: Mapping[str, Any], method: str) -> int | None:
    if said.get("load_in_4bit") is True or said.get("_load_in_4bit") is True:
        return 4
    if said.get("load_in_8bit") is True or said.get("_load_in_8bit") is True:
        return 8
    if found := whole(said.get("bits"), 16) or whole(said.get("w_bit"), 16):
        return found
    groups = part(said, "config_groups")
    for group in list(groups.values())[:20]:
        if found := whole(part(group, "weights").get("num_bits"), 16):
            return found
    return _METHOD_BITS.get(method)
