"""GGUF turned into safetensors once, and kept: reading GGUF takes transformers seconds for each 100 MB, each time.

What is kept stands for exactly these bytes, this type and this version of transformers; it appears in one step, can be
deleted at any time, and is known to no registry and no catalog. Not here: where that folder lies (domain.permits).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoTokenizer

from weighbridge.handlers.pretrained import Place, load_model, load_processor

_log = logging.getLogger(__name__)


def converted(place: Place, auto: Any) -> Place:
    """Return where a GGUF's model lies as safetensors, after converting it if that was not done yet.

    A place without GGUF, or without a folder for conversions, is returned as it is; so is one whose folder cannot be
    written, with a warning in the log.

    Args:
        place: where the GGUF lies.
        auto: the Auto class that will load it.

    Raises:
        HandlerError: it is no model for this class.
        OutOfMemory: the memory is too small.
    """
    if not place.gguf or place.converted is None:
        return place
    key = json.dumps([place.gguf, place.dtype, auto.__name__, transformers.__version__])
    target = place.converted / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not target.is_dir():
        tokenizer = load_processor(AutoTokenizer, place)
        model = load_model(auto, place, "cpu")
        try:
            _keep(target, model, tokenizer)
        except OSError as error:
            _log.warning("a converted model cannot be kept", extra={"folder": str(target), "reason": str(error)})
            return place
    return Place(target, place.name, trusted=place.trusted)


def _keep(target: Path, model: Any, tokenizer: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".arriving-", dir=target.parent, ignore_cleanup_errors=True) as name:
        folder = Path(name) / "model"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        try:
            os.rename(folder, target)
        except OSError:
            if not target.is_dir():  # Else another process was first, with the same.
                raise
