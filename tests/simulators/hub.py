"""A Hugging Face Hub on a real loopback socket: in a test a context manager, for benchmarks a process of its own.

`python -m tests.simulators.hub --root FOLDER` serves FOLDER/org/name/** as models, FOLDER/datasets/org/name/** as data
sets, and prints its port. It remembers every request and misbehaves where a `Fault` says so. Not here: what is
answered (hub_protocol) and what it holds (hub_repository).
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tests.simulators.hub_protocol import Answer, Request, answer, refusal
from tests.simulators.hub_repository import DigestCache, Repository

#: Bytes that are sent at once where there are pauses.
_PAUSED = 256 * 1024


@dataclass
class Fault:
    """How a path misbehaves.

    Attributes:
        times: how often; None for always.
        methods: which requests.
        status: an error status sent in place of the answer.
        headers: further headers; they replace the usual ones, and an empty value removes one.
        length: the Content-Length that is claimed.
        cut_after: bytes of the body after which the connection is cut.
        hang_after: bytes of the body after which nothing more comes until the hub stops; -1 for not even a status.
        zeros: a body of the same length, all zeros.
        trailing: further bytes after the body.
        content: a body in place of the right one.
        pause_s: seconds before each 256 KiB of a body that is not a file's.
    """

    times: int | None = None
    methods: tuple[str, ...] = ("GET",)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    cut_after: int | None = None
    hang_after: int | None = None
    zeros: bool = False
    trailing: bytes = b""
    content: bytes | None = None
    pause_s: float = 0.0


class Hub:
    """The hub; a context manager.

    Attributes:
        repositories: by kind (`models`, `datasets`) and id.
        tokens: the ids of the private and gated repositories that each token may read.
        renamed: the present ids of repositories by their kind and former id.
        page_size: how many entries one page of a listing holds.
        faults: by the path's end, such as `/model.safetensors` or `/api/models/org/name`.
        requests: every request so far, in order.
        cdn: whether LFS files lie on another host (`localhost`) and the others behind a relative redirect, as on the
            real one.
        cas_url: the Xet storage, or empty.
        cas_token: what it is opened with.
    """

    def __init__(self, root: Path | None = None, port: int = 0) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.tokens: dict[str, frozenset[str]] = {}
        self.renamed: dict[tuple[str, str], str] = {}
        self.page_size = 1000
        self.faults: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.bytes_sent = 0
        self.cdn = False
        self.cas_url, self.cas_token = "", ""
        self.digests = DigestCache()
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.hub = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        if root:
            self._serve_folder(root)

    def _serve_folder(self, root: Path) -> None:
        for kind, top in (("models", root), ("datasets", root / "datasets")):
            for folder in sorted(top.glob("*/*")):
                if folder.is_dir() and not (kind == "models" and folder.parent.name == "datasets"):
                    name = folder.relative_to(top).as_posix()
                    self.add(name, kind=kind, folder=folder).refresh(self.digests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cdn_url(self) -> str:
        """The same server under a host name of its own."""
        return f"http://localhost:{self.port}"

    def add(self, name: str, files: Mapping[str, bytes] | None = None, **properties: Any) -> Repository:
        """Add a repository; `files` become its main."""
        repository = Repository(name, **properties)
        self.repositories[repository.kind, name] = repository
        if files is not None:
            repository.commit(files)
        return repository

    def fault(self, path: str, **fault: Any) -> None:
        self.faults[path] = Fault(**fault)

    def asked(self, method: str = "", path: str = "") -> list[Request]:
        """The requests with that method whose path holds that text."""
        return [r for r in self.requests if r.method.startswith(method) and path in r.path]

    def stats(self) -> dict[str, int]:
        """What was asked and answered so far."""
        with self.lock:
            return {"requests": len(self.requests), "bytes": self.bytes_sent}

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        return answer(self, request)

    def take_fault(self, request: Request) -> Fault:
        """Return how to misbehave now, and count it."""
        path = unquote(urlsplit(request.path).path)
        with self.lock:
            for end, fault in self.faults.items():
                if path.endswith(end) and request.method in fault.methods and fault.times != 0:
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return Fault()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    hub: Hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what is being tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        hub = self.server.hub
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        if self.path == "/__stats":
            return self._send(Answer(content=json.dumps(hub.stats()).encode()), Fault())
        request = Request(self.command, self.path, headers, body)
        with hub.lock:
            hub.requests.append(request)
        fault = hub.take_fault(request)
        if fault.hang_after == -1:
            hub.stopping.wait(60)
            self.close_connection = True
            return None
        found = refusal(fault.status, "", "simulated") if fault.status else hub.answer(request)
        if fault.content is not None:
            found = replace(found, content=fault.content, location=None)
        return self._send(found, fault)

    def _send(self, found: Answer, fault: Fault) -> None:
        length = found.length if fault.length is None else fault.length
        headers = {**found.headers, "Content-Length": str(length), **fault.headers}
        self.send_response_only(found.status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(found, fault)
        if length != found.length:
            self.close_connection = True

    def _send_body(self, found: Answer, fault: Fault) -> None:
        stop = fault.cut_after if fault.cut_after is not None else fault.hang_after
        count = found.length if stop is None else min(stop, found.length)
        if fault.zeros:
            found = replace(found, content=bytes(found.length), location=None)
        if found.location is None and fault.pause_s:
            for start in range(0, count, _PAUSED):
                self.server.hub.stopping.wait(fault.pause_s)
                self.wfile.write(found.content[start : min(count, start + _PAUSED)])
        elif found.location is None:
            self.wfile.write(found.content[:count] + fault.trailing)
        elif count:
            with found.location.open("rb") as file:
                self.connection.sendfile(file, found.offset, count)
        with self.server.hub.lock:
            self.server.hub.bytes_sent += count
        if fault.hang_after is not None:
            self.server.hub.stopping.wait(60)
        if stop is not None or fault.trailing:
            self.close_connection = True


def main() -> None:
    """Serve a folder until killed; the first line of output is the port."""
    parser = argparse.ArgumentParser(description="A Hugging Face Hub that serves the models in a folder.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with Hub(arguments.root, arguments.port) as hub:
        print(hub.port, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
