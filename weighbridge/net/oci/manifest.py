"""An image manifest of OCI or Docker: a configuration and layers, each with type, size and sha256.

Its bytes may be hostile; the format is https://github.com/opencontainers/image-spec/blob/main/manifest.md. Not here:
requesting it (oci.registry), and the roles of a model's layers (ollama_layers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weighbridge.domain.digest import Digest
from weighbridge.errors import ModelNotFound, SourceMisbehaved

MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
#: The types of indexes. They are accepted so that a registry does not choose a platform for us.
INDEX_TYPES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
MAX_MANIFEST = 4 * 1024**2
MAX_LAYERS = 16_384

_MediaType = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$")
]


@dataclass(frozen=True)
class Layer:
    """One blob of a manifest; `name` is Ollama's, for tensors and configuration files, unchecked."""

    media_type: str
    digest: Digest
    size: int
    name: str = ""


@dataclass(frozen=True)
class ImageManifest:
    """The content of a manifest; no two layers are equal."""

    config: Layer
    layers: tuple[Layer, ...]


class _Descriptor(BaseModel):
    model_config = ConfigDict(strict=True)

    media_type: _MediaType = Field(alias="mediaType")
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int = Field(ge=0, le=2**53)
    name: str = Field("", max_length=1024)

    def layer(self) -> Layer:
        return Layer(self.media_type, Digest.parse(self.digest), self.size, self.name)


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True)

    schema_version: int = Field(alias="schemaVersion", ge=2, le=2)
    media_type: _MediaType | None = Field(None, alias="mediaType")
    config: _Descriptor
    layers: list[_Descriptor] = Field(max_length=MAX_LAYERS)


def read_manifest(content: bytes, content_type: str, where: str) -> ImageManifest:
    """Return the manifest in a registry's bytes.

    1. Neither the response's type nor the content's own says that it is an index.
    2. The two types do not contradict each other, and the content is not both (CVE-2021-41190).
    3. Every field has its type and range; digests are sha256.
    4. One digest has one size everywhere.

    Args:
        content: the bytes as the registry sent them.
        content_type: that of the response, in lowercase; types other than manifests' are ignored.
        where: the model's name, for messages.

    Raises:
        ModelNotFound: it is an index.
        SourceMisbehaved: it is not a manifest.
    """
    try:
        kind = _Kind.model_validate_json(content)
        _refuse_index(kind, content_type, where)
        manifest = _Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:80]
        raise SourceMisbehaved(
            f"The manifest of {where} is invalid: {f'{place}: ' if place else ''}{first['msg'][:200]}.",
            "The model's publisher has to push it again, with ollama push.",
        ) from error
    declared = {kind for kind in (manifest.media_type, content_type) if kind in MANIFEST_TYPES}
    if len(declared) > 1 or (manifest.media_type and manifest.media_type not in MANIFEST_TYPES):
        raise SourceMisbehaved(
            f"The manifest of {where} names another type than the registry does, or an unknown one.",
            "The model's publisher has to push it again, with ollama push.",
        )
    config = manifest.config.layer()
    layers = tuple(dict.fromkeys(layer.layer() for layer in manifest.layers))
    sizes: dict[Digest, int] = {}
    for layer in (config, *layers):
        if sizes.setdefault(layer.digest, layer.size) != layer.size:
            raise SourceMisbehaved(f"The manifest of {where} names two sizes of {layer.digest}.")
    return ImageManifest(config, layers)


class _Kind(BaseModel):
    """The fields that distinguish an index from a manifest."""

    media_type: Any = Field(None, alias="mediaType")
    manifests: Any = None
    layers: Any = None


def _refuse_index(kind: _Kind, content_type: str, where: str) -> None:
    if kind.manifests is not None and kind.layers is not None:
        raise SourceMisbehaved(f"The manifest of {where} claims to be an index as well.")
    if kind.manifests is not None or kind.media_type in INDEX_TYPES or content_type in INDEX_TYPES:
        raise ModelNotFound(
            f"{where} is an index of images for several platforms, not an Ollama model.",
            "Name the digest of one of its manifests: ollama:name@sha256:…",
        )
