"""The mode `read-through` with a real server and a Hub: streamed while stored, once, proven, and weighed afterwards."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
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
def handing_on(folder: Path, hub: Hub, more: str = "", **environment: str) -> Iterator[Through]:
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
        **environment,
    }
    with serving(folder / "home", variables, "--config", str(config)) as served:
        mirror = mirrored(served, folder / "home")
        mirror.url = mirror.url.replace("/huggingface", "/hub")
        _, text = create_key(served.catalog, "client", "reader", now=utc_now(), expires="", models=())
        yield Through(mirror, hub, {"Authorization": f"Bearer {text}"})


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


def test_a_bad_verdict_names_who_has_the_file(through: Through) -> None:
    through.hub.add("org/bad", {**files("bad"), "run.bin": eicar()})
    assert through.get("/org/bad/resolve/main/run.bin").content == eicar()
    through.until_weighed("org/bad")
    refused = through.get("/org/bad/resolve/main/config.json")
    assert (refused.status_code, refused.headers["x-error-code"]) == (403, "GatedRepo")
    (row,) = through.rows("version.exposed", "org/bad@1.0.0")
    assert row.actor == "key:client"
    assert row.after is not None
    assert (row.after["files"], row.after["status"], row.after["address"]) == (["run.bin"], "FAILED", "127.0.0.1")


def test_only_known_callers_get_what_is_not_weighed(through: Through) -> None:
    through.hub.add("org/anonymous", files("anonymous"))
    response = through.mirror.get("/org/anonymous/resolve/main/config.json")
    assert response.status_code == 401
    assert through.hub.asked(path="anonymous") == []
