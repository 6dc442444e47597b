"""A real `weighbridge serve` on a free port, and the catalog that it serves."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel

from weighbridge.catalog import Catalog
from weighbridge.domain.clock import utc_now
from weighbridge.intake.callers import create_key

#: The address of a Hub that a served process refuses to ask: no test asks the real one by accident.
NO_HUB = "http://127.0.0.1:9"


@dataclass
class Served:
    """A served registry.

    Attributes:
        url: of the API: `http://127.0.0.1:1234/api`.
        catalog: the same one, opened beside it.
        process: the one that serves.
        said: what it has printed so far, line by line.
        home: its folder.
    """

    url: str
    catalog: Catalog
    process: subprocess.Popen[str]
    said: list[str]
    home: Path = Path()
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=60))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(method, f"{self.url}{path}", **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def key(self, role: str, *models: str, expires: str = "") -> dict[str, str]:
        """Return the header with a new key."""
        name = f"{role}-{secrets.token_hex(4)}"
        _, text = create_key(self.catalog, name, role, now=utc_now(), expires=expires, models=models)
        return {"Authorization": f"Bearer {text}"}

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)


@contextmanager
def serving(
    home: Path, environment: Mapping[str, str] | None = None, *options: str, verbose: int = 0
) -> Iterator[Served]:
    """Serve the catalog below a home; `environment` has further settings; `verbose` logs, with 2 what is given out."""
    variables = {**os.environ, "WEIGHBRIDGE_HOME": str(home), "WEIGHBRIDGE_REGISTRIES": "export", **(environment or {})}
    loud = ("-v",) * verbose
    command = [sys.executable, "-m", "weighbridge", *loud, "serve", "--port", "0", *options]
    process = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said: list[str] = []
    reading: threading.Thread | None = None
    try:
        for line in process.stderr:
            said.append(line.rstrip())
            if line.startswith("Serving at "):
                break
        else:
            raise AssertionError(f"it does not serve: {said}")
        reading = threading.Thread(target=lambda: said.extend(line.rstrip() for line in process.stderr or ()))
        reading.start()
        with Catalog.open(
            variables.get("WEIGHBRIDGE_CATALOG_URL") or f"sqlite:///{home}/catalog.db", utc_now
        ) as catalog:
            served = Served(said[-1].removeprefix("Serving at "), catalog, process, said, home)
            with served.client:
                yield served
    finally:
        process.kill()
        process.wait()
        if reading is not None:
            reading.join()
        process.stderr.close()


def holds(model: type[BaseModel], response: httpx.Response, status: int = 200) -> Any:
    """Return the JSON of a response, which is exactly what a document of the API promises."""
    assert response.status_code == status, response.text
    content = response.json()
    promised = model.model_validate(content, strict=True).model_dump()
    assert promised == content
    return content
