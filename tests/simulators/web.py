"""A file server on a real socket whose faults are switched per path, and which remembers every request.

It speaks HTTP/1.1 with ranges, ETags and conditions as a good server does; a `Page` says where it misbehaves. TLS is
spoken with a certificate made for the occasion.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Page:
    """What a path answers.

    Attributes:
        content: the file.
        status: another status than 200 sends `content` as an error page.
        headers: further headers; they replace the usual ones of the same name.
        etag: the ETag with its quotes; None for the content's sha256, empty for none.
        ranges: whether Range is honoured.
        conditions: whether If-Match and If-Range are honoured.
        head_status: what HEAD answers, when not the same as GET.
        head_length: the Content-Length that is claimed to HEAD.
        length: the Content-Length that is claimed; None for the true one, -1 for none (the closing ends the body).
        cut_after: bytes of the body after which the connection is cut.
        hang_after: bytes of the body after which nothing more comes until the server stops.
        trickle_after: bytes of the body after which the rest comes a byte each tenth of a second.
        silent: whether nothing at all is answered until the server stops.
        next: the page that takes this one's place after one GET.
    """

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = None
    ranges: bool = True
    conditions: bool = True
    head_status: int | None = None
    head_length: int | None = None
    length: int | None = None
    cut_after: int | None = None
    hang_after: int | None = None
    trickle_after: int | None = None
    silent: bool = False
    next: Page | None = None

    @property
    def validator(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"' if self.etag is None else self.etag


@dataclass(frozen=True)
class Request:
    """A request as it came in; header names in lowercase."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class WebServer:
    """The server; a context manager. Give it a folder for its certificate to make it speak TLS."""

    def __init__(self, certificate_folder: Path | None = None) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[Request] = []
        self.bytes_sent = 0
        self.stopping = threading.Event()
        self.certificate: Path | None = None
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.site = self
        if certificate_folder:
            self.certificate = _make_certificate(certificate_folder)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> WebServer:
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

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of a path; `localhost` is another host of the same server."""
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}{path}"

    def put(self, path: str, content: bytes = b"", **faults: Any) -> str:
        """Serve a page and return its address."""
        self.pages[path] = Page(content, **faults)
        return self.url(path)

    def redirect(self, path: str, target: str, status: int = 302) -> str:
        """Serve a redirect and return its address."""
        return self.put(path, status=status, headers={"Location": target}, etag="")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    site: WebServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what is being tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve(body=True)

    def do_POST(self) -> None:
        self._serve(body=True, received=self.rfile.read(int(self.headers.get("content-length", 0))))

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def _serve(self, *, body: bool, received: bytes = b"") -> None:
        site = self.server.site
        headers = {name.lower(): value for name, value in self.headers.items()}
        site.requests.append(Request(self.command, self.path, headers, received))
        page = site.pages.get(urlsplit(self.path).path, Page(b"not found", status=404, etag=""))
        if body and page.next is not None:
            site.pages[urlsplit(self.path).path] = page.next
        if page.silent:
            site.stopping.wait(30)
            self.close_connection = True
            return
        status, content, answer = _answer(page, headers, head=not body)
        self.send_response_only(status)
        for name, value in answer.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self._send(page, content)
        if page.length is not None:
            self.close_connection = True

    def _send(self, page: Page, content: bytes) -> None:
        stop = next((at for at in (page.cut_after, page.hang_after, page.trickle_after) if at is not None), None)
        rest = memoryview(content)[:stop]
        while rest:  # In blocks, so that `bytes_sent` is true of a client that hangs up.
            self.server.site.bytes_sent += self.wfile.write(rest[:65536])
            rest = rest[65536:]
        self.wfile.flush()
        if page.hang_after is not None:
            self.server.site.stopping.wait(30)
        if page.trickle_after is not None:
            for place in range(page.trickle_after, len(content)):
                if self.server.site.stopping.wait(0.1):
                    break
                self.wfile.write(content[place : place + 1])
        if stop is not None:
            self.close_connection = True


def _answer(page: Page, headers: dict[str, str], *, head: bool) -> tuple[int, bytes, dict[str, str]]:
    status, content = page.status, page.content
    if head and page.head_status:
        status, content = page.head_status, b""
    answer = {"Content-Type": "application/octet-stream"}
    if status == 200 and page.validator:
        answer["ETag"] = page.validator
    if status == 200 and page.conditions and headers.get("if-match", page.validator) != page.validator:
        status, content = 412, b""
    wanted = headers.get("range", "").removeprefix("bytes=")
    honoured = page.ranges and not (page.conditions and headers.get("if-range", page.validator) != page.validator)
    if status == 200 and wanted and honoured:
        first, _, last = wanted.partition("-")
        start, end = int(first), min(int(last) + 1 if last else len(content), len(content))
        if start >= len(content):
            status, content, answer["Content-Range"] = 416, b"", f"bytes */{len(content)}"
        else:
            answer["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
            status, content = 206, content[start:end]
    claimed = page.head_length if head and page.head_length is not None else page.length
    if claimed != -1:
        answer["Content-Length"] = str(len(content) if claimed is None else claimed)
    replaced = {name.lower() for name in page.headers}
    return status, content, {k: v for k, v in answer.items() if k.lower() not in replaced} | page.headers


def _make_certificate(folder: Path) -> Path:
    """Write a key and a certificate of its own for localhost and 127.0.0.1 into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulator")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "simulator.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
