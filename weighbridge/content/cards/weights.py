"""Which files of a model hold its weights, and how many weights of which type they are, from headers only.

A model's folder may hold the same weights several times (safetensors and pickle, ten quantizations): one set is chosen
and counted. Not here: what kind of model it is (cards.architecture) or the card (cards.describe).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from weighbridge.content.headers import document, gguf, onnx, safetensors
from weighbridge.content.headers.config import weight_files

_SHARD = re.compile(r"^(.*)-\d{5}-of-\d{5}(\.\w+)$")
#: Names of a file that holds all weights.
MAIN_NAMES = ("model.safetensors", "diffusion_pytorch_model.safetensors", "pytorch_model.safetensors")
#: Bytes of an index that is read.
INDEX_SIZE = 32 * 1024 * 1024


@dataclass(frozen=True)
class ModelFile:
    """A file of the model: its path there, its local file, its size in bytes and its format."""

    path: str
    local: Path
    size: int
    kind: str


@dataclass(frozen=True)
class Weights:
    """The chosen set of weights.

    Attributes:
        kind: format of its files.
        files: their paths, sorted.
        size: bytes on disk.
        parameters: number of weights by type; empty when the headers do not say.
        read_from: file, or first file and how many.
        metadata: that of the first GGUF, safetensors or ONNX file.
        gguf: the first GGUF's header, or None.
        external: paths of files that hold the tensors of an ONNX model, there or not.
    """

    kind: str
    files: tuple[str, ...]
    size: int
    parameters: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    gguf: gguf.GgufHeader | None = None
    external: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of weights."""
        return sum(self.parameters.values())

    @property
    def read_from(self) -> str:
        """The file, or the first one and the number of all."""
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return self.files[0] + more


def find_weights(files: Iterable[ModelFile], config: Mapping[str, Any]) -> Weights | None:
    """Choose a model's weights and count them, or return None when it has none.

    Args:
        files: all files of the model.
        config: its config.json, which says how quantized weights are packed; or empty.
    """
    by_kind: dict[str, list[ModelFile]] = defaultdict(list)
    everything = list(files)
    for file in everything:
        by_kind[file.kind].append(file)
    if by_kind["safetensors"]:
        return _safetensors(_choose_safetensors(by_kind["safetensors"], everything), config)
    if by_kind["gguf"]:
        return _gguf(_choose_gguf(by_kind["gguf"]))
    if by_kind["onnx"]:
        return _onnx(_choose_onnx(by_kind["onnx"]), everything)
    for kind in ("pickle", "zip", "hdf5", "tensorflow", "tflite", "ctranslate2", "ggml", "npy", "msgpack"):
        held = [file for file in by_kind[kind] if _looks_like_weights(file)]
        if held:
            return Weights(kind, tuple(sorted(file.path for file in held)), sum(file.size for file in held))
    return None


def _looks_like_weights(file: ModelFile) -> bool:
    name = PurePosixPath(file.path).name
    return not re.match(r"^(training_args|optimizer|scheduler|rng_state|trainer_state)", name)


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _choose_safetensors(candidates: list[ModelFile], everything: list[ModelFile]) -> list[ModelFile]:
    folders: dict[str, list[ModelFile]] = defaultdict(list)
    for file in candidates:
        folders[_folder(file.path)].append(file)
    paths = {file.path for file in everything}
    if "model_index.json" in paths:
        chosen = [folder for folder in folders if folder != "."] or ["."]
    elif "modules.json" in paths:
        chosen = [folder for folder in folders if folder == "." or "/" not in folder]
    elif "." in folders:
        chosen = ["."]
    else:
        chosen = [max(folders, key=lambda folder: (sum(file.size for file in folders[folder]), folder))]
    return [file for folder in chosen for file in _of_folder(folders[folder], folder, everything)]


def _of_folder(held: list[ModelFile], folder: str, everything: list[ModelFile]) -> list[ModelFile]:
    """Of one folder's files, choose those that are one copy of the weights."""
    names = {PurePosixPath(file.path).name: file for file in held}
    indexes = [
        file
        for file in everything
        if _folder(file.path) == folder and file.path.endswith(".safetensors.index.json") and file.size <= INDEX_SIZE
    ]
    for index in sorted(indexes, key=lambda file: (len(file.path), file.path)):
        listed = weight_files(document.read_json(index.local).value)
        if listed and listed <= names.keys():
            return [names[name] for name in sorted(listed)]
    for name in MAIN_NAMES:
        if name in names:
            return [names[name]]
    groups: dict[str, list[ModelFile]] = defaultdict(list)
    for name, file in names.items():
        match = _SHARD.match(name)
        groups[match.group(1) + match.group(2) if match else name].append(file)
    plain = {name: group for name, group in groups.items() if not name.startswith("consolidated")} or groups
    plain = {name: group for name, group in plain.items() if not re.search(r"\.(fp16|bf16|non_ema)\.", name)} or plain
    return [file for group in plain.values() for file in group]


def _choose_gguf(candidates: list[ModelFile]) -> list[ModelFile]:
    """Choose the largest set of parts: of several quantizations the one that needs most memory."""
    main = [file for file in candidates if "mmproj" not in file.path.lower()] or candidates
    groups: dict[str, list[ModelFile]] = defaultdict(list)
    for file in main:
        match = _SHARD.match(file.path)
        groups[match.group(1) if match else file.path].append(file)
    chosen = max(groups, key=lambda name: (sum(file.size for file in groups[name]), name))
    return sorted(groups[chosen], key=lambda file: file.path)


def _choose_onnx(candidates: list[ModelFile]) -> list[ModelFile]:
    """Choose the plain model, or encoder and decoder, or the largest."""
    by_name: dict[str, ModelFile] = {}
    for file in sorted(candidates, key=lambda file: (file.path.count("/"), file.path)):
        by_name.setdefault(PurePosixPath(file.path).name, file)
    if "model.onnx" in by_name:
        return [by_name["model.onnx"]]
    decoder = by_name.get("decoder_model_merged.onnx") or by_name.get("decoder_model.onnx")
    if decoder and "encoder_model.onnx" in by_name:
        return [by_name["encoder_model.onnx"], decoder]
    return [max(candidates, key=lambda file: (file.size, file.path))]


def _safetensors(chosen: list[ModelFile], config: Mapping[str, Any]) -> Weights:
    headers = [safetensors.read(file.local) for file in chosen]
    weights = Weights("safetensors", tuple(sorted(file.path for file in chosen)), sum(file.size for file in chosen))
    if any(header.failure or any(found.level == "error" for found in header.findings) for header in headers):
        return weights
    bits = _packed_bits(config)
    parameters: Counter[str] = Counter()
    for header in headers:
        parameters.update(header.parameters if bits is None else _unpacked(header, bits))
    metadata = headers[0].metadata if headers else {}
    return replace(weights, parameters=+parameters, metadata=metadata)


def _packed_bits(config: Mapping[str, Any]) -> int | None:
    """Return the width of the weights that config.json says are packed into larger elements, or None."""
    stated = config.get("quantization_config")
    if not isinstance(stated, dict):
        return None
    if stated.get("load_in_4bit") or stated.get("_load_in_4bit") or stated.get("quant_method") == "mxfp4":
        return 4
    bits = stated.get("bits", stated.get("w_bit"))
    return bits if isinstance(bits, int) and not isinstance(bits, bool) and 2 <= bits <= 8 else None


def _unpacked(header: safetensors.SafetensorsHeader, bits: int) -> Counter[str]:
    """Return the number of weights by type, unpacked where several share an element."""
    weights: Counter[str] = Counter()
    for dtype, count in header.parameters.items():
        held = count - header.overhead.get(dtype, 0)
        packed = header.packed.get(dtype, 0) if dtype in ("I32", "U32") else 0
        if dtype == "U8" and bits == 4:
            packed = held
        weights[dtype] += held - packed
        weights[f"INT{bits}"] += packed * safetensors.BITS[dtype] // bits
    return weights


def _gguf(chosen: list[ModelFile]) -> Weights:
    headers = [gguf.read(file.local) for file in chosen]
    weights = Weights("gguf", tuple(file.path for file in chosen), sum(file.size for file in chosen))
    first = headers[0]
    if first.failure:
        return weights
    weights = replace(weights, metadata=first.metadata, gguf=first)
    if not all(header.valid for header in headers):
        return weights
    parameters: Counter[str] = Counter()
    for header in headers:
        parameters.update(header.parameters)
    return replace(weights, parameters=+parameters)


def _onnx(chosen: list[ModelFile], everything: list[ModelFile]) -> Weights:
    sizes = {file.path: file.size for file in everything}
    parameters: Counter[str] = Counter()
    size = sum(file.size for file in chosen)
    metadata: Mapping[str, Any] = {}
    external: set[str] = set()
    for file in chosen:
        header = onnx.read(file.local)
        parameters.update(header.parameters)
        metadata = metadata or header.metadata
        external |= {str(PurePosixPath(_folder(file.path)) / name) for name in header.external}
    size += sum(sizes.get(path, 0) for path in external)
    paths = tuple(sorted(file.path for file in chosen))
    return Weights("onnx", paths, size, +parameters, metadata, external=tuple(sorted(external)))


def quantization(weights: Weights, config: Mapping[str, Any]) -> str:
    """Return how the weights are stored, in the words of their format: `Q4_K_M`, `GPTQ INT4`, `BF16`; or empty."""
    if not weights.parameters:
        return ""
    dominant = max(sorted(weights.parameters), key=lambda kind: weights.parameters[kind])
    if weights.kind == "gguf":
        stated = gguf.file_type(weights.metadata.get("general.file_type"))
        return stated if stated.startswith(dominant) else dominant
    stated_config = config.get("quantization_config")
    method = stated_config.get("quant_method") if isinstance(stated_config, dict) else None
    if isinstance(method, str) and re.fullmatch(r"[\w-]{1,30}", method):
        return f"{method.upper()} {dominant}"
    return _NAMES.get(dominant, dominant)


_NAMES = {"FLOAT": "F32", "FLOAT16": "F16", "BFLOAT16": "BF16", "DOUBLE": "F64", "F8_E4M3": "FP8", "F8_E5M2": "FP8"}


def gigabytes(size: int) -> float:
    """Return bytes as gigabytes (10^9), rounded up to a tenth."""
    return math.ceil(size / 1e8) / 10
