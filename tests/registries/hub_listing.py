"""The one answer of the Hub that `hf cache verify` asks for, the tree of a repository, over a real socket."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


def _entry(path: str, content: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    in_lfs = path.endswith(".safetensors")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()
    stored = pointer if in_lfs else content
    oid = hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()
    entry: dict[str, Any] = {"type": "file", "oid": oid, "size": len(content), "path": path}
    if in_lfs:
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": len(pointer)}
    return entry


@contextmanager
def hub_listing(content: Mapping[str, bytes]) -> Iterator[str]:
    """Serve the listing of `org/name` with this content and yield the endpoint."""
    tree = json.dumps([_entry(path, data) for path, data in content.items()]).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = urlsplit(self.path).path.startswith("/api/models/org/name/tree/")
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(tree) if found else 0))
            self.end_headers()
            self.wfile.write(tree if found else b"")

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
