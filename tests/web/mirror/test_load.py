"""Many clients at once, and servers and clients that are killed in the middle.

Small here; with LOAD_TESTS=large 200 clients ask for a file of 200 MB.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bench.measuring import high_water
from tests.services.postgresql import postgresql_server, postgresql_url
from tests.services.weighbridge import Served, serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import Mirrored, mirrored
from tests.web.mirror.test_read_through import handing_on
from weighbridge.store.local import LocalBlobStore

__all__ = ["postgresql_server", "postgresql_url"]
pytestmark = pytest.mark.xdist_group("web")
LARGE = os.environ.get("LOAD_TESTS") == "large"
CLIENTS, SIZE = (200, 200_000_000) if LARGE else (40, 20_000_000)
MAX_RSS = 300 * 1000**2
NAME = "load/model"
PATH = f"/{NAME}/resolve/main/model.bin"


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(17).randbytes(1_000_000) * (SIZE // 1_000_000 - 1) + random.Random(19).randbytes(1_000_000)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def mirror_of_one(home: Path, content: bytes) -> Iterator[Mirrored]:
    with serving(home) as served:
        mirror = mirrored(served, home)
        mirror.add(NAME, {"model.bin": content})
        yield mirror


def received(url: str, start: int = 0, key: Mapping[str, str] | None = None) -> tuple[str, int]:
    """Return sha256 and length of the file from a place on; ask again where it is not there in time (429)."""
    digest, length = hashlib.sha256(), 0
    headers = {**(key or {}), **({"Range": f"bytes={start}-"} if start else {})}
    with httpx.stream("GET", f"{url}{PATH}", headers=headers, trust_env=False, timeout=120) as response:
        if response.status_code != 429:
            assert response.status_code == (206 if start else 200)
            for piece in response.iter_raw():
                digest.update(piece)
                length += len(piece)
            return digest.hexdigest(), length
    time.sleep(1)
    return received(url, start, key)


def assert_nothing_is_left(home: Path) -> None:
    """Catalog and store are whole, and nothing of what was under way is there any more."""
    command = [sys.executable, "-m", "weighbridge", "fsck"]
    environment = {**os.environ, "WEIGHBRIDGE_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((home / "store" / "partial").iterdir()) == []


def test_many_clients_ask_for_one_file_at_once(mirror_of_one: Mirrored, content: bytes) -> None:
    """The server has not hashed it yet; a large one is hashed once, beside all transfers."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        found = set(pool.map(lambda _: received(mirror_of_one.url), range(CLIENTS)))
    assert found == {(hashlib.sha256(content).hexdigest(), len(content))}
    most = high_water(mirror_of_one.served.process.pid)
    assert 0 < most <= MAX_RSS, most


def test_many_clients_ask_for_one_cold_file_at_once(content: bytes, tmp_path: Path) -> None:
    """One fetch of the Hub, which all of them read while it arrives; every byte of each is compared."""
    with Hub() as hub, handing_on(tmp_path, hub) as through:
        hub.add(NAME, {"model.bin": content})

        with ThreadPoolExecutor(CLIENTS) as pool:
            found = set(pool.map(lambda _: received(through.mirror.url, key=through.key), range(CLIENTS)))
        assert found == {(hashlib.sha256(content).hexdigest(), len(content))}
        assert through.fetched(f"{NAME}/resolve") == 1
        most = high_water(through.mirror.served.process.pid)
        assert 0 < most <= MAX_RSS, most


def cut(url: str, begun: threading.Barrier) -> bytes:
    """Return what comes before the server dies; it is asked to die once every client has some."""
    got = b""
    try:
        with httpx.stream("GET", f"{url}{PATH}", trust_env=False, timeout=120) as response:
            for piece in response.iter_raw():
                if not got:
                    begun.wait(60)
                got += piece
    except httpx.TransportError:
        pass
    return got


def test_clients_resume_after_the_server_was_killed(home: Path, content: bytes) -> None:
    clients, begun = 5, threading.Barrier(6)
    with serving(home) as served:
        mirrored(served, home).add(NAME, {"model.bin": content})
        with ThreadPoolExecutor(clients) as pool:
            waiting = [pool.submit(cut, mirrored(served, home).url, begun) for _ in range(clients)]
            begun.wait(60)
            assert served.stop(signal.SIGKILL) == -signal.SIGKILL
            parts = [one.result() for one in waiting]
    with serving(home) as served:
        url = mirrored(served, home).url
        for part in parts:
            assert content.startswith(part)
            rest = hashlib.sha256(content[len(part) :]).hexdigest(), len(content) - len(part)
            assert not rest[1] or received(url, len(part)) == rest
        assert served.catalog.audit.prove().flaws == ()
    assert_nothing_is_left(home)


def test_clients_that_are_killed_leave_nothing(mirror_of_one: Mirrored, home: Path, content: bytes) -> None:
    begin = f"with httpx.stream('GET', '{mirror_of_one.url}{PATH}') as response:"
    program = f"import httpx\n{begin}\n next(response.iter_raw())\n print()\n input()"
    for _ in range(3):
        client = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdout.readline()
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()
    assert received(mirror_of_one.url)[1] == len(content)
    assert not [line for line in mirror_of_one.served.said if "Traceback" in line]
    assert mirror_of_one.served.stop() == 0
    assert_nothing_is_left(home)


def test_two_servers_have_one_store_and_one_catalog(postgresql_url: str, tmp_path: Path, content: bytes) -> None:
    settings = {"WEIGHBRIDGE_CATALOG_URL": postgresql_url, "WEIGHBRIDGE_STORE": str(tmp_path / "store")}
    with serving(tmp_path / "one", settings) as one, serving(tmp_path / "two", settings) as two:
        pair = [_of_store(served, tmp_path / "store") for served in (one, two)]
        pair[0].add(NAME, {"model.bin": content})
        for mirror in pair:
            assert received(mirror.url) == (hashlib.sha256(content).hexdigest(), len(content))
        one.catalog.withdraw(NAME, "1.0.0", "It is harmful.")
        for mirror in pair:
            assert mirror.get(PATH).headers["x-error-code"] == "RevisionNotFound"


def _of_store(served: Served, store: Path) -> Mirrored:
    return replace(mirrored(served, store.parent), store=LocalBlobStore(store))
