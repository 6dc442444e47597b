"""ModelPack images: every file of a version is a layer, with its path, in the types of the CNCF's model-spec.

oras, skopeo, crane, modctl, containerd and `docker model pull` read this form
(https://github.com/modelpack/model-spec). Of several models in GGUF, a client gets one, and the files beside it. Not
here: the form for Ollama (intake.ollama_images).
"""

from __future__ import annotations

import re

from weighbridge.domain.format_names import ROLES, WEIGHTS_FORMATS, named_format
from weighbridge.domain.gguf_names import GgufFile, gguf_files, projector
from weighbridge.domain.version import ModelVersion
from weighbridge.intake.oci_images import Draft, Image, compact

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
_LAYER = "application/vnd.cncf.model.{}.v1.raw"
#: The annotations by which oras and ModelPack's clients name the file of a layer.
_TITLE, _PATH = "org.opencontainers.image.title", "org.cncf.model.filepath"
_PAPERS = re.compile(r"(licen[cs]e|notice|copying|usage_policy|use_policy|acceptable_use)([._-].*)?", re.IGNORECASE)
#: What the configuration calls the format of weights; the first one that there is counts.
_FORMATS = {".gguf": "gguf", ".safetensors": "safetensors", ".onnx": "onnx", ".dduf": "dduf"}


def modelpack_image(version: ModelVersion, chosen: GgufFile | None) -> Image:
    """Return a version as an image of ModelPack.

    Args:
        version: the version.
        chosen: the one of its models in GGUF that is wanted, whose siblings are left out; None for every file.
    """
    paths = _paths(version, chosen)
    draft = Draft(version)
    for path in paths:
        draft.add_file(_layer_type(path), path, annotations={_TITLE: path, _PATH: path})
    config = {
        "descriptor": {"name": version.name, "version": version.version},
        "modelfs": {"type": "layers", "diffIds": [layer["digest"] for layer in draft.layers]},
        "config": _described(paths, chosen),
    }
    annotations = {"org.opencontainers.image.title": version.name, "org.opencontainers.image.version": version.version}
    described = draft.blob(CONFIG, compact(config))
    return draft.image(MANIFEST, described, artifactType=ARTIFACT, annotations=annotations)


def _paths(version: ModelVersion, chosen: GgufFile | None) -> list[str]:
    """Return the paths of the image's files; those of a model in GGUF without the other ones and their projectors."""
    paths = list(version.manifest.by_path)
    if chosen is None:
        return paths
    eyes = projector(paths)
    others = {path for path in paths if path.lower().endswith(".gguf")} - {*chosen.paths, eyes}
    return [path for path in paths if path not in others]


def _described(paths: list[str], chosen: GgufFile | None) -> dict[str, str]:
    found = next(
        (word for ending, word in _FORMATS.items() if any(path.lower().endswith(ending) for path in paths)), ""
    )
    words = {"format": found, "quantization": chosen.quantisation if chosen else _only_quantisation(paths)}
    return {name: word for name, word in words.items() if word}


def _only_quantisation(paths: list[str]) -> str:
    files = gguf_files(paths)
    return files[0].quantisation if len(files) == 1 else ""


def _layer_type(path: str) -> str:
    kind = named_format(path)
    if kind == "markdown" or _PAPERS.fullmatch(path.rpartition("/")[2]):
        return _LAYER.format("doc")
    if kind in WEIGHTS_FORMATS:
        return _LAYER.format("weight")
    return _LAYER.format("code" if ROLES.get(kind) in ("code", "program") else "weight.config")
