"""Two machines with one store and one catalog: what one fetches is not fetched by the other, also when one dies.

A machine is a server with process ids, a host name and a kernel of its own, as far as it can see.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.services.clamd import signatures
from tests.services.postgresql import postgresql_server, postgresql_url
from tests.services.weighbridge import Served, serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import digest_of
from tests.web.mirror.test_read_through import SIZE, files, slow, until
from weighbridge.store.local import LocalBlobStore

__all__ = ["postgresql_server", "postgresql_url"]
pytestmark = [
    pytest.mark.xdist_group("web"),
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can make machines"),
]
_PATH = "/huggingface/org/shared/resolve/main/model.bin"


@contextmanager
def machine(folder: Path, name: str, variables: dict[str, str], patch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Serve on a machine of its own."""
    folder.mkdir()
    (folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
    python = folder / "python"
    python.write_text(
        "#!/bin/sh\nexec unshare --pid --uts --mount --mount-proc --fork --kill-child sh -c '\n"
        f"hostname {name} && mount --bind {folder}/boot_id /proc/sys/kernel/random/boot_id\n"
        f'exec {sys.executable} "$@"\' sh "$@"\n'
    )
    python.chmod(0o755)
    with patch.context() as patched:
        patched.setattr(sys, "executable", str(python))
        served = serving(folder / "home", variables)
        opened = served.__enter__()
    try:
        yield opened
    finally:
        served.__exit__(None, None, None)


def received(served: Served, content: bytes) -> int:
    """Return how often a client had to ask one machine until it had all bytes; 100 where it never did."""
    got, url = b"", f"{served.url.removesuffix('/api')}{_PATH}"
    for attempt in range(100):
        headers = {"Range": f"bytes={len(got)}-"}
        with (
            contextlib.suppress(httpx.TransportError),
            httpx.stream("GET", url, headers=headers, trust_env=False, timeout=60) as answer,
        ):
            for piece in answer.iter_raw() if answer.status_code == 206 else ():
                got += piece
        if len(got) == SIZE:
            assert got == content
            return attempt
        if served.process.poll() is not None:
            break
        time.sleep(0.5)
    return 100


def test_one_fetch_for_two_machines_of_which_one_dies(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, config, store = files("shared")["model.bin"], tmp_path / "mirror.yaml", tmp_path / "store"
    with Hub() as hub:
        hub.add("org/shared", files("shared"))
        slow(hub, "org/shared", hub.repositories["models", "org/shared"].branches["main"], pause_s=1)
        config.write_text(
            "backends:\n  - type: huggingface\n"
            f"    config: {{base_url: '{hub.url}', mode: read-through, ingest_by: anyone}}\n"
        )
        variables = {
            "WEIGHBRIDGE_CATALOG_URL": postgresql_url,
            "WEIGHBRIDGE_STORE": str(store),
            "WEIGHBRIDGE_POLICY": "minimal",
            "WEIGHBRIDGE_MIRROR_CONFIG": str(config),
            "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(tmp_path / "signatures")),
        }
        with (
            machine(tmp_path / "one", "one", variables, monkeypatch) as one,
            machine(tmp_path / "two", "two", variables, monkeypatch) as two,
            ThreadPoolExecutor(8) as pool,
        ):
            part = LocalBlobStore(store).part(str(digest_of(content)))
            of_one = [pool.submit(received, one, content) for _ in range(4)]
            until(lambda: part.exists() and part.stat().st_size > 0)
            of_two = [pool.submit(received, two, content) for _ in range(4)]
            until(lambda: part.exists() and part.stat().st_size > SIZE // 3)
            for child in psutil.Process(one.process.pid).children(recursive=True):
                child.send_signal(signal.SIGKILL)
            assert [found.result() < 100 for found in of_two] == [True] * 4
            assert [found.result() for found in of_one] == [100] * 4, "the machine died before the end"
        first, second = hub.asked("GET", "org/shared/resolve/")
        assert "range" not in first.headers
        assert int(second.headers["range"].removeprefix("bytes=").rstrip("-")) > 0
