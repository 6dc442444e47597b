"""Images: a version of a model as clients of OCI registries get it, the bytes of a manifest and what it names.

There are two forms. Ollama's has one GGUF with its template and parameters (intake.ollama_images), and that of the
ModelPack specification has each file as a layer (intake.modelpack_images). The same version has the same bytes always.
Not here: which image a tag means (intake.pulling).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.version import ModelVersion

#: The two forms of an image.
Form = Literal["ollama", "modelpack"]
FORMS: tuple[Form, ...] = ("ollama", "modelpack")


@dataclass(frozen=True)
class Image:
    """A version in one form.

    Attributes:
        media_type: of the manifest.
        content: the manifest's bytes.
        made: blobs that are no file of the version, by digest.
    """

    media_type: str
    content: bytes
    made: Mapping[Digest, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> Digest:
        """The manifest's digest."""
        return Digest.sha256(self.content)


@dataclass
class Draft:
    """An image that is being put together.

    Attributes:
        version: of which it is.
        layers: descriptors of its layers so far.
        made: blobs that are no file of the version.
    """

    version: ModelVersion
    layers: list[dict[str, Any]] = field(default_factory=list)
    made: dict[Digest, bytes] = field(default_factory=dict)

    def add_file(self, media_type: str, path: str, **more: Any) -> None:
        """Add a file of the version as a layer."""
        self.layers.append(descriptor(media_type, self.version.manifest.by_path[path], **more))

    def add_made(self, media_type: str, content: bytes) -> None:
        """Add a layer that is made for the image."""
        self.layers.append(self.blob(media_type, content))

    def blob(self, media_type: str, content: bytes) -> dict[str, Any]:
        """Keep a blob that is made for the image, and return its descriptor."""
        digest = Digest.sha256(content)
        self.made[digest] = content
        return {"mediaType": media_type, "digest": str(digest), "size": len(content)}

    def image(self, media_type: str, config: Mapping[str, Any], **more: Any) -> Image:
        """Return the image with the descriptor of its configuration, and further fields of its manifest."""
        content = {"schemaVersion": 2, "mediaType": media_type, **more, "config": config, "layers": self.layers}
        return Image(media_type, compact(content), self.made)


def descriptor(media_type: str, entry: FileEntry, **more: Any) -> dict[str, Any]:
    """Return how a manifest names a file."""
    return {"mediaType": media_type, "digest": str(entry.digest), "size": entry.size, **more}


def compact(document: Any) -> bytes:
    """Return JSON without spaces, in ASCII: the same document has the same bytes."""
    return json.dumps(document, separators=(",", ":")).encode()
