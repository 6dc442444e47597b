from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.ociregistry import CONFIG, DOCKER_MANIFEST, Blob, manifest
from weighbridge.errors import ModelNotFound, SourceMisbehaved
from weighbridge.net.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, MAX_LAYERS, ImageManifest, read_manifest

MODEL = Blob.of("model", b"GGUF")
OCI = MANIFEST_TYPES[1]


def read(content: bytes | dict[str, Any], content_type: str = DOCKER_MANIFEST) -> ImageManifest:
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_manifest(content, content_type, "the model")


def changed(**fields: Any) -> dict[str, Any]:
    """Return a good manifest with other fields; None takes one away."""
    content: dict[str, Any] = json.loads(manifest([MODEL])) | fields
    return {key: value for key, value in content.items() if value is not None}


def descriptor(**fields: Any) -> dict[str, Any]:
    return MODEL.descriptor | fields


def test_layers_have_type_digest_size_and_name() -> None:
    named = Blob.of("tensor", b"1", name="a.weight")
    found = read(manifest([MODEL, named]))
    assert [(layer.media_type, str(layer.digest), layer.size, layer.name) for layer in found.layers] == [
        (MODEL.media_type, MODEL.digest, 4, ""),
        (named.media_type, named.digest, 1, "a.weight"),
    ]
    assert str(found.config.digest) == CONFIG.digest


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [(DOCKER_MANIFEST, DOCKER_MANIFEST), (OCI, OCI), (OCI, None), ("text/plain", DOCKER_MANIFEST), ("", None)],
)
def test_types_that_say_the_same(content_type: str, media_type: str | None) -> None:
    assert read(changed(mediaType=media_type), content_type).layers


def test_the_same_layer_twice_is_one() -> None:
    assert len(read(manifest([MODEL, MODEL])).layers) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"schemaVersion": 1},
        {"schemaVersion": "2"},
        {"schemaVersion": None},
        {"mediaType": 2},
        {"mediaType": "application/json"},
        {"mediaType": OCI},
        {"config": None},
        {"config": []},
        {"layers": None},
        {"layers": {}},
        {"layers": [None]},
        {"layers": [descriptor(size=-1)]},
        {"layers": [descriptor(size=1.5)]},
        {"layers": [descriptor(size="4")]},
        {"layers": [descriptor(size=True)]},
        {"layers": [descriptor(size=2**60)]},
        {"layers": [descriptor(size=10**400)]},
        {"layers": [descriptor(digest="sha256:12")]},
        {"layers": [descriptor(digest=f"sha512:{'0' * 128}")]},
        {"layers": [descriptor(digest=f"sha256:{'A' * 64}")]},
        {"layers": [descriptor(digest=f"sha256:{'0' * 64}/../x")]},
        {"layers": [descriptor(digest=f"sha256:{'0' * 64}\n")]},
        {"layers": [descriptor(digest=7)]},
        {"layers": [descriptor(mediaType="a/b; c")]},
        {"layers": [descriptor(mediaType="\x1b[31m/b")]},
        {"layers": [descriptor(mediaType="")]},
        {"layers": [descriptor(name=1)]},
        {"layers": [descriptor(name="n" * 1025)]},
        {"layers": [descriptor(), descriptor(size=5)]},
        {"layers": [descriptor(digest=CONFIG.digest)]},
        {"layers": [descriptor()] * (MAX_LAYERS + 1)},
        {"manifests": []},
    ],
)
def test_hostile_fields(fields: dict[str, Any]) -> None:
    with pytest.raises(SourceMisbehaved) as error:
        read(changed(**fields))
    assert len(str(error.value)) < 1000
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{", b"\xff\xfe", b"\x00", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 1000, b'"\\ud800"'],
)
def test_what_is_no_manifest(content: bytes) -> None:
    with pytest.raises(SourceMisbehaved):
        read(content)


@pytest.mark.parametrize("index", INDEX_TYPES)
def test_an_index_is_not_a_model(index: str) -> None:
    for content, content_type in [
        ({"schemaVersion": 2, "mediaType": index, "manifests": []}, index),
        ({"schemaVersion": 2, "manifests": []}, "application/json"),
        (changed(), index),
    ]:
        with pytest.raises(ModelNotFound, match="index"):
            read(content, content_type)
