"""A Xet storage (CAS) on a real loopback socket, filled and read by hf_xet itself.

A file is a list of terms, each a run of chunks in a xorb; a xorb is chunks one after the other, each behind a header of
8 bytes. Not here: the Hub, which says which file has which Xet hash and gives out the tokens (hub).
"""

from __future__ import annotations

import json
import re
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import hf_xet

_CHUNK_HEADER = 8
_RECORD = 48
_END_OF_FILES = b"\xff" * 32
_HAS_VERIFICATION = 1 << 31


@dataclass(frozen=True)
class Term:
    """Chunks `first` to `end` (exclusive) of a xorb, which unpack to `size` bytes."""

    xorb: str
    size: int
    first: int
    end: int


@dataclass(frozen=True)
class Chunk:
    """Where a chunk lies in its xorb, and how many bytes it unpacks to."""

    offset: int
    size: int


def _hex(raw: bytes) -> str:
    """Print a Xet hash as the protocol does: four little-endian words."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


def _chunks(xorb: bytes | bytearray) -> list[Chunk]:
    """Return a xorb's chunks, and an empty one where they end."""
    found, position = [], 0
    while position + _CHUNK_HEADER <= len(xorb) and not xorb.startswith(b"XETBLOB", position):
        packed, unpacked = (int.from_bytes(xorb[position + at : position + at + 3], "little") for at in (1, 5))
        found.append(Chunk(position, unpacked))
        position += _CHUNK_HEADER + packed
    return [*found, Chunk(position, 0)]


def _files(shard: bytes) -> Iterator[tuple[str, list[Term]]]:
    """Yield the files that a shard registers."""
    position = _RECORD
    while not shard.startswith(_END_OF_FILES, position):
        name, flags, count = struct.unpack_from("<32sII", shard, position)
        position += _RECORD
        terms = []
        for _ in range(count):
            xorb, _, size, first, end = struct.unpack_from("<32sIIII", shard, position)
            terms.append(Term(_hex(xorb), size, first, end))
            position += _RECORD
        if flags & _HAS_VERIFICATION:
            position += _RECORD * count
        if flags & (1 << 30):
            position += _RECORD
        yield _hex(name), terms


class XetStorage:
    """The storage; a context manager.

    Attributes:
        token: what readers and writers must show.
        xorbs: the stored bytes by hash; tests may change them.
        files: the terms of every file by hash.
        requests: method and path of every request.
        status: an error status that every reader gets, or 0.
        hanging: whether readers of xorbs wait until the storage stops.
    """

    token = "xet-token"

    def __init__(self) -> None:
        self.xorbs: dict[str, bytearray] = {}
        self.files: dict[str, list[Term]] = {}
        self.requests: list[tuple[str, str]] = []
        self.status = 0
        self.hanging = False
        self.stopping = threading.Event()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.storage = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> XetStorage:
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
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def keep(self, content: bytes) -> str:
        """Store a file as any client would; return its Xet hash."""
        session = hf_xet.XetSession(hf_xet.XetConfig().with_config("telemetry.enabled", False))
        commit = session.new_upload_commit(
            endpoint=self.url, token=self.token, token_expiry_unix_secs=int(time.time()) + 3600
        )
        upload = commit.start_upload_bytes(content)
        commit.wait_to_finish()
        stored: str = upload.result().xet_info.hash
        return stored

    def flip(self, xet_hash: str) -> None:
        """Flip a bit in the middle of a file's first chunk."""
        term = self.files[xet_hash][0]
        chunk = _chunks(self.xorbs[term.xorb])[term.first]
        self.xorbs[term.xorb][chunk.offset + _CHUNK_HEADER + chunk.size // 2] ^= 1

    def reconstruct(self, name: str, start: int, end: int, version: int) -> dict[str, Any]:
        """Say which chunks hold the bytes from `start` to `end`, as the protocol's version has it."""
        terms: list[Term] = []
        position = skipped = 0
        for term in self.files[name]:
            chunks = _chunks(self.xorbs[term.xorb])
            wanted: list[int] = []
            for number in range(term.first, term.end):
                size = chunks[number].size
                if position < end and position + size > start:
                    if not terms and not wanted:
                        skipped = start - position
                    wanted.append(number)
                position += size
            if wanted:
                size = sum(chunks[number].size for number in wanted)
                terms.append(Term(term.xorb, size, wanted[0], wanted[-1] + 1))
        listed = [{"hash": t.xorb, "unpacked_length": t.size, "range": {"start": t.first, "end": t.end}} for t in terms]
        where = {"offset_into_first_range": skipped, "terms": listed}
        if version == 1:
            return where | {"fetch_info": self._addresses(terms, version)}
        return where | {"xorbs": self._addresses(terms, version)}

    def _addresses(self, terms: list[Term], version: int) -> dict[str, list[dict[str, Any]]]:
        addresses: dict[str, list[dict[str, Any]]] = {}
        for term in sorted(set(terms), key=lambda t: (t.xorb, t.first)):
            chunks = _chunks(self.xorbs[term.xorb])
            span = {"start": term.first, "end": term.end}
            raw = {"start": chunks[term.first].offset, "end": chunks[term.end].offset - 1}
            url = f"{self.url}/xorb/{term.xorb}"
            address = (
                {"url": url, "range": span, "url_range": raw}
                if version == 1
                else {"url": url, "ranges": [{"chunks": span, "bytes": raw}]}
            )
            addresses.setdefault(term.xorb, []).append(address)
        return addresses


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    storage: XetStorage

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what is being tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        storage = self.server.storage
        storage.requests.append((self.command, self.path))
        if storage.status:
            return self._answer(storage.status)
        if match := re.fullmatch(r"/xorb/([0-9a-f]{64})", self.path):  # like a signed address: no token
            return self._xorb(storage.xorbs[match[1]])
        if self.headers.get("Authorization") != f"Bearer {storage.token}":
            return self._answer(401)
        if match := re.fullmatch(r"/v([12])/reconstructions/([0-9a-f]{64})", self.path.partition("?")[0]):
            return self._reconstruction(int(match[1]), match[2])
        return self._answer(404)

    def do_POST(self) -> None:
        storage, body = self.server.storage, self._body()
        storage.requests.append((self.command, self.path))
        if self.headers.get("Authorization") != f"Bearer {storage.token}":
            return self._answer(401)
        if match := re.fullmatch(r"/v1/xorbs/default/([0-9a-f]{64})", self.path):
            storage.xorbs[match[1]] = bytearray(body)
            return self._answer(200, b'{"was_inserted": true}')
        if self.path in ("/v1/shards", "/v2/shards"):
            storage.files.update(_files(body))
            return self._answer(200, b'{"result": 1}' if self.path == "/v1/shards" else b'{"type":"result"}\n')
        return self._answer(404)

    def _reconstruction(self, version: int, name: str) -> None:
        storage = self.server.storage
        if name not in storage.files:
            return self._answer(404)
        size = sum(term.size for term in storage.files[name])
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if start >= size:
            return self._answer(416)
        return self._answer(200, json.dumps(storage.reconstruct(name, start, end, version)).encode())

    def _xorb(self, xorb: bytearray) -> None:
        if self.server.storage.hanging:
            self.server.storage.stopping.wait(60)
            self.close_connection = True
            return None
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        span = f"bytes {first}-{last}/{len(xorb)}"
        return self._answer(206, bytes(xorb[int(first) : int(last) + 1]), {"Content-Range": span})

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body
