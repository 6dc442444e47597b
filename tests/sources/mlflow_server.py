"""A simulated MLflow server, whose answers a test changes."""

from __future__ import annotations

import json
from typing import Any

from tests.simulators.web import WebServer

API = "/prefix/api/2.0/mlflow"


ARTIFACTS = "/prefix/api/2.0/mlflow-artifacts/artifacts"


HTML = {"Content-Type": "text/html; charset=utf-8"}


CONTENT = bytes(range(256)) * 20_000


LARGE = {"path": "w.bin", "is_dir": False, "file_size": len(CONTENT)}


class Simulated:
    """A server at `/prefix` with version 3 of the model `m`, whose answers are replaced one by one."""

    def __init__(self, web: WebServer) -> None:
        self.web = web
        self.url = web.url("/prefix")
        self.answer("model-versions/get", {"model_version": {"name": "m", "version": "3", "status": "READY"}})
        self.answer("registered-models/get", {"registered_model": {"name": "m"}})
        self.locate("mlflow-artifacts:/1/run/artifacts")
        self.list({"path": "a", "is_dir": False, "file_size": 1})
        self.put("a", b"a")

    def answer(self, question: str, value: Any, status: int = 200) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.web.put(f"{API}/{question}", content, status=status, headers={"Content-Type": "application/json"})

    def locate(self, location: Any) -> None:
        self.answer("model-versions/get-download-uri", {"artifact_uri": location})

    def list(self, *files: Any, **more: Any) -> None:
        self.web.put(ARTIFACTS, json.dumps({"files": files} | more).encode())

    def put(self, path: str, content: bytes, **faults: Any) -> None:
        self.web.put(f"{ARTIFACTS}/1/run/artifacts/{path}", content, **faults)

    def asked(self, end: str) -> list[str | None]:
        """The Range of each request for a path with this end."""
        return [request.headers.get("range") for request in self.web.requests if request.path.endswith(end)]
