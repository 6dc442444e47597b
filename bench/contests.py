"""The contest of each source: a real server with one model, the native clients' commands, and our URI."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.models import write_sharded
from tests.services import gitlfs, nginx, ociregistry, seaweedfs
from tests.services.mlflow import PASSWORD, USERNAME, serving
from tests.simulators.hub import Hub
from tests.simulators.xet import XetStorage

BIN = Path(sys.executable).parent
MODEL = "bench/model"
SHARDS = 4
#: The environment of clients from `make bench` that cannot share ours.
TOOLS = Path(sys.prefix) / "bench" / "bin"


@dataclass(frozen=True)
class Contest:
    """One source's server and the clients that fetch from it.

    Attributes:
        port: the port of the server on this machine.
        size: the bytes of the model.
        native: by client, the shell command that fetches the model into the working directory.
        uri: our URI for a port: the server's or that of a proxy in front of it.
        environment: the variables for the clients and us, for that port.
    """

    port: int
    size: int
    native: Mapping[str, str]
    uri: Callable[[int], str]
    environment: Callable[[int], Mapping[str, str]]


@contextmanager
def _huggingface(folder: Path, size: int) -> Iterator[Contest]:
    write_sharded(folder / "hub" / MODEL, shards=SHARDS, shard_size=size // SHARDS)
    command = [sys.executable, "-m", "tests.simulators.hub", "--root", str(folder / "hub"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hub:
        try:
            assert hub.stdout is not None
            port = int(hub.stdout.readline())
            # The hub hashes its files once, before the measurements.
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/models/{MODEL}?blobs=true").close()
            yield Contest(
                port,
                _size(folder / "hub" / MODEL),
                {"hf download": f"{BIN}/hf download {MODEL} --local-dir ."},
                lambda port: f"hf:{MODEL}",
                lambda port: {
                    "HF_ENDPOINT": f"http://127.0.0.1:{port}",
                    "HF_HOME": str(folder / "hf"),
                    "HF_HUB_DISABLE_XET": "1",
                    "HF_HUB_DISABLE_TELEMETRY": "1",
                    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                },
            )
        finally:
            hub.terminate()


@contextmanager
def _git_lfs(folder: Path, size: int) -> Iterator[Contest]:
    write_sharded(folder / "model", shards=SHARDS, shard_size=size // SHARDS)
    (folder / "server").mkdir()
    name, files = "fast/bench.git", {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}
    with gitlfs.running(folder / "server") as server:
        for path in (folder / "model").iterdir():
            content = path.read_bytes()
            files[path.name] = server.put(name, content) if path.suffix == ".safetensors" else content
        server.commit(name, files)
        url = server.address(name)
        yield Contest(
            server.port,
            _size(folder / "model"),
            {
                "git clone, git lfs pull": f"GIT_LFS_SKIP_SMUDGE=1 git clone -q --depth 1 {url} . && git lfs pull",
                "git clone": f"git clone -q --depth 1 {url} .",
            },
            lambda port: f"git+http://127.0.0.1:{port}/{name}@main",
            lambda port: gitlfs.environment(folder),
        )


@contextmanager
def _mlflow(folder: Path, size: int) -> Iterator[Contest]:
    (folder / "server").mkdir()
    with serving(folder / "server") as server:
        server.add("bench", {"MLmodel": b"flavors: {}\n"})
        model = server.file("bench", "1", "MLmodel").parent
        write_sharded(model, shards=SHARDS, shard_size=size // SHARDS)
        yield Contest(
            int(server.uri.rpartition(":")[2]),
            _size(model),
            {"mlflow artifacts download": f"{BIN}/mlflow artifacts download -u models:/bench/1 -d ."},
            lambda port: "mlflow:bench/1",
            lambda port: {
                "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
                "MLFLOW_TRACKING_USERNAME": USERNAME,
                "MLFLOW_TRACKING_PASSWORD": PASSWORD,
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
        )


@contextmanager
def _s3(folder: Path, size: int) -> Iterator[Contest]:
    write_sharded(folder / "model", shards=SHARDS, shard_size=size // SHARDS)
    (folder / "server").mkdir()
    with seaweedfs.running(folder / "server") as server:
        for path in (folder / "model").iterdir():
            server.client.upload_file(str(path), "models", f"bench/{path.name}")
        address = f"--endpoint-url {server.endpoint}"
        yield Contest(
            server.port,
            _size(folder / "model"),
            {
                "aws s3 cp": f"{TOOLS}/aws {address} s3 cp --recursive --quiet s3://models/bench .",
                "s5cmd cp": f"{TOOLS}/s5cmd {address} cp 's3://models/bench/*' . > /dev/null",
            },
            lambda port: f"s3://models/bench?endpoint=http://127.0.0.1:{port}",
            lambda port: {
                "AWS_ACCESS_KEY_ID": seaweedfs.READER.username,
                "AWS_SECRET_ACCESS_KEY": seaweedfs.READER.password,
                "AWS_DEFAULT_REGION": "us-east-1",
            },
        )


@contextmanager
def _ollama(folder: Path, size: int) -> Iterator[Contest]:
    model = ociregistry.Blob.of("model", b"GGUF" + os.urandom(size))
    (folder / "server").mkdir()
    with ociregistry.running(folder / "server") as server:
        server.push("library/bench", [model, ociregistry.Blob.of("template", b"{{ .Prompt }}")])
        blob = f"{server.url}/v2/library/bench/blobs/{model.digest}"
        yield Contest(
            int(server.url.rpartition(":")[2]),
            len(model.content),
            {"curl": f"curl -sSf -o model.gguf {blob}"},
            lambda port: f"ollama:bench?registry=http://127.0.0.1:{port}",
            lambda port: {},
        )


@contextmanager
def _url(folder: Path, size: int) -> Iterator[Contest]:
    (folder / "server").mkdir()
    with nginx.running(folder / "server") as server:
        server.put("model.gguf", b"GGUF" + os.urandom(size))
        yield Contest(
            server.port,
            size + 4,
            {"curl": f"curl -sSf -O {server.url('/files/model.gguf')}"},
            lambda port: server.url("/files/model.gguf", port=port),
            lambda port: {},
        )


@contextmanager
def _xet(folder: Path, size: int) -> Iterator[Contest]:
    content = os.urandom(size)
    with XetStorage() as storage, Hub() as hub:
        hub.cas_url, hub.cas_token = storage.url, storage.token
        files = {"model.gguf": content, "config.json": b"{}"}
        hub.add(MODEL).commit(files, xet_hashes={"model.gguf": storage.keep(content)})
        yield Contest(
            hub.port,
            size,
            {"hf download": f"{BIN}/hf download {MODEL} --local-dir ."},
            lambda port: f"xet:{MODEL}",
            lambda port: {
                "HF_ENDPOINT": f"http://127.0.0.1:{port}",
                "HF_HOME": str(folder / "hf"),
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            },
        )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


#: The contest of each source; each writes a model of about the given bytes below a folder.
CONTESTS: dict[str, Callable[[Path, int], AbstractContextManager[Contest]]] = {
    "git-lfs": _git_lfs,
    "huggingface": _huggingface,
    "mlflow": _mlflow,
    "ollama": _ollama,
    "s3": _s3,
    "url": _url,
    "xet": _xet,
}
