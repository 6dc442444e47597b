"""The layers of an Ollama model as the files of a folder; each layer is one file, and none is left out.

Media types are those of Ollama (server/images.go, manifest/layer.go). Layers of other types go below `layers/`, named
by their sha256; scanners and the policy judge them. Not here: the generated file (ollama_modelfile).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from weighbridge.domain.manifest import FileEntry
from weighbridge.errors import ModelNotFound, SourceMisbehaved
from weighbridge.net.oci.manifest import ImageManifest, Layer

_PREFIX = "application/vnd.ollama.image."


class Role(StrEnum):
    """The role of a layer in an Ollama model."""

    MODEL = "model"
    PROJECTOR = "projector"
    ADAPTER = "adapter"
    DRAFT = "draft"
    TEMPLATE = "template"
    SYSTEM = "system"
    PARAMS = "params"
    MESSAGES = "messages"
    LICENSE = "license"
    TENSOR = "tensor"
    JSON = "json"
    CONFIG = "config"
    OTHER = "other"


#: The file name of each role; further files of a role are numbered from 2.
_FILES = {
    Role.MODEL: "model.gguf",
    Role.PROJECTOR: "projector.gguf",
    Role.ADAPTER: "adapter.gguf",
    Role.DRAFT: "draft.gguf",
    Role.TEMPLATE: "template",
    Role.SYSTEM: "system",
    Role.PARAMS: "params.json",
    Role.MESSAGES: "messages.json",
    Role.LICENSE: "LICENSE",
}
#: Roles that a model has at most once; of several layers, Ollama would take the last.
_SINGLE = frozenset({Role.TEMPLATE, Role.SYSTEM, Role.PARAMS, Role.MESSAGES})
_ROLES = {f"{_PREFIX}{role}": role for role in (*_FILES, Role.TENSOR, Role.JSON)} | {f"{_PREFIX}prompt": Role.TEMPLATE}
#: The name of the configuration: transformers would read a `config.json` as its own.
CONFIG = "ollama.json"
#: Where the files are whose layers have no name of their own, and those of tensors.
_OTHERS, _TENSORS, _TENSOR_FILE = "layers/", "tensors/", ".safetensors"
_UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class LayerFile:
    """A layer and the path of its file, relative and unchecked."""

    path: str
    role: Role
    layer: Layer

    @property
    def entry(self) -> FileEntry:
        """Return the file with its declared size and sha256.

        Raises:
            UnsafePath: the layer's name is not safe.
        """
        return FileEntry(self.path, self.layer.size, self.layer.digest)


def layer_files(manifest: ImageManifest, where: str) -> tuple[LayerFile, ...]:
    """Return the files of a model in the order of its layers, the configuration last.

    Args:
        manifest: of the model.
        where: the model's name, for messages.

    Raises:
        ModelNotFound: no layer belongs to a model.
        SourceMisbehaved: there are two layers of a role that has one.
    """
    found = tuple(_placed(manifest))
    roles = Counter(file.role for file in found)
    double = sorted(role for role in _SINGLE if roles[role] > 1)
    if double:
        raise SourceMisbehaved(
            f"The manifest of {where} has {roles[double[0]]} different layers of the type {double[0]}, where Ollama "
            "has one.",
            "The model's publisher has to create it again, with ollama create.",
        )
    if not roles.keys() & set(_ROLES.values()):
        raise ModelNotFound(
            f"{where} is not an Ollama model: none of its layers has a type that Ollama knows.",
            "Check the name: registries keep containers and other things too.",
        )
    return found


def _placed(manifest: ImageManifest) -> Iterator[LayerFile]:
    counts: Counter[Role] = Counter()
    for layer in manifest.layers:
        role = _ROLES.get(layer.media_type, Role.OTHER)
        if role in (Role.TENSOR, Role.JSON) and not layer.name:
            role = Role.OTHER
        counts[role] += 1
        yield LayerFile(_path(role, layer, counts[role]), role, layer)
    yield LayerFile(CONFIG, Role.CONFIG, manifest.config)


def _path(role: Role, layer: Layer, number: int) -> str:
    if role is Role.TENSOR:
        return f"{_TENSORS}{layer.name}{_TENSOR_FILE}"
    if role is Role.JSON:
        return layer.name
    if role is Role.OTHER:
        return f"{_OTHERS}sha256-{layer.digest.hex}"
    name, dot, ending = _FILES[role].partition(".")
    return name + (f"-{number}" if number > 1 else "") + dot + ending


def layers_of(files: Iterable[FileEntry]) -> tuple[Layer, ...]:
    """Return the layers that files came from, in the order of `Role`: what `layer_files` does, the other way round.

    The configuration is none of them. A layer of a type that Ollama does not know has lost its type.
    """
    placed = []
    for entry in files:
        role, name, number = _origin(entry.path)
        assert entry.digest is not None, "a computed manifest has the digest of every file"
        media_type = _UNKNOWN_TYPE if role is Role.OTHER else f"{_PREFIX}{role}"
        layer = Layer(media_type, entry.digest, entry.size or 0, name)
        placed.append((list(Role).index(role), number, entry.path, layer))
    return tuple(layer for *_, layer in sorted(placed, key=lambda one: one[:3]))


def _origin(path: str) -> tuple[Role, str, int]:
    """Return the role of the layer that a file came from, its name, and its number among those of the role."""
    if path.startswith(_OTHERS):
        return Role.OTHER, "", 1
    if path.startswith(_TENSORS):
        return Role.TENSOR, path.removeprefix(_TENSORS).removesuffix(_TENSOR_FILE), 1
    for role, file in _FILES.items():
        name, dot, ending = file.partition(".")
        numbered = re.fullmatch(rf"{name}(?:-([0-9]+))?{re.escape(dot + ending)}", path)
        if numbered:
            return role, "", int(numbered[1] or 1)
    return Role.JSON, path, 1
