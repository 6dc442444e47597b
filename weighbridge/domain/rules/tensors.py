"""Rules about files of tensors: safetensors and GGUF."""

from __future__ import annotations

from weighbridge.domain.rules.interface import Rule

RULES = (
    Rule(
        "safetensors.header-length",
        "error",
        "The length of a safetensors header is impossible.",
        "a header longer than the file",
    ),
    Rule("safetensors.invalid", "error", "The safetensors library refuses a file.", "what only the library notices"),
    Rule("safetensors.duplicate-key", "error", "A tensor occurs in a safetensors header twice.", "two tensors `a`"),
    Rule("safetensors.json", "error", "A safetensors header is not the JSON that the format demands.", "`[]`"),
    Rule(
        "safetensors.metadata",
        "error",
        "The metadata of a safetensors file holds something else than texts.",
        '`{"a": 1}`',
    ),
    Rule(
        "safetensors.size",
        "error",
        "A tensor of a safetensors file has another size than its shape needs.",
        "7 bytes for 2 floats",
    ),
    Rule(
        "safetensors.tensor",
        "error",
        "A tensor of a safetensors file lacks type, shape or offsets, or has more.",
        "`{}`",
    ),
    Rule("safetensors.dtype", "error", "A tensor of a safetensors file has an unknown type.", "`X9`"),
    Rule("safetensors.shape", "error", "A tensor of a safetensors file has an impossible shape.", "`[-1]`"),
    Rule("safetensors.offsets", "error", "The offsets of a safetensors file lead out of it.", "an end behind the file"),
    Rule("safetensors.overlap", "error", "Tensors of a safetensors file overlap.", "two tensors at 0"),
    Rule("safetensors.gap", "error", "Bytes of a safetensors file belong to no tensor.", "a hole"),
    Rule(
        "safetensors.trailing-bytes", "error", "Bytes follow the last tensor of a safetensors file.", "a zip at the end"
    ),
    Rule("gguf.magic", "error", "A GGUF file does not begin as one.", "`GGML`"),
    Rule("gguf.version", "error", "A GGUF file has an unknown version.", "version 9"),
    Rule("gguf.count", "error", "A GGUF file declares more parts than fit into it.", "2^60 tensors"),
    Rule("gguf.limit", "error", "A GGUF file has more parts than are read.", "ten million keys"),
    Rule("gguf.truncated", "error", "A GGUF file ends inside its header.", "a cut file"),
    Rule("gguf.string", "error", "A text of a GGUF file is longer than the file.", "a length of 2^63"),
    Rule("gguf.text", "warning", "A text of a GGUF file is not UTF-8.", "Latin-1"),
    Rule("gguf.duplicate-key", "error", "A key of a GGUF file occurs twice.", "two `general.name`"),
    Rule("gguf.value-type", "error", "A value of a GGUF file has an unknown type.", "type 99"),
    Rule("gguf.duplicate-tensor", "error", "A tensor of a GGUF file occurs twice.", "two tensors `a`"),
    Rule("gguf.name", "warning", "The name of a tensor is longer than llama.cpp reads.", "70 bytes"),
    Rule("gguf.shape", "error", "A tensor of a GGUF file has an impossible shape.", "5 dimensions"),
    Rule("gguf.type", "error", "A tensor of a GGUF file has an unknown type.", "type 250"),
    Rule("gguf.alignment", "error", "Tensors of a GGUF file are not aligned as it says.", "alignment 3"),
    Rule("gguf.offset", "error", "The offset of a tensor leads out of a GGUF file.", "an offset behind the end"),
    Rule("gguf.overlap", "error", "Tensors of a GGUF file overlap.", "two tensors at 0"),
    Rule("gguf.gap", "error", "Bytes of a GGUF file belong to no tensor.", "a hole"),
    Rule("gguf.trailing-bytes", "warning", "Bytes follow the last tensor of a GGUF file.", "a zip at the end"),
)
