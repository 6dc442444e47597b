"""Models loaded by transformers from local files: never a download; their code and pickles only where allowed.

The handlers of transformers use it. Not here: running the model, and the permissions (domain.policy).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from weighbridge.domain.gguf_names import first_part
from weighbridge.errors import HandlerError, InvalidConfiguration, OutOfMemory
from weighbridge.handlers.interface import Device
from weighbridge.handlers.split_gguf import whole_sizes

#: Options of models.yaml that every model of transformers takes.
OPTIONS = ("dtype", "gguf_file")
#: Types that weights may be loaded in; `auto` keeps their own.
DTYPES = ("auto", "float32", "float16", "bfloat16")
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_ADAPTER = "adapter_config.json"
_WEIGHTS_SHOWN = 3
#: Bytes of the smallest type for computation; smaller types need scales.
_HALF_SIZE = 2


@dataclass(frozen=True)
class Place:
    """The place of a model's files, and the permissions for them.

    Attributes:
        folder: the folder of its files.
        name: the model's name, for messages.
        gguf: the name of the GGUF file to load, or empty for safetensors.
        pickled: whether its weights are a pickle that may be loaded: only its tensors and plain values, never code.
        trusted: whether the model's own code may run.
        dtype: the type to load weights in, one of `DTYPES`.
        converted: the folder of converted GGUF, or None for none.
    """

    folder: Path
    name: str
    gguf: str = ""
    pickled: bool = False
    trusted: bool = False
    dtype: str = "auto"
    converted: Path | None = None


def locate(model: str, cache_dir: str | None, options: Mapping[str, Any]) -> Place:
    """Return the place of a model: a folder, or a repository in a Hugging Face cache.

    Args:
        model: the path of the folder, or the name of the repository.
        cache_dir: the cache; huggingface_hub's default when None.
        options: a handler's: `name`, `dtype`, `gguf_file`; and those of the caller: `trust_remote_code`, `allow_pickle`
            (only where a policy allows them for these very bytes), `converted` (a folder).

    Raises:
        InvalidConfiguration: there is no such type or GGUF file.
        HandlerError: it is not on this machine, or has no weights that can be loaded.
    """
    folder, name = model_folder(model, cache_dir), str(options.get("name") or model)
    if (folder / _ADAPTER).exists():  # transformers ignores adapters silently where peft is not installed.
        raise HandlerError(
            f"{name} is an adapter for another model, or has one beside its weights: {_ADAPTER}.",
            "Its publisher has to merge them.",
        )
    dtype, converted = options.get("dtype") or "auto", options.get("converted")
    if dtype not in DTYPES:
        raise InvalidConfiguration(f"There is no dtype “{dtype}”.", f"Write one of {', '.join(DTYPES)}.")
    gguf = _gguf(folder, options.get("gguf_file") or "")
    pickled = not gguf and not any(folder.glob("*.safetensors"))
    if pickled and not (options.get("allow_pickle") and any((folder / name).exists() for name in _PICKLES)):
        raise HandlerError(
            f"{name} has no weights in safetensors or GGUF.",
            "A pickle may run code when it is loaded: `loading` in policy.yaml permits single ones.",
            model=model,
        )
    trusted = bool(options.get("trust_remote_code"))
    return Place(folder, name, gguf, pickled, trusted, dtype, Path(converted) if converted else None)


def model_folder(model: str, cache_dir: str | None) -> Path:
    """Return the folder of a model's files: the named one, or a repository's in a Hugging Face cache.

    Raises:
        HandlerError: it is not on this machine.
    """
    if Path(model).is_dir():
        return Path(model)
    try:
        return Path(snapshot_download(model, cache_dir=cache_dir, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise HandlerError(
            f"{model} is not on this machine.", f"Load it with MODELS={model} weighbridge preload.", model=model
        ) from error


def load_model(auto: Any, place: Place, device: Device, *, spare: tuple[str, ...] = ()) -> Any:
    """Load weights onto a device and return the model, ready for inference.

    Args:
        auto: one of transformers' Auto classes.
        place: the place of the files.
        device: the device for the weights.
        spare: prefixes of weights that are not needed.

    Raises:
        HandlerError: it is not a model for this class.
        OutOfMemory: the device is too small.
    """
    options: dict[str, Any] = {"dtype": place.dtype, "use_safetensors": not place.pickled}
    if place.pickled:
        options["weights_only"] = True
    if place.gguf:
        from transformers import GgufConfig

        options = {"dtype": "bfloat16" if place.dtype == "auto" else place.dtype, "gguf_file": place.gguf}
        options["quantization_config"] = GgufConfig(dequantize=True)
    with loading(place, str(device)):
        model, told = auto.from_pretrained(
            place.folder, local_files_only=True, trust_remote_code=place.trusted, output_loading_info=True, **options
        )
        missing = sorted(name for name in told["missing_keys"] if not name.startswith(spare))
        if missing:
            some = ", ".join(missing[:_WEIGHTS_SHOWN]) + (" …" if len(missing) > _WEIGHTS_SHOWN else "")
            raise HandlerError(
                f"{place.name} lacks weights that {type(model).__name__} has: {some}.",
                "It is made for another task, or is incomplete: name the handler of its task.",
            )
        _unify(model, place)
        return model.to(device).eval()


def load_processor(auto: Any, place: Place, **options: Any) -> Any:
    """Return a tokenizer, a processor or a feature extractor. Raises HandlerError."""
    if place.gguf and not (place.folder / "tokenizer.json").exists():
        options["gguf_file"] = place.gguf
    with loading(place, "the processor"):
        return auto.from_pretrained(place.folder, local_files_only=True, trust_remote_code=place.trusted, **options)


@contextmanager
def loading(place: Place, device: str) -> Iterator[None]:
    """Convert every exception of loading untrusted files to our errors."""
    try:
        yield
    except HandlerError:
        raise
    except Exception as error:  # loaders may raise anything for hostile files
        refuse_memory(error, device)
        raise HandlerError(
            f"{place.name} cannot be loaded: {type(error).__name__}: {str(error)[:300]}.",
            "Check that the model is complete, and that the handler fits its task.",
        ) from error


def refuse_memory(error: Exception, device: str) -> None:
    """Raise OutOfMemory when an exception means that; torch has a class of its own for each device."""
    words = str(error).lower()
    if isinstance(error, MemoryError) or "outofmemory" in type(error).__name__.lower() or "out of memory" in words:
        raise OutOfMemory(
            f"The memory of {device} is too small.",
            "Choose a smaller or quantized model, shorter texts, a smaller batch, or a larger device.",
            device=device,
        ) from error


def _unify(model: Any, place: Place) -> None:
    """Convert all weights to one type where transformers dequantized only some of them."""
    config = place.folder / "config.json"
    if place.gguf or not config.is_file() or b'"quantization_config"' not in config.read_bytes():
        return
    weights = list(model.named_parameters())
    if any(weight.itemsize < _HALF_SIZE or not weight.is_floating_point() for _, weight in weights):
        return  # transformers works with mixed types here.
    spared = {*(model._keep_in_fp32_modules or ()), *(model._keep_in_fp32_modules_strict or ())}
    for name, weight in weights:
        if not spared.intersection(name.split(".")):
            weight.data = weight.data.to(model.config.dtype)


def _gguf(folder: Path, wanted: str) -> str:
    """Return the GGUF file to load: the smallest of several quantizations, the first of its parts; empty for none."""
    found = {path.name: path.stat().st_size for path in sorted(folder.glob("*.gguf"))}
    if wanted:
        if wanted not in found:
            known = ", ".join(found) or "none"
            raise InvalidConfiguration(f"The model has no GGUF file “{wanted}”.", f"It has {known}.")
        return first_part(wanted)
    if any(folder.glob("*.safetensors")):
        return ""
    # mmproj files are vision projectors, not language models.
    sizes = whole_sizes({name: size for name, size in found.items() if not name.startswith("mmproj")})
    return min(sizes, key=lambda name: (sizes[name], name), default="")
