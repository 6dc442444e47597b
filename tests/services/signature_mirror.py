"""A private mirror of ClamAV's signatures on loopback, which real freshclams ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep, time

import pytest

#: What a mirror sends that lies: a head of a version that never was, and no archive.
FORGED = b"ClamAV-VDB:01 Oct 2026 12-00 +0000:99999:2:90:" + b"0" * 32 + b":sig:builder:1790856000"


@dataclass
class SignatureMirror:
    """A mirror.

    Attributes:
        files: what it has, by name.
        status: of each response; 200 for the files.
        pause_s: seconds between the halves of a file.
        asked: the names that it was asked for.
        modified_s: when its files changed; freshclam fetches only what is newer than its own file.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    pause_s: float = 0.0
    asked: list[str] = field(default_factory=list)
    modified_s: float = field(default_factory=time)

    def publish(self, name: str, *malware: bytes) -> None:
        """Have a database that detects some content."""
        lines = [f"Mirror.Test-{number}:0:*:{content.hex()}\n" for number, content in enumerate(malware)]
        self.put(name, "".join(lines).encode())

    def put(self, name: str, content: bytes) -> None:
        """Have a file."""
        self.files[name] = content
        self.modified_s += 60


@contextmanager
def serving() -> Iterator[SignatureMirror]:
    """Yield a mirror that listens."""
    mirror = SignatureMirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            mirror.asked.append(name)
            content = mirror.files.get(name)
            status = mirror.status if content is not None or mirror.status != 200 else 404
            self.send_response(status)
            body = (content or b"") if status == 200 else b""
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", formatdate(mirror.modified_s, usegmt=True))
            self.end_headers()
            half = len(body) // 2
            self.wfile.write(body[:half])
            sleep(mirror.pause_s)
            self.wfile.write(body[half:])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base class)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def mirror() -> Iterator[SignatureMirror]:
    """Yield a mirror without files."""
    with serving() as found:
        yield found


__all__ = ["FORGED", "SignatureMirror", "mirror", "serving"]
