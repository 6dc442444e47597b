"""Names of formats, and what the name of a file promises: code, weights, or something else than its content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

#: By suffix, for formats whose content has no mark of its own. Binary claims are checked by the formats scanner.
SUFFIXES = {
    ".safetensors": "safetensors",
    ".gguf": "gguf",
    ".onnx": "onnx",
    ".onnx_data": "onnx-data",
    ".data": "onnx-data",
    ".json": "json",
    ".webmanifest": "json",
    ".jsonl": "text",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
    ".md": "markdown",
    ".txt": "text",
    ".rst": "text",
    ".py": "python",
    ".ipynb": "json",
    ".pyc": "python-bytecode",
    ".jinja": "jinja",
    ".jinja2": "jinja",
    ".model": "sentencepiece",
    ".spm": "sentencepiece",
    ".tiktoken": "text",
    ".vocab": "text",
    ".bpe": "text",
    ".tflite": "tflite",
    ".pb": "tensorflow",
    ".msgpack": "msgpack",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".bin": "pickle",
    ".pt": "pickle",
    ".pth": "pickle",
    ".ckpt": "pickle",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "pickle",
    ".sh": "script",
    ".bat": "script",
    ".ps1": "script",
    ".wav": "audio",
    ".csv": "text",
    ".tsv": "text",
    ".log": "text",
    ".cfg": "text",
    ".ini": "text",
    ".html": "text",
    ".xml": "text",
    ".svg": "text",
}


#: Formats that run code when the usual tools load them.
EXECUTABLE_FORMATS = frozenset({"pickle", "python", "python-bytecode", "script", "executable"})


#: Formats that hold weights.
WEIGHTS_FORMATS = frozenset(
    {"safetensors", "gguf", "ggml", "onnx", "onnx-data", "pickle", "zip", "npy", "hdf5", "tflite"}
    | {"ctranslate2", "tensorflow", "msgpack"}
)


_PACKED = frozenset({"pickle", "zip", "gzip", "bzip2", "xz", "zstd", "lz4", "7z", "tar"})


#: What a file of such a suffix may turn out to be without anybody being deceived.
_CLAIMS = {
    ".safetensors": {"safetensors"},
    ".gguf": {"gguf"},
    ".onnx": {"onnx"},
    ".h5 .hdf5": {"hdf5"},
    ".keras": {"zip", "hdf5"},
    ".npy": {"npy"},
    ".npz": {"zip"},
    ".tflite": {"tflite"},
    ".msgpack": {"msgpack"},
    ".bin": {*_PACKED, "ggml", "ctranslate2", "unknown"},
    ".pt .pth .ckpt .pkl .pickle .joblib": {*_PACKED, "text"},
    ".json .ipynb": {"json"},
    ".yaml .yml": {"yaml"},
    ".md .txt .rst .csv .tsv .log": {"text", "markdown", "script"},
    ".jinja .jinja2": {"jinja"},
    ".png .jpg .jpeg .gif .webp": {"image"},
    ".pdf": {"pdf"},
    ".wav .mp3 .flac .ogg": {"audio"},
    ".py": {"python"},
}


_CLAIMED = {suffix: kinds for suffixes, kinds in _CLAIMS.items() for suffix in suffixes.split()}


@dataclass(frozen=True)
class Disagreement:
    """A file's name says one thing and its content another.

    Attributes:
        level: `error` when what it hides can run code or unpack to anything, else `warning`.
        message: one sentence.
    """

    level: Literal["error", "warning"]
    message: str


def may_hold_weights(name: str) -> bool:
    """Whether a file's name promises weights. Pure: for what judges files without their bytes."""
    suffix = PurePosixPath(name.lower()).suffix
    return SUFFIXES.get(suffix) in WEIGHTS_FORMATS or suffix in (".keras", ".npz", ".npy", ".zip", ".nemo", ".mar")


def disagreement(name: str, kind: str) -> Disagreement | None:
    """Return how a file's name disagrees with the format that `detect` found in its content, or None. Pure."""
    suffix = PurePosixPath(name.lower()).suffix
    if kind == "empty":
        text = "It is empty, though its name promises weights."
        return Disagreement("warning", text) if may_hold_weights(name) else None
    claimed = _CLAIMED.get(suffix)
    if claimed is None or kind in claimed or kind == "lfs-pointer":
        return None
    hidden = kind in EXECUTABLE_FORMATS or (kind in _PACKED | {"rar", "hdf5"} and suffix not in (".bin", ".pt", ".pth"))
    return Disagreement("error" if hidden else "warning", f"Its name ends in {suffix}, its content is {kind}.")
