"""A real OCI registry on a free loopback port: Debian's docker-registry, with models that are made and pushed here."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OLLAMA = "application/vnd.ollama.image."
USERNAME, PASSWORD = "reader", "s3cret-password"
BASIC = f"Basic {b64encode(f'{USERNAME}:{PASSWORD}'.encode()).decode()}"
#: For that user; the registry takes bcrypt only, which nothing else here needs.
_HTPASSWD = "reader:$2y$05$abcdefghijklmnopqrstuuUXKlvQTwfK/kphhjbeRlh5zvpJx1LLu\n"
_REQUEST = re.compile(r'"([A-Z]+) (\S+) HTTP/1.1" (\d{3}) (\d+)')


@dataclass(frozen=True)
class Blob:
    """A layer or configuration to push."""

    media_type: str
    content: bytes
    more: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, role: str, content: bytes, **more: Any) -> Blob:
        """Make a layer of one of Ollama's types, such as `model`."""
        return cls(OLLAMA + role, content, more)

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)} | self.more


CONFIG = Blob(
    "application/vnd.docker.container.image.v1+json",
    b'{"model_format":"gguf","model_family":"llama","architecture":"amd64","os":"linux"}',
)


def manifest(layers: Sequence[Blob], config: Blob = CONFIG, **more: Any) -> bytes:
    """Return a manifest as Ollama writes it."""
    described = [layer.descriptor for layer in layers]
    content = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config.descriptor, "layers": described}
    return json.dumps(content | more).encode()


@dataclass(frozen=True)
class Served:
    """A request that the registry answered, and the bytes of the answer's body."""

    method: str
    path: str
    status: int
    size: int


@dataclass(frozen=True)
class OciRegistryServer:
    """Where a registry is, and who may push to it."""

    folder: Path
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def push(self, name: str, layers: Sequence[Blob], tag: str = "latest", config: Blob = CONFIG, **more: Any) -> str:
        """Push a model and return its manifest's digest."""
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=60) as client:
            for blob in (*layers, config):
                if client.head(f"/v2/{name}/blobs/{blob.digest}").status_code == 200:
                    continue
                upload = client.post(f"/v2/{name}/blobs/uploads/").raise_for_status().headers["location"]
                kind = {"Content-Type": "application/octet-stream"}
                client.put(f"{upload}&digest={blob.digest}", content=blob.content, headers=kind).raise_for_status()
            content = manifest(layers, config, **more)
            return self.push_manifest(name, content, tag)

    def push_manifest(self, name: str, content: bytes, tag: str = "latest", media_type: str = DOCKER_MANIFEST) -> str:
        """Push a manifest whose blobs are there and return its digest."""
        headers = self.headers | {"Content-Type": media_type}
        answer = httpx.put(f"{self.url}/v2/{name}/manifests/{tag}", content=content, headers=headers, timeout=60)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["docker-content-digest"])

    def stored(self, digest: str) -> Path:
        """Return the file in which the registry keeps a blob or manifest."""
        algorithm, value = digest.split(":")
        return self.folder / "data/docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"

    def requests(self, since: int = 0, until: str = "", status: int | None = None) -> list[Served]:
        """Return what was asked after the first `since` requests; each is noted after its answer.

        Args:
            since: requests to leave out.
            until: wait for a request whose path holds this.
            status: and whose answer has this status.
        """
        deadline = time.monotonic() + 10
        while True:
            lines = _REQUEST.findall((self.folder / "log").read_text())[since:]
            found = [Served(method, path, int(status), int(size)) for method, path, status, size in lines]
            if not until or any(until in one.path and status in (None, one.status) for one in found):
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"The registry was not asked for {until}.")
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, auth: dict[str, Any] | None = None, **headers: str) -> Iterator[OciRegistryServer]:
    """Run a registry whose files lie in an empty folder.

    Args:
        folder: where.
        auth: its settings for access; without any, everybody may do everything.
        headers: what whoever pushes sends.
    """
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail("docker-registry is not installed: make servers, or: apt-get install docker-registry")
    url = f"http://127.0.0.1:{(port := _free_port())}"
    settings = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "only-for-tests"},
    } | ({"auth": auth} if auth else {})
    (folder / "registry.yml").write_text(json.dumps(settings))  # JSON is YAML
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "OTEL_TRACES_EXPORTER": "none"}
    with open(folder / "log", "wb") as log:
        command = [program, "serve", str(folder / "registry.yml")]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        _wait(url, process, folder / "log")
        yield OciRegistryServer(folder, url, headers)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{url}/v2/", timeout=5).status_code in (200, 401):
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"docker-registry does not start: {log.read_text()[-2000:]}")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def oci_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciRegistryServer]:
    """Start a registry that is open to everybody; it takes 0.2 seconds."""
    with running(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture(scope="session")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciRegistryServer]:
    """Start a registry that asks for a user and password (Basic)."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "htpasswd").write_text(_HTPASSWD)
    auth = {"htpasswd": {"realm": "models", "path": str(folder / "htpasswd")}}
    with running(folder, auth, Authorization=BASIC) as server:
        yield server
