"""Ollama's models at the addresses where an OCI registry has them, on a `WebServer`, whose pages may misbehave."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from tests.services.ociregistry import CONFIG, DOCKER_MANIFEST, Blob, manifest
from tests.simulators.web import Page, WebServer


def put_manifest(web: WebServer, name: str, content: bytes, tag: str = "latest", **faults: Any) -> str:
    """Serve a manifest by tag and by digest, and return the digest."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    headers = {"Content-Type": DOCKER_MANIFEST, "Docker-Content-Digest": digest} | faults.pop("headers", {})
    for reference in (tag, digest):
        web.pages[f"/v2/{name}/manifests/{reference}"] = Page(content, headers=headers, **faults)
    return digest


def put_model(web: WebServer, name: str, layers: Sequence[Blob], tag: str = "latest", config: Blob = CONFIG) -> str:
    """Serve a whole model, and return its manifest's digest."""
    for blob in (*layers, config):
        web.put(blob_path(name, blob), blob.content)
    return put_manifest(web, name, manifest(layers, config), tag)


def blob_path(name: str, blob: Blob) -> str:
    """Return the path at which a registry has a blob."""
    return f"/v2/{name}/blobs/{blob.digest}"
