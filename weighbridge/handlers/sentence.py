"""What a model in the form of sentence-transformers says of itself: how it pools, what comes after, how long texts are.

`modules.json` lists what a text goes through: a transformer, a pooling, dense layers, a normalization. Whoever has no
such file says nothing. Not here: the vectors themselves (embedding).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from weighbridge.domain.paths import safe_path
from weighbridge.errors import HandlerError, UnsafePath

_POOLING = "1_Pooling"
_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
_NAMED = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
_ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    "Identity": torch.nn.Identity,
    "Tanh": torch.nn.Tanh,
    "ReLU": torch.nn.ReLU,
    "GELU": torch.nn.GELU,
}


@dataclass(frozen=True)
class Sentence:
    """What a model says of the way from a text to its vector.

    Attributes:
        stated: whether it says anything, so whether it was made for embedding.
        pooling: `mean`, `cls`, `last`, or empty where nothing is said.
        dense: the layers that pooled vectors go through.
        normalizes: whether vectors are of length 1.
        max_tokens: of a text, or None.
    """

    stated: bool
    pooling: str
    dense: tuple[torch.nn.Module, ...]
    normalizes: bool
    max_tokens: int | None


def read_sentence(folder: Path, pooling: str = "") -> Sentence:
    """Read a model's own words.

    Args:
        folder: of its files.
        pooling: what counts instead of its own.

    Raises:
        HandlerError: it goes through something that is not done here.
    """
    listed = _json(folder / "modules.json")
    modules = [module for module in listed if isinstance(module, dict)] if isinstance(listed, list) else []
    stated = bool(modules) or (folder / _POOLING).is_dir()
    if not any(_kind(module) == "Pooling" for module in modules):
        modules.append({"type": "Pooling", "path": _POOLING})
    dense, normalizes = [], False
    for module in modules:
        kind, path = _kind(module), str(module.get("path", ""))
        if kind == "Pooling":
            pooling = pooling or _pooling(folder, path)
        elif kind == "Dense":
            dense.append(_dense(folder, path))
        elif kind == "Normalize":
            normalizes = True
        elif kind != "Transformer":
            raise HandlerError(f"The model puts texts through {kind[:40]}, which is not done here.", "Choose another.")
    limits = _json(folder / "sentence_bert_config.json")
    length = limits.get("max_seq_length") if isinstance(limits, dict) else None
    return Sentence(stated, pooling, tuple(dense), normalizes, length if isinstance(length, int) else None)


def _kind(module: dict[str, Any]) -> str:
    return str(module.get("type", "")).rpartition(".")[2]


def _pooling(folder: Path, name: str) -> str:
    said = _json(_below(folder, name) / "config.json")
    if not isinstance(said, dict):
        return ""
    chosen = [pooling for key, pooling in _POOLINGS.items() if said.get(key) is True]
    if isinstance(said.get("pooling_mode"), str):
        others = [said["pooling_mode"]]
        chosen = [_NAMED[others[0]]] if others[0] in _NAMED else []
    else:
        others = [key for key, on in said.items() if key.startswith("pooling_mode_") and on is True]
    if len(others) > 1 or (others and not chosen):
        raise HandlerError(
            f"The model pools by {', '.join(others)[:200]}, which is not done here.", "Name `pooling:` in models.yaml."
        )
    return chosen[0] if chosen else ""


def _dense(folder: Path, name: str) -> torch.nn.Module:
    place = _below(folder, name)
    said = _json(place / "config.json")
    activation = str(said.get("activation_function", "") if isinstance(said, dict) else "").rpartition(".")[2]
    try:
        weights = load_file(place / "model.safetensors")
        matrix = weights["linear.weight"].float()
        layer = torch.nn.Linear(matrix.shape[1], matrix.shape[0], bias="linear.bias" in weights)
        layer.load_state_dict({key.removeprefix("linear."): value.float() for key, value in weights.items()})
        return torch.nn.Sequential(layer, _ACTIVATIONS[activation]()).eval()
    except Exception as error:  # hostile files make loaders raise anything
        raise HandlerError(
            f"The dense layer {name[:100]} cannot be loaded: {type(error).__name__}: {str(error)[:200]}.",
            "It has to lie in safetensors, with a plain activation.",
        ) from error


def _below(folder: Path, name: str) -> Path:
    try:
        return folder / safe_path(name)
    except UnsafePath as error:
        raise HandlerError("The model's modules.json names a path that leaves its folder.", "Do not use it.") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
