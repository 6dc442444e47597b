"""The modules that `modules.json` lists, and the layers in their folders.

Not here: the work of the layers (sentence_layers), and a model's other files (sentence).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from weighbridge.errors import HandlerError
from weighbridge.handlers.sentence_files import below, read_json, read_object, refusal, refuse_unknown, shown_name
from weighbridge.handlers.sentence_layers import MODES, SENTENCE, TOKENS, Dense, Layer, LayerNorm, Normalize, Pooling

_POOLING = "1_Pooling"
_PACKAGE = "sentence_transformers."
#: The older names of poolings, in the order in which several of them are joined.
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    kind.__name__: kind
    for kind in (
        *(torch.nn.Identity, torch.nn.Tanh, torch.nn.ReLU, torch.nn.GELU, torch.nn.SiLU, torch.nn.Sigmoid),
        *(torch.nn.ELU, torch.nn.Mish, torch.nn.LeakyReLU, torch.nn.Softplus, torch.nn.ReLU6, torch.nn.Hardtanh),
    )
}


def read_modules(folder: Path) -> list[tuple[str, str]]:
    """Return the class and the folder of each module, in order; none where the model has no list."""
    if not (folder / "modules.json").exists():
        others = sorted(path.parent.name for path in folder.glob("[0-9]_*/config.json") if path.parent.name != _POOLING)
        if others:
            raise refusal(
                "modules.json", f"is missing, and {others[0][:100]} is there", "its place among the steps is unknown"
            )
        return [("Transformer", ""), ("Pooling", _POOLING)] if (folder / _POOLING).is_dir() else []
    listed, modules = read_json(folder / "modules.json"), []
    if not isinstance(listed, list) or not all(isinstance(module, dict) for module in listed):
        raise refusal("modules.json", "is not a list of modules")
    for module in listed:
        refuse_unknown("modules.json", module, {"idx", "name", "path", "type", "kwargs"})
        kind, path = module.get("type"), module.get("path", "")
        if not isinstance(kind, str) or not isinstance(path, str):
            raise refusal("modules.json", "has a module without a type or a path")
        if not kind.startswith(_PACKAGE):
            raise refusal("modules.json", f"names {ascii(kind)[:100]}", "that is code of the model")
        if module.get("kwargs"):
            raise refusal("modules.json", f"has kwargs for {kind.rpartition('.')[2][:40]}")
        modules.append((kind.rpartition(".")[2], path))
    return modules


def read_layer(folder: Path, kind: str, path: str, pooling: str) -> Layer | None:
    """Return the layer of a module; None for a module without effect in inference, such as dropout."""
    place = below(folder, path)
    if kind == "Pooling":
        return _pooling(place, pooling)
    if kind == "Dense":
        return _dense(place)
    if kind == "Normalize":
        said = read_object(place / "config.json")
        refuse_unknown(shown_name(place), said, {"module_input_name", "module_output_name"})
        return Normalize(*_values(place, said))
    if kind == "LayerNorm":
        said = read_object(place / "config.json")
        refuse_unknown(shown_name(place), said, {"dimension"})
        with _Loading(place):
            weights = load_file(place / "model.safetensors")
            norm = torch.nn.LayerNorm(weights["norm.weight"].shape[0])
            norm.load_state_dict({key.removeprefix("norm."): value.float() for key, value in weights.items()})
            return LayerNorm(norm)
    if kind == "Dropout":
        return None
    raise refusal("modules.json", f"has the module {ascii(kind)[:40]}")


def _pooling(place: Path, wanted: str) -> Pooling:
    said = read_object(place / "config.json")
    if not said and not wanted:
        raise refusal(shown_name(place), "is missing or empty", "name `pooling:` in models.yaml")
    known = {"pooling_mode", "include_prompt", *_OLD_MODES, "embedding_dimension", "word_embedding_dimension"}
    if wanted:  # Its own modes, known or not, do not apply then.
        known |= {key for key in said if key.startswith("pooling_mode")}
    refuse_unknown(shown_name(place), said, known)
    include = said.get("include_prompt", True)
    if not isinstance(include, bool):
        raise refusal(shown_name(place), f"says include_prompt: {ascii(include)[:40]}")
    if wanted:
        return Pooling((wanted,), include)
    listed = said.get("pooling_mode")
    if listed is None:
        listed = [mode for key, mode in _OLD_MODES.items() if said.get(key)] or ["mean"]
    modes = [listed] if isinstance(listed, str) else listed
    if not isinstance(modes, list) or not modes or not all(mode in MODES for mode in modes):
        raise refusal(shown_name(place), f"pools by {ascii(listed)[:100]}", "name `pooling:` in models.yaml")
    return Pooling(modes, include)


def _dense(place: Path) -> Dense:
    said = read_object(place / "config.json")
    refuse_unknown(
        shown_name(place),
        said,
        {
            *("in_features", "out_features", "bias", "activation_function", "use_residual"),
            *("module_input_name", "module_output_name"),
        },
    )
    named = str(said.get("activation_function", "torch.nn.modules.activation.Tanh"))
    activation = _ACTIVATIONS.get(named.rpartition(".")[2]) if named.startswith("torch.nn.") else None
    if activation is None:
        raise refusal(shown_name(place), f"names the activation {ascii(named)[:100]}")
    reads, writes = _values(place, said)
    with _Loading(place):
        weights = {key: value.float() for key, value in load_file(place / "model.safetensors").items()}
        linear = _linear(weights, "linear")
        residual: torch.nn.Module | None = None
        if said.get("use_residual"):
            same = linear.in_features == linear.out_features
            residual = torch.nn.Identity() if same else _linear(weights, "residual")
        if weights:
            raise ValueError(f"there are weights {', '.join(sorted(weights))[:100]} in addition")
        return Dense(linear, activation(), residual=residual, reads=reads, writes=writes)


def _linear(weights: dict[str, torch.Tensor], name: str) -> torch.nn.Linear:
    """Return a layer from the weights of a name, which are removed from `weights`."""
    matrix, bias = weights.pop(f"{name}.weight"), weights.pop(f"{name}.bias", None)
    layer = torch.nn.Linear(matrix.shape[1], matrix.shape[0], bias=bias is not None)
    layer.load_state_dict({"weight": matrix} | ({} if bias is None else {"bias": bias}))
    return layer


def _values(place: Path, said: dict[str, Any]) -> tuple[str, str]:
    """Return the names of the values that a module reads and writes."""
    reads = said.get("module_input_name") or SENTENCE
    writes = said.get("module_output_name") or reads
    for name in (reads, writes):
        if name not in (TOKENS, SENTENCE):
            raise refusal(shown_name(place), f"reads or writes {ascii(name)[:40]}")
    return reads, writes


class _Loading:
    """Converts every exception of a module's hostile files to a HandlerError."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception):
            raise HandlerError(
                f"The layer {shown_name(self._place)} cannot be loaded: {type(error).__name__}: {str(error)[:200]}.",
                "Its weights have to be whole, and in safetensors.",
            ) from error
