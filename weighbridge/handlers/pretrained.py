"""Models loaded by transformers from this machine's files: never a download, never their code, never a pickle.

Used by the handlers that transformers runs. Not here: what is done with the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from weighbridge.errors import HandlerError, OutOfMemory
from weighbridge.handlers.interface import Device


@dataclass(frozen=True)
class Place:
    """Where a model's files lie.

    Attributes:
        folder: all of its files.
        gguf: name of the GGUF file to load, or empty for safetensors.
    """

    folder: Path
    gguf: str = ""

    @property
    def _gguf(self) -> dict[str, str]:
        return {"gguf_file": self.gguf} if self.gguf else {}


def locate(model: str, cache_dir: str | None) -> Place:
    """Find a model: a folder, or a repository in a Hugging Face cache.

    Raises:
        HandlerError: it is not on this machine, or holds no weights that are loaded here.
    """
    folder = Path(model)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(model, cache_dir=cache_dir, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError) as error:
            raise HandlerError(
                f"{model} is not on this machine.", f"Bring it here: MODELS={model} weighbridge preload.", model=model
            ) from error
    if any(folder.glob("*.safetensors")):
        return Place(folder)
    found = sorted(folder.glob("*.gguf"), key=lambda path: (path.stat().st_size, path.name))
    if found:
        return Place(folder, found[0].name)
    raise HandlerError(
        f"{model} has no weights in safetensors or GGUF.",
        "Other formats may run code when they are loaded, so they are not.",
        model=model,
    )


def load_model(auto: Any, place: Place, device: Device, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """Load weights onto a device, ready to infer.

    Args:
        auto: one of transformers' Auto classes.
        place: where the files lie.
        device: where the weights go.
        trust_remote_code: whether the model's own code may run; only where a policy allows it for these very bytes.
        options: further ones of `from_pretrained`, such as `dtype`.

    Raises:
        HandlerError: it is no model for this class.
        OutOfMemory: the device is too small.
    """
    if place.gguf:
        import torch
        from transformers import GgufConfig

        options = {"dtype": torch.bfloat16, **options, "quantization_config": GgufConfig(dequantize=True)}
        options["gguf_file"] = place.gguf
    else:
        options = {"dtype": "auto", **options, "use_safetensors": True}
    with loading(place, str(device)):
        model = auto.from_pretrained(
            place.folder, local_files_only=True, trust_remote_code=trust_remote_code, **options
        )
        return model.to(device).eval()


def load_processor(auto: Any, place: Place, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """Load a tokenizer, a processor or a feature extractor. Raises HandlerError."""
    if place.gguf and not (place.folder / "tokenizer.json").exists():
        options["gguf_file"] = place.gguf
    with loading(place, "the processor"):
        return auto.from_pretrained(place.folder, local_files_only=True, trust_remote_code=trust_remote_code, **options)


@contextmanager
def loading(place: Place, device: str) -> Iterator[None]:
    """Turn whatever loading a stranger's files raises into our errors."""
    try:
        yield
    except Exception as error:
        refuse_memory(error, device)
        raise HandlerError(
            f"{place.folder.name} cannot be loaded: {type(error).__name__}: {str(error)[:300]}.",
            "Check that it is a whole model, and that the handler fits its task.",
        ) from error


def refuse_memory(error: Exception, device: str) -> None:
    """Raise OutOfMemory when that is what an exception says; torch has a kind of its own for each device."""
    words = str(error).lower()
    if isinstance(error, MemoryError) or "outofmemory" in type(error).__name__.lower() or "out of memory" in words:
        raise OutOfMemory(
            f"The memory of {device} is too small.",
            "Choose a smaller or quantized model, shorter texts, a smaller batch, or a larger device.",
            device=device,
        ) from error
