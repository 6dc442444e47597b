"""Versions that the registries' tests publish, with their content in a blob store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.decision import Decision, VersionStatus
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import ModelVersion
from weighbridge.store.local import LocalBlobStore

REF = ModelRef("mock", "org/name", "1")
CONTENT = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": bytes(range(256)) * 64,
    "sub folder/größe ½.txt": b"",
    "tokenizer/vocab+merges.txt": b"a b\n",
}
CARD = ModelCard(
    {
        "architecture": Field("llama", "config.json#model_type"),
        "parameter_count": Field(134_515_008, "shapes"),
        "licence": Field("Apache-2.0", "LICENSE"),
        "task": Field("text-generation", "config.json#architectures"),
    }
)


def put(
    store: LocalBlobStore,
    content: Mapping[str, bytes] = CONTENT,
    *,
    name: str = "org/name",
    number: str = "1.0.0",
    default: bool = True,
    status: VersionStatus = "PASSED",
    ref: ModelRef = REF,
) -> ModelVersion:
    """Store the content and return the version that it is."""
    files = tuple(FileEntry(path, len(data), store.put([data])) for path, data in content.items())
    decision = Decision("PASSED" if status == "PASSED" else "FAILED", "standard", "f" * 64)
    return ModelVersion(
        name=name,
        version=number,
        status=status,
        source=ref.uri,
        manifest=Manifest(ref, files),
        card=CARD,
        decision=decision,
        default=default,
    )


def changed(store: LocalBlobStore, number: str, *, name: str = "org/name", default: bool = True) -> ModelVersion:
    """Return a version with other weights."""
    return put(store, {**CONTENT, "model.safetensors": number.encode()}, name=name, number=number, default=default)


def undefault(version: ModelVersion) -> ModelVersion:
    """Return the version when it no longer is the default one."""
    return replace(version, default=False)
