"""The mode `read-through` with a real server and a Hub: streamed while stored, once, proven, and weighed afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.services.clamd import eicar, signatures
from tests.services.weighbridge import serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import Mirrored, digest_of, mirrored
from weighbridge.domain.audit import AuditRow
from weighbridge.domain.clock import utc_now
from weighbridge.intake.callers import create_key

pytestmark = pytest.mark.xdist_group("web")

SIZE = 3 * 1024**2


def files(name: str) -> dict[str, bytes]:
    """Return files that no other model has: what is in the store is not fetched."""
    large = hashlib.shake_128(name.encode()).digest(SIZE)
    return {"config.json": f'{{"model_type": "llama", "of": "{name}"}}'.encode(), "model.bin": large}


@dataclass
class Through:
    """A mirror that hands on what a Hub has, and the header with a reader's key."""

    mirror: Mirrored
    hub: Hub
    key: dict[str, str]

    @property
    def token(self) -> str:
        return self.key["Authorization"].removeprefix("Bearer ")

    def request(self, method: str, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.mirror.request(method, path, headers={**self.key, **named})

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, **headers)

    def head(self, path: str, **headers: str) -> httpx.Response:
        return self.request("HEAD", path, **headers)

    def commit(self, name: str) -> str:
        return self.hub.repositories["models", name].branches["main"]

    def fetched(self, path: str) -> int:
        """How often the Hub was asked for a file's bytes."""
        return len(self.hub.asked("GET", path))

    def until_weighed(self, name: str) -> None:
        deadline = time.monotonic() + 60
        while not (found := self.mirror.served.catalog.lists.versions(name)):
            assert time.monotonic() < deadline, f"{name} has no verdict"
            time.sleep(0.1)
        assert found

    def rows(self, action: str, object_: str) -> list[AuditRow]:
        """Wait for rows of the audit log."""
        deadline = time.monotonic() + 20
        while not (rows := self.mirror.served.catalog.audit.rows(action=action, object_=object_)):
            assert time.monotonic() < deadline, f"there is no row {action} of {object_}"
            time.sleep(0.1)
        return rows


@contextmanager
def handing_on(folder: Path, hub: Hub, workers: int = 1, more: str = "") -> Iterator[Through]:
    config = folder / "mirror.yaml"
    hub.tokens["hf_upstream"] = frozenset({"org/private"})
    config.write_text(
        "backends:\n  - type: huggingface\n    config:\n      prefix: /hub/\n"
        f"      base_url: {hub.url}\n      token: ${{UPSTREAM_TOKEN}}\n      mode: read-through\n{more}"
    )
    variables = {
        "WEIGHBRIDGE_POLICY": "minimal",
        "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(folder / "signatures")),
        "UPSTREAM_TOKEN": "hf_upstream",
    }
    with serving(folder / "home", variables, "--config", str(config), "--workers", str(workers)) as served:
        mirror = mirrored(served, folder / "home")
        mirror.url = mirror.url.replace("/huggingface", "/hub")
        _, text = create_key(served.catalog, "client", "reader", now=utc_now(), expires="", models=())
        yield Through(mirror, hub, {"Authorization": f"Bearer {text}"})


def slow(hub: Hub, name: str, commit: str, pause_s: float = 0.08) -> None:
    """Have a Hub send the large file of a model in twelve parts, with pauses."""
    hub.fault(f"{name}/resolve/{commit}/model.bin", pause_s=pause_s)


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Through]:
    folder = tmp_path_factory.mktemp("through")
    with Hub() as hub, handing_on(folder, hub) as found:
        yield found


def test_a_cold_miss_loads_at_once_and_is_weighed_afterwards(through: Through, tmp_path: Path) -> None:
    content = files("private")
    through.hub.add("org/private", content, private=True)
    code = "from huggingface_hub import snapshot_download\nprint(snapshot_download('org/private'))\n"
    done = through.mirror.python(code, tmp_path, HF_TOKEN=through.token)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.splitlines()[-1])
    assert folder.name == through.commit("org/private")
    assert {path: (folder / path).read_bytes() for path in content} == content
    sent = {request.headers.get("authorization") for request in through.hub.asked(path="org/private")}
    assert sent == {"Bearer hf_upstream"}, "the client's key is for this registry"
    through.hub.add("org/bad", {**files("bad"), "run.bin": eicar()})
    assert through.get("/org/bad/resolve/main/run.bin").content == eicar()
    before = through.head("/org/private/resolve/main/config.json")
    assert "not been weighed yet" in before.headers["x-hf-warning"]
    through.until_weighed("org/private")
    after = through.head("/org/private/resolve/main/config.json")
    assert "x-hf-warning" not in after.headers
    for name in ("etag", "x-repo-commit", "x-linked-etag", "x-linked-size", "content-length"):
        assert before.headers[name] == after.headers[name]
    assert after.headers["etag"] == f'"{digest_of(content["config.json"]).hex}"'
    assert [through.fetched(f"private/resolve/{folder.name}/{path}") for path in content] == [1, 1], (
        "what is here is not fetched again"
    )
    (row,) = through.rows("version.served", "org/private@1.0.0")
    assert (row.actor, row.after and row.after["address"]) == ("key:client", "127.0.0.1")
    (row,) = through.rows("version.exposed", "org/bad@1.0.0")
    assert row.after is not None
    assert (row.actor, row.after["files"], row.after["address"]) == ("key:client", ["run.bin"], "127.0.0.1")
    refused = through.get("/org/bad/resolve/main/config.json")
    assert (refused.status_code, refused.headers["x-error-code"]) == (404, "RevisionNotFound"), (
        "clients go on using their copies after any other answer"
    )
    assert "EICAR" in refused.headers["x-error-message"]


def test_one_fetch_for_all_who_ask_at_once(through: Through) -> None:
    content = files("crowd")
    through.hub.add("org/crowd", content)

    def get(_: int) -> bytes:
        return through.get("/org/crowd/resolve/main/model.bin").content

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(get, range(16))) == {content["model.bin"]}
    assert through.fetched("crowd/resolve") == 1
    assert len(through.hub.asked("GET", "/api/models/org/crowd/tree")) == 1


def test_descriptions_come_from_upstream(through: Through) -> None:
    large = files("described")["model.bin"]
    through.hub.add("org/described", {**files("described"), "sub/one.txt": b"one"})
    commit = through.commit("org/described")
    info = through.get("/api/models/org/described/revision/main").json()
    assert (info["sha"], info["id"]) == (commit, "org/described")
    assert {one["rfilename"] for one in info["siblings"]} == {"config.json", "model.bin", "sub/one.txt"}
    tree = {one["path"]: one for one in through.get(f"/api/models/org/described/tree/{commit}?recursive=1").json()}
    assert tree["model.bin"]["lfs"]["oid"] == digest_of(large).hex
    assert "lfs" not in tree["config.json"]
    assert through.get("/api/models/org/described/refs").json()["branches"][0]["targetCommit"] == commit
    head = through.head("/org/described/resolve/main/model.bin")
    assert (head.headers["etag"], head.headers["content-length"]) == (f'"{digest_of(large).hex}"', str(SIZE))
    assert head.headers["x-repo-commit"] == commit
    assert through.fetched("described/resolve") == 0, "a description fetches no file"
    missing = through.get("/org/described/resolve/main/none.txt")
    assert (missing.status_code, missing.headers["x-error-code"]) == (404, "EntryNotFound")
    assert through.get("/org/none/resolve/main/config.json").headers["x-error-code"] == "RepoNotFound"


def test_a_wrong_digest_ends_the_transfer_and_keeps_nothing(through: Through) -> None:
    through.hub.add("org/lying", files("lying"))
    through.hub.fault(f"org/lying/resolve/{through.commit('org/lying')}/model.bin", zeros=True, pause_s=0.1)
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed"):
        through.get("/org/lying/resolve/main/model.bin")
    later = through.get("/org/lying/resolve/main/model.bin")
    assert later.status_code == 404
    assert "was promised" in later.headers["x-error-message"]
    assert not through.mirror.store.has(digest_of(bytes(SIZE)))
    assert not [path for path in (through.mirror.store.root / "partial").iterdir() if path.stat().st_size > 1024**2]


def test_only_known_callers_get_what_is_not_weighed(through: Through) -> None:
    through.hub.add("org/anonymous", files("anonymous"))
    response = through.mirror.get("/org/anonymous/resolve/main/config.json")
    assert response.status_code == 401
    assert through.hub.asked(path="anonymous") == []


def test_ranges_of_a_file_that_is_still_coming(through: Through) -> None:
    content = files("ranges")["model.bin"]
    through.hub.add("org/ranges", files("ranges"))
    slow(through.hub, "org/ranges", through.commit("org/ranges"))
    path = "/org/ranges/resolve/main/model.bin"
    wanted = {
        "bytes=0-0": content[:1],
        "bytes=5-9": content[5:10],
        f"bytes={SIZE // 2}-": content[SIZE // 2 :],
        "bytes=-7": content[-7:],
    }
    with ThreadPoolExecutor(8) as pool:
        found = {one: pool.submit(through.get, path, Range=one) for one in wanted}
        several = pool.submit(through.get, path, Range="bytes=0-1, -1").result()
    assert {one: (got.result().status_code, got.result().content) for one, got in found.items()} == {
        one: (206, part) for one, part in wanted.items()
    }
    assert (several.status_code, several.content.count(b"Content-Range")) == (206, 2)
    assert content[-1:] in several.content
    assert through.get(path, Range=f"bytes={SIZE}-").status_code == 416
    assert through.fetched("ranges/resolve") == 1


def test_what_upstream_cuts_is_resumed(through: Through) -> None:
    content = files("cut")
    through.hub.add("org/cut", content)
    through.hub.fault(f"{through.commit('org/cut')}/model.bin", cut_after=1024**2, times=1)
    assert through.get("/org/cut/resolve/main/model.bin").content == content["model.bin"]
    first, second = through.hub.asked("GET", "/cut/resolve")
    assert "range" not in first.headers
    assert second.headers["range"] == "bytes=1048576-"


def test_a_client_that_goes_leaves_no_part_for_the_next_one(through: Through) -> None:
    """Other caches keep what a client that hung up had received as the whole file."""
    content = files("gone")["model.bin"]
    through.hub.add("org/gone", files("gone"))
    slow(through.hub, "org/gone", through.commit("org/gone"))
    url = f"{through.mirror.url}/org/gone/resolve/main/model.bin"
    with through.mirror.served.client.stream("GET", url, headers=through.key) as answer:
        assert len(next(answer.iter_raw())) < SIZE
    assert through.get("/org/gone/resolve/main/model.bin").content == content
    assert through.fetched("gone/resolve") == 1


def test_a_busy_upstream_is_asked_again(through: Through) -> None:
    content = files("busy")
    through.hub.add("org/busy", content)
    through.hub.fault(f"{through.commit('org/busy')}/model.bin", status=429, headers={"Retry-After": "1"}, times=1)
    assert through.get("/org/busy/resolve/main/model.bin").content == content["model.bin"]


@pytest.mark.parametrize(
    ("name", "location", "words"),
    [
        ("loop", "{url}", "redirects more than"),
        ("inside", "http://169.254.169.254/latest/meta-data", "169.254.169.254"),
    ],
)
def test_where_upstream_may_not_lead(through: Through, name: str, location: str, words: str) -> None:
    through.hub.add(f"org/{name}", files(name))
    path = f"/org/{name}/resolve/{through.commit(f'org/{name}')}/model.bin"
    there = location.format(url=f"{through.hub.url}{path}")
    through.hub.fault(path, status=302, headers={"Location": there})
    refused = through.get(f"/org/{name}/resolve/main/model.bin")
    assert refused.status_code == 404
    assert words in refused.headers["x-error-message"]


def test_one_fetch_for_several_processes_goes_on_when_the_fetching_one_is_killed(tmp_path: Path) -> None:
    content = files("several")["model.bin"]
    with Hub() as hub:
        hub.add("org/several", files("several"))
        slow(hub, "org/several", hub.repositories["models", "org/several"].branches["main"], pause_s=0.2)
        with handing_on(tmp_path, hub, workers=2) as through:
            part = through.mirror.store.part(str(digest_of(content)))

            def get(_: int) -> int:
                """Return how often a client had to resume until it had all bytes."""
                received = b""
                for attempt in range(100):
                    with contextlib.suppress(httpx.TransportError), httpx.Client(trust_env=False, timeout=60) as client:
                        headers = {**through.key, "Range": f"bytes={len(received)}-"}
                        url = f"{through.mirror.url}/org/several/resolve/main/model.bin"
                        with client.stream("GET", url, headers=headers) as answer:
                            assert answer.status_code == 206
                            for piece in answer.iter_raw():
                                received += piece
                    if len(received) == SIZE:
                        assert received == content
                        return attempt
                    time.sleep(0.1)
                raise AssertionError("the file never arrived")

            with ThreadPoolExecutor(12) as pool:
                attempts = [pool.submit(get, number) for number in range(12)]
                until(lambda: part.exists() and part.stat().st_size > SIZE // 4)
                os.kill(writer_of(part, through.mirror.served.process.pid), signal.SIGKILL)
                assert sum(one.result() for one in attempts) >= 1
        first, second = hub.asked("GET", "several/resolve")
        assert "range" not in first.headers
        assert int(second.headers["range"].removeprefix("bytes=").rstrip("-")) >= SIZE // 4


def writer_of(part: Path, parent: int) -> int:
    """Return which child of a process has a file open for writing."""
    for child in psutil.Process(parent).children():
        for one in child.open_files():
            if one.path == str(part) and one.mode != "r":
                return child.pid
    raise AssertionError(f"nobody writes {part}")


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_counted_as_handed_on_and_the_mirrors_own_afterwards(through: Through) -> None:
    def metric(series: str) -> float:
        text = through.mirror.served.client.get(f"{through.mirror.served.url.removesuffix('/api')}/metrics").text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"weighbridge_{series} "))

    content = files("counted")
    through.hub.add("org/counted", content)
    hits, handed_on = (metric(f'mirror_files_total{{result="{one}"}}') for one in ("hit", "through"))
    assert through.get("/org/counted/resolve/main/model.bin").content == content["model.bin"]
    assert metric('mirror_files_total{result="through"}') > handed_on
    assert metric('mirror_files_total{result="hit"}') == hits
    assert metric("upstream_seconds_total") > 0
    through.until_weighed("org/counted")
    (used,) = [one for one in through.mirror.served.catalog.uses.versions() if one.name == "org/counted"]
    deadline = time.monotonic() + 20
    while not used.mirrored:  # The attempt ends after its version is there.
        assert time.monotonic() < deadline
        (used,) = [one for one in through.mirror.served.catalog.uses.versions() if one.name == "org/counted"]
    assert through.get("/org/counted/resolve/main/model.bin").content == content["model.bin"]
    assert metric('mirror_files_total{result="hit"}') > hits
