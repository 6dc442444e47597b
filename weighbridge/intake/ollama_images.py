"""Ollama images: what `ollama pull` gets of a version, in the types of layers that Ollama knows.

A version that came from Ollama has its own layers. Of any other one it is a model in GGUF with its projector, a chat
template and its stop words, and the licence, as the Hugging Face Hub has it for Ollama: files named `template`,
`system` and `params` beside the model count before what its header says. Not here: the form for other clients
(intake.modelpack_images).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from weighbridge.domain.gguf_names import GgufFile, projector
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import UsageError, WeighbridgeError
from weighbridge.intake.gguf_facts import GgufFacts
from weighbridge.intake.oci_images import Draft, Image, compact, descriptor
from weighbridge.sources.ollama_layers import CONFIG as OWN_CONFIG
from weighbridge.sources.ollama_layers import layers_of
from weighbridge.sources.ollama_modelfile import NAME as MODELFILE
from weighbridge.store.interface import BlobStore

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.ollama.image."
#: The most bytes of a text that becomes a layer.
_MOST_TEXT = 1024**2
#: Files beside the model that are a layer as they are.
_TEXTS = ("template", "system")
_PARAMETERS = "params"
_LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE")
_KIND = "ollama"


def is_ollamas(version: ModelVersion) -> bool:
    """Return whether a version came from Ollama, with the configuration that its layers need."""
    try:
        return OWN_CONFIG in version.manifest.by_path and ModelRef.parse(version.source).kind == _KIND
    except WeighbridgeError:  # The source was a plug-in's, which is not installed any more.
        return False


def own_image(version: ModelVersion) -> Image:
    """Return a version that came from Ollama with its own layers."""
    draft = Draft(version)
    files = version.manifest.by_path
    for layer in layers_of(entry for path, entry in files.items() if path not in (OWN_CONFIG, MODELFILE)):
        more = {"name": layer.name} if layer.name else {}
        draft.layers.append({"mediaType": layer.media_type, "digest": str(layer.digest), "size": layer.size, **more})
    return draft.image(MANIFEST, descriptor(_CONFIG, files[OWN_CONFIG]))


def refuse_parts(chosen: GgufFile) -> None:
    """Refuse a model in several files. Raises UsageError."""
    if chosen.is_split:
        raise UsageError(
            f"{chosen.paths[0]} is one of {len(chosen.paths)} parts of a model, and Ollama pulls no model in parts.",
            "Name another tag, or fetch it with another client and merge it: llama-gguf-split --merge.",
        )


def gguf_image(version: ModelVersion, chosen: GgufFile, facts: GgufFacts, store: BlobStore) -> Image:
    """Return a model in one file of GGUF as Ollama gets it.

    Args:
        version: the version.
        chosen: the model.
        facts: what its header says.
        store: has the files beside it.

    Raises:
        BlobMissing: a file beside it is not in the store.
    """
    draft, files = Draft(version), version.manifest.by_path
    draft.add_file(f"{_LAYER}model", chosen.paths[0])
    if eyes := projector(files):
        draft.add_file(f"{_LAYER}projector", eyes)
    _add_chat(draft, facts, store)
    if licence := next((path for path in _LICENCES if _is_text(version, path)), ""):
        draft.add_file(f"{_LAYER}license", licence)
    config = {
        "model_format": "gguf",
        "model_family": facts.architecture,
        "model_families": [facts.architecture] if facts.architecture else [],
        "model_type": human_number(facts.parameters),
        "file_type": chosen.quantisation or facts.file_type,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in draft.layers]},
    }
    return draft.image(MANIFEST, draft.blob(_CONFIG, compact(config)))


def human_number(number: int) -> str:
    """Return a number of weights as Ollama shows it: `134.52M`, `8.0B`, `8B`."""
    for unit, size, digits in (("B", 10**9, 1), ("M", 10**6, 2), ("K", 10**3, 0)):
        if number >= size:
            return f"{number / size:.{0 if number % size == 0 else digits}f}{unit}"
    return str(number)


def _add_chat(draft: Draft, facts: GgufFacts, store: BlobStore) -> None:
    """Add template, system prompt and parameters: the files of these names, else what the chat format says."""
    for name in _TEXTS:
        if _is_text(draft.version, name):
            draft.add_file(f"{_LAYER}{name}", name)
        elif name == "template" and facts.chat is not None:
            draft.add_made(f"{_LAYER}template", facts.chat.template.encode())
    if isinstance(_json(draft.version, _PARAMETERS, store), Mapping):
        draft.add_file(f"{_LAYER}params", _PARAMETERS)
    elif facts.chat is not None and not _is_text(draft.version, "template"):
        draft.add_made(f"{_LAYER}params", compact({"stop": list(facts.chat.stop)}))


def _is_text(version: ModelVersion, path: str) -> bool:
    entry = version.manifest.by_path.get(path)
    return entry is not None and (entry.size or 0) <= _MOST_TEXT


def _json(version: ModelVersion, path: str, store: BlobStore) -> Any:
    """Return what a file has as JSON; None for none."""
    entry = version.manifest.by_path.get(path)
    if entry is None or entry.digest is None or not _is_text(version, path):
        return None
    with store.open(entry.digest) as file:
        try:
            return json.load(file)
        except (ValueError, RecursionError):
            return None
