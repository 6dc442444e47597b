"""A served mirror for all of its tests, each with models of its own names, whose bytes are in its store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.catalog.values import CARD
from tests.services.weighbridge import Served, serving
from weighbridge.domain.card import ModelCard
from weighbridge.domain.decision import Decision, Reason, Verdict
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import ModelVersion
from weighbridge.store.local import LocalBlobStore

SMALL = {"config.json": b'{"model_type": "llama"}', "sub/größe ½.bin": b"weights" * 1000, "empty.txt": b""}


@dataclass
class Mirrored:
    """A served registry and its mirror.

    Attributes:
        served: the registry.
        store: its blobs.
        url: what clients have as `HF_ENDPOINT`.
    """

    served: Served
    store: LocalBlobStore
    url: str

    def add(
        self,
        name: str,
        files: Mapping[str, bytes] = SMALL,
        *,
        number: str = "1.0.0",
        uri: str = "",
        verdict: Verdict = "PASSED",
        reasons: tuple[Reason, ...] = (),
        card: ModelCard = CARD,
    ) -> ModelVersion:
        """Put a version of these files into the catalog, and their bytes into the store."""
        digests = {content: self.store.put([content]) for content in set(files.values())}
        entries = tuple(FileEntry(path, len(content), digests[content]) for path, content in files.items())
        uri = uri or f"s3://bucket/{name}/"
        return self.served.catalog.settle_version(
            name,
            uri,
            Manifest(ModelRef.parse(uri), entries),
            card,
            Decision(verdict, "standard", "f" * 64, reasons),
            (),
            lambda _: number,
        )

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.served.client.request(method, f"{self.url}{path}", **options)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def head(self, path: str, **headers: str) -> httpx.Response:
        return self.request("HEAD", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def run(self, *command: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a client in a process of its own, with a cache of its own, against this mirror."""
        variables = {**os.environ, "HF_ENDPOINT": self.url, "HF_HOME": str(home), **environment}
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)

    def python(self, code: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-c", code, home=home, **environment)


def mirrored(served: Served, home: Path) -> Mirrored:
    return Mirrored(served, LocalBlobStore(home / "store"), f"{served.url.removesuffix('/api')}/huggingface")


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """Serve a catalog that anybody on this machine may read."""
    home = tmp_path_factory.mktemp("mirrored")
    with serving(home) as served:
        yield mirrored(served, home)


def digest_of(content: bytes) -> Digest:
    return Digest.sha256(content)
