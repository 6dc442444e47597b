"""GGUF converted to safetensors once, and kept: transformers needs seconds for each 100 MB of GGUF, each time.

A conversion is valid for exactly these bytes, this type and this version of transformers; it appears in one step, can
be deleted at any time, and is in no registry and no catalog. Not here: the place of that folder (domain.permits).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoTokenizer

from weighbridge.domain.gguf_names import parts_of
from weighbridge.errors import HandlerError
from weighbridge.handlers.pretrained import Place, load_model, load_processor, loading
from weighbridge.handlers.split_gguf import merge
from weighbridge.system.claimed_folders import claimed

_log = logging.getLogger(__name__)
_MERGED = "merged.gguf"


def converted(place: Place, auto: Any) -> Place:
    """Return the place of a GGUF's model as safetensors; convert it first unless that was done before.

    A place without GGUF, or without a folder for conversions, is returned as it is; so is one whose folder cannot be
    written, with a warning in the log.

    Args:
        place: the place of the GGUF.
        auto: the Auto class that will load it.

    Raises:
        HandlerError: it is not a model for this class.
        OutOfMemory: the memory is too small.
    """
    if not place.gguf or place.converted is None:
        return place
    key = json.dumps([place.gguf, place.dtype, auto.__name__, transformers.__version__])
    target = place.converted / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not target.is_dir():
        with merged(place) as whole:
            tokenizer = load_processor(AutoTokenizer, whole)
            model = load_model(auto, whole, "cpu")
        try:
            _keep(target, model, tokenizer)
        except OSError as error:
            _log.warning("a converted model cannot be kept", extra={"folder": str(target), "reason": str(error)})
            return place
    return Place(target, place.name, trusted=place.trusted)


@contextmanager
def merged(place: Place) -> Iterator[Place]:
    """Yield a place whose GGUF is one file; that of a split one is removed with the context.

    Raises:
        HandlerError: a part is missing, or is not a GGUF.
    """
    parts = parts_of(place.gguf)
    if len(parts) < 2:
        yield place
        return
    missing = [name for name in parts if not (place.folder / name).is_file()]
    if missing:
        raise HandlerError(
            f"{place.name} lacks {len(missing)} of the {len(parts)} parts of its GGUF, such as {missing[0]}.",
            "Take in all of its parts.",
        )
    # The folder is beside the conversions, as /tmp may be in memory and too small for a model.
    kept = place.converted.parent if place.converted else None
    with claimed(kept if kept and kept.is_dir() else Path(tempfile.gettempdir()), ".merging-") as folder:
        for file in place.folder.iterdir():
            if file.suffix != ".gguf":
                (folder / file.name).symlink_to(file.resolve())
        with loading(place, "the disk"):
            merge([place.folder / part for part in parts], folder / _MERGED)
        yield replace(place, folder=folder, gguf=_MERGED)


def _keep(target: Path, model: Any, tokenizer: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with claimed(target.parent, ".arriving-") as arriving:
        folder = arriving / "model"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        try:
            os.rename(folder, target)
        except OSError:
            if not target.is_dir():  # Otherwise another process has written the same conversion.
                raise
