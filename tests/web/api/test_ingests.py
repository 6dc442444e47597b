"""Models are asked for over HTTP, and the jobs that follow are watched, cancelled, and survive their process."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.clamd import eicar, signatures
from tests.services.weighbridge import Served, holds, serving
from tests.simulators.web import WebServer
from weighbridge.catalog import JobOrder
from weighbridge.web.api.job_documents import JobDocument, Jobs

pytestmark = pytest.mark.xdist_group("web")

SPEC = {"name": "my-custom-model", "source": "custom", "architecture": "llama", "parameter_count": 7000000000}


def environment(folder: Path, **more: str) -> dict[str, str]:
    (folder / "models").mkdir(exist_ok=True)
    chosen = {
        "POLICY": "minimal",
        "CLAMAV_DATABASE": str(signatures(folder / "signatures")),
        "FILE_ROOTS": str(folder / "models"),
        "PRIVATE_NETWORKS": "127.0.0.0/8",
        "JOB_LEASE_S": "3",
        **more,
    }
    return {f"WEIGHBRIDGE_{name}": value for name, value in chosen.items()}


class Works:
    """A served registry with folders of models that it may take in."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.served, self.folder = served, folder
        self._keys: dict[tuple[str, ...], dict[str, str]] = {}

    def key(self, role: str, *models: str) -> dict[str, str]:
        """Return the header with a key of that role, the same one each time."""
        if (role, *models) not in self._keys:
            self._keys[role, *models] = self.served.key(role, *models)
        return self._keys[role, *models]

    def model(self, name: str, **files: str) -> str:
        """Make a folder of a model and return its storage path."""
        folder = self.folder / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in ({"config": '{"model_type": "llama"}'} | files).items():
            (folder / f"{file}.json").write_text(text)
        return f"file:{folder}"

    def ask(
        self, method: str, path: str, body: object = None, role: str = "publisher", models: str = "", **options: Any
    ) -> Any:
        key = self.key(role, models) if models else self.key(role)
        curl = {"Content-Type": "application/x-www-form-urlencoded"}  # What it says of -d; the body is JSON.
        headers = {**key, **curl, **options.pop("headers", {})}
        content = None if body is None else json.dumps(body)
        return self.served.request(method, path, content=content, headers=headers, **options)

    def queued(self, path: str, body: object = None, **options: Any) -> dict[str, Any]:
        """Post an order and return its job."""
        response = self.ask("POST", path, body, **options)
        job: dict[str, Any] = holds(JobDocument, response, 202)
        assert response.headers["location"] == f"/api/ingests/{job['id']}"
        return job

    def until(self, job: dict[str, Any], enough: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while not enough(found := holds(JobDocument, self.ask("GET", f"/ingests/{job['id']}"))):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def done(self, job: dict[str, Any]) -> dict[str, Any]:
        return self.until(job, lambda found: found["ended_at"])


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    folder = tmp_path_factory.mktemp("works")
    with serving(folder / "home", environment(folder)) as served:
        yield Works(served, folder)


def test_the_lines_of_the_specification(works: Works) -> None:
    path = works.model("spec")
    job = works.done(works.queued("/models", SPEC | {"storage_path": path}))
    assert (job["status"], job["state"], job["version"], job["error"]) == ("PASSED", "done", "1.0.0", None)
    declared = {"architecture": "llama", "parameter_count": 7000000000}
    assert (job["declared"], job["warnings"]) == (declared, [])
    assert [step["name"] for step in job["steps"]][:3] == ["resolve", "fetch", "scan"]
    assert {step["state"] for step in job["steps"]} == {"done"}
    model = works.served.get("/models/my-custom-model").json()
    assert (model["default_version"], model["parameter_count"], model["license_type"]) == ("1.0.0", 7000000000, None)
    assert model["declared"].items() >= {**declared, "declared_by": job["asked_by"]}.items()

    second = {"version": "2.0.0", "storage_path": works.model("spec-v2", more="{}"), "changelog": "Updated fine-tuning"}
    job = works.done(works.queued("/models/my-custom-model/versions", second))
    assert (job["status"], job["version"], job["declared"]) == (
        *("PASSED", "2.0.0"),
        {"changelog": "Updated fine-tuning"},
    )
    assert job["warnings"] == ["What changed since 1.0.0 is a patch change, which would be 1.0.1; it was given 2.0.0."]

    assert works.served.get("/models/my-custom-model/versions/2.0.0").json()["changelog"] == "Updated fine-tuning"

    job = works.done(works.queued("/models/my-custom-model/scan"))
    assert (job["kind"], job["status"], job["version"]) == ("rescan", "PASSED", "2.0.0")
    job = works.done(works.queued("/models/my-custom-model/scan", {"version": "1.0.0"}))
    assert job["version"] == "1.0.0"
    job = works.done(
        works.queued("/models/import", {"source": "mock", "model_id": "org/name", "name": "spec/imported"})
    )
    assert (job["name"], job["source"], job["status"]) == ("spec/imported", "mock:org/name", "PASSED")


def test_curl_as_it_is_written(works: Works) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl here")
    body = json.dumps({"source": "mock", "model_id": "org/curl", "name": "curl"})
    key = ["-H", f"Authorization: {works.key('publisher')['Authorization']}"]
    command = [curl, "-s", *key, "-X", "POST", f"{works.served.url}/models/import", "-d", body]
    job = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert works.done(job)["status"] == "PASSED"


@pytest.mark.parametrize(
    ("body", "source"),
    [
        ({"source": "huggingface", "model_id": "org/name", "revision": "v1"}, "hf:org/name@v1"),
        ({"source": "huggingface", "model_id": "hf:org/name@v2"}, "hf:org/name@v2"),
        ({"source": "s3", "model_id": "bucket/prefix"}, "s3://bucket/prefix"),
        ({"source": "s3", "model_id": "s3://bucket/prefix/"}, "s3://bucket/prefix"),
        ({"source": "url", "model_id": "https://host.example/m.gguf"}, "https://host.example/m.gguf"),
        ({"source": "ollama", "model_id": "llama2:7b"}, "ollama:llama2:7b"),
        ({"source": "pypi", "model_id": "package", "revision": "1.2"}, "pypi:package==1.2"),
        ({"uri": "git+https://host.example/m.git@v1#sub"}, "git+https://host.example/m.git@v1#sub"),
    ],
)
def test_what_may_be_imported(works: Works, body: dict[str, str], source: str) -> None:
    waiting = works.ask("POST", "/models/import", body)
    assert (waiting.status_code, waiting.json()["source"]) == (202, source)
    assert works.ask("DELETE", f"/ingests/{waiting.json()['id']}").status_code in (200, 409)


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/models/import", {}, 422, "body"),
        ("/models/import", {"source": "huggingface"}, 422, "body"),
        ("/models/import", {"source": "nowhere", "model_id": "a"}, 422, "body"),
        ("/models/import", {"source": "mock", "model_id": "a/b", "uri": "mock:a/b"}, 422, "body"),
        ("/models/import", {"source": "mock", "model_id": "a/b", "nmae": "c"}, 422, "body.nmae"),
        ("/models/import", {"uri": "x" * 5000}, 422, "body.uri"),
        ("/models/import", {"uri": "nowhere:a"}, 400, ""),
        ("/models/import", {"source": "huggingface", "model_id": "a/b/c"}, 400, ""),
        ("/models/import", {"source": "huggingface", "model_id": "a/b?token=x"}, 400, ""),
        ("/models/import", {"uri": "https://user:secret@host/x.gguf"}, 400, ""),
        ("/models/import", {"uri": "mock:a/b", "name": "a@b"}, 400, ""),
        ("/models/import", {"uri": "mock:a/b", "policy": "none"}, 400, ""),
        ("/models/import", {"uri": "mock:a/b", "version": "one"}, 400, ""),
        ("/models/import", {"uri": "mock:a/b", "hash": "sha256:1"}, 400, ""),
        ("/models/import", {"uri": "mock:a/b", "token_env": "HOME"}, 400, ""),
        ("/models/import", [1], 422, "body"),
        ("/models/import", "text", 422, "body"),
        ("/models", {**SPEC, "storage_path": "https://host/x"}, 422, "body.storage_path"),
        ("/models", {**SPEC, "storage_path": "s3://b"}, 400, ""),
        ("/models", {**SPEC, "storage_path": "s3://bucket/x", "parameter_count": "many"}, 422, "body.parameter_count"),
        ("/models", {"name": "a", "storage_path": "s3://bucket/x", "parameter_count": 1}, 422, "body.architecture"),
        ("/models", {**SPEC, "source": "huggingface", "storage_path": "s3://bucket/x"}, 422, "body.source"),
        ("/models/none/such/versions", {"storage_path": "s3://bucket/x"}, 404, ""),
        ("/models/none/such/scan", None, 404, ""),
        ("/models/none/such/scan", {"version": 1}, 422, "body.version"),
    ],
)
def test_what_is_wrong_is_told_and_not_queued(works: Works, path: str, body: object, status: int, field: str) -> None:
    newest = works.ask("GET", "/ingests?limit=1").json()["items"][0]["id"]
    response = works.ask("POST", path, body)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert not field or response.json()["errors"][0]["field"] == field
    assert works.ask("GET", "/ingests?limit=1").json()["items"][0]["id"] == newest


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"name=x&source=y", b"[" * 50_000])
def test_a_body_that_is_no_json_is_refused(works: Works, content: bytes) -> None:
    headers = works.key("publisher")
    for kind in ({}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "application/json"}):
        response = works.served.request("POST", "/models/import", content=content, headers=headers | kind)
        assert response.status_code in (400, 422)
        assert response.headers["content-type"] == "application/problem+json"


def test_a_model_that_is_bad_is_judged_like_any_other(works: Works) -> None:
    job = works.done(works.queued("/models", SPEC | {"name": "bad", "storage_path": works.model("bad", bad=_eicar())}))
    assert (job["status"], job["state"], job["version"]) == ("FAILED", "done", "1.0.0")
    assert any(reason["effect"] == "reject" and reason["path"] == "bad.json" for reason in job["reasons"])


def test_what_is_declared_and_contradicts_the_files_is_a_warning(works: Works) -> None:
    body = SPEC | {"name": "declared", "storage_path": works.model("declared"), "architecture": "bert", "tags": ["a"]}
    told = "architecture: bert was declared, but the files say llama (config.json#model_type)."
    assert works.done(works.queued("/models", body))["warnings"] == [told]
    model = works.served.get("/models/declared").json()
    assert (model["warnings"], model["architecture"], model["declared"]["architecture"]) == ([told], "llama", "bert")
    bad = body | {"storage_path": works.model("declared", bad=_eicar()), "tags": ["b"]}
    assert works.done(works.queued("/models", bad))["status"] == "FAILED"
    assert works.served.get("/models/declared").json()["tags"] == ["a"], "a FAILED version declares nothing new"


def _eicar() -> str:
    return eicar().decode("latin-1")


def test_an_error_of_the_work_is_told_to_its_asker(works: Works) -> None:
    job = works.done(works.queued("/models", SPEC | {"name": "away", "storage_path": "file:/etc"}))
    assert (job["status"], job["state"], job["version"], job["reasons"]) == ("ERROR", "failed", None, [])
    assert job["error"]["type"] == "urn:weighbridge:problem:access-denied"
    works.done(works.queued("/models", SPEC | {"name": "taken", "storage_path": works.model("taken")}))
    job = works.done(works.queued("/models/import", {"uri": "mock:org/other", "name": "taken"}))
    assert job["error"]["type"] == "urn:weighbridge:problem:name-taken"


def test_an_order_that_is_sent_twice_is_queued_once(works: Works) -> None:
    body, key = {"uri": "mock:org/twice"}, {"headers": {"Idempotency-Key": "1"}}
    first = works.queued("/models/import", body, **key)
    works.done(first)
    assert works.queued("/models/import", body, **key)["id"] == first["id"]
    assert works.queued("/models/import", body)["id"] != first["id"]
    assert works.queued("/models/import", body, role="admin", **key)["id"] != first["id"]
    response = works.ask("POST", "/models/import", {"uri": "mock:org/other"}, **key)
    assert (response.status_code, response.json()["type"]) == (422, "urn:weighbridge:problem:key-reused")
    assert works.ask("POST", "/models/import", body, headers={"Idempotency-Key": "x" * 300}).status_code == 422


def test_who_may_ask_for_what(works: Works) -> None:
    job = works.queued("/models/import", {"uri": "mock:org/mine", "name": "team-a/mine"})
    works.done(job)
    posts = {
        "/models/import": {"uri": "mock:org/x"},
        "/models": SPEC | {"storage_path": "s3://bucket/x"},
        "/models/team-a/mine/versions": {"storage_path": "s3://bucket/x"},
        "/models/team-a/mine/scan": None,
    }
    for path, body in posts.items():
        assert works.served.request("POST", path, json=body).status_code == 401
        assert works.ask("POST", path, body, role="reader").status_code == 403
        assert works.ask("POST", path, body, models="team-b/*").status_code == 403
    assert works.ask("GET", "/ingests", role="reader").status_code == 403
    assert works.ask("DELETE", f"/ingests/{job['id']}", role="reader").status_code == 403
    for method in ("GET", "DELETE"):
        for path in (f"/ingests/{job['id']}", "/ingests/none"):
            assert works.ask(method, path, models="team-b/*").status_code == 404
    assert works.ask("GET", "/ingests", models="team-b/*").json()["items"] == []
    own = works.queued("/models/import", {"uri": "mock:org/b", "name": "team-b/b"}, models="team-b/*")
    assert works.done(own)["status"] == "PASSED"


def test_jobs_are_listed_in_parts_the_newest_first(works: Works) -> None:
    ids = [works.queued("/models/import", {"uri": f"mock:org/list{number}"})["id"] for number in range(3)]
    first = holds(Jobs, works.ask("GET", "/ingests?limit=2"))
    rest = holds(Jobs, works.ask("GET", f"/ingests?limit=2&cursor={first['next']}"))
    assert [job["id"] for job in (*first["items"], rest["items"][0])] == ids[::-1]
    for wrong in ("cursor=x", "cursor=WzFd", "cursor=WyJhIiwiYiJd", "state=lost", "limit=0"):
        assert works.ask("GET", f"/ingests?{wrong}").status_code in (400, 422)


def test_a_running_job_is_watched_and_cancelled(works: Works) -> None:
    with WebServer() as web:
        job = works.queued("/models/import", {"uri": web.put("/slow.bin", b"x" * 90_000, trickle_after=5000)})
        running = works.until(job, lambda found: found["steps"] and found["steps"][1]["done"])
        fetch = running["steps"][1]
        assert (running["status"], fetch["name"], fetch["state"], fetch["total"]) == (
            *("FETCHING", "fetch", "running", 90_000),
        )
        response = works.ask("DELETE", f"/ingests/{job['id']}")
        assert (response.status_code, response.json()["cancel_wanted"]) == (200, True)
        cancelled = works.done(job)
    assert (cancelled["status"], cancelled["state"], cancelled["error"]) == ("CANCELLED", "cancelled", None)
    assert works.ask("DELETE", f"/ingests/{job['id']}").status_code == 200
    done = works.done(works.queued("/models/import", {"uri": "mock:org/done"}))
    assert works.ask("DELETE", f"/ingests/{done['id']}").status_code == 409


def test_events_end_with_the_job(works: Works) -> None:
    job = works.queued("/models/import", {"uri": "mock:org/watched"})
    headers = works.key("reader")
    url = f"{works.served.url}/ingests/{job['id']}/events"
    with works.served.client.stream("GET", url, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        blocks = "".join(response.iter_text()).strip().split("\n\n")
    kinds = [block.splitlines()[0] for block in blocks if not block.startswith(":")]
    assert kinds == ["event: progress"] * (len(kinds) - 1) + ["event: end"]
    last = JobDocument.model_validate_json(blocks[-1].splitlines()[1].removeprefix("data: "))
    assert (last.id, last.status) == (job["id"], "PASSED")
    assert works.ask("GET", "/ingests/none/events").status_code == 404


def test_a_job_goes_on_after_a_kill_and_events_end_with_the_server(tmp_path: Path) -> None:
    with WebServer() as web:
        slow = {"uri": web.put("/m.bin", b"x" * 50_000, trickle_after=20_000), "name": "m"}
        with serving(tmp_path / "home", environment(tmp_path)) as served:
            works = Works(served, tmp_path)
            job = works.queued("/models/import", slow)
            assert works.until(job, _fetching)["status"] == "FETCHING"
            assert served.stop(signal.SIGKILL) == -signal.SIGKILL
        web.put("/m.bin", b"x" * 50_000)
        with serving(tmp_path / "home", environment(tmp_path)) as served:
            works = Works(served, tmp_path)
            done = works.done(job)
            assert (done["status"], done["version"]) == ("PASSED", "1.0.0")
            slow["uri"] = web.put("/other.bin", b"y" * 50_000, trickle_after=20_000)
            job = works.queued("/models/import", slow | {"name": "other"})
            works.until(job, _fetching)
            events: list[str] = []
            headers = works.key("publisher")
            watching = threading.Thread(
                target=_watch, args=(f"{served.url}/ingests/{job['id']}/events", headers, events)
            )
            watching.start()
            works.until(job, lambda _: events)
            assert served.stop() == 0
            watching.join()
            assert "cut" not in events
            assert [line for line in served.said if "Cancel" in line] == []
            waiting = served.catalog.jobs.get(job["id"])
            assert (waiting.state, waiting.beginnings) == ("queued", 0)


def _fetching(job: dict[str, Any]) -> bool:
    return bool(job["steps"]) and job["steps"][1]["done"] >= 20_000


def _watch(url: str, headers: dict[str, str], events: list[str]) -> None:
    with httpx.Client(trust_env=False, timeout=60) as client, client.stream("GET", url, headers=headers) as response:
        try:
            for line in response.iter_lines():
                events.append(line)
        except httpx.RemoteProtocolError:
            events.append("cut")


def test_what_is_purged_is_withdrawn_at_once_and_its_bytes_go(works: Works) -> None:
    def blobs() -> set[str]:
        return {path.name for path in (works.folder / "home" / "store" / "blobs").glob("*/*/*")}

    works.done(works.queued("/models/import", {"uri": works.model("stays"), "name": "purge/stays"}))
    before = blobs()
    only = '{"only": "this one has it"}'
    order = {"uri": works.model("goes", more=only), "name": "purge/goes"}
    works.done(works.queued("/models/import", order))
    (gone,) = blobs() - before
    for path in ("/models/purge/goes", "/models/purge/goes/versions/1.0.0"):
        assert works.ask("DELETE", f"{path}?purge=true").status_code == 403
        assert works.ask("DELETE", f"{path}?purge=1.5", role="admin").status_code == 422
    assert works.ask("DELETE", "/models/purge/none?purge=true", role="admin").status_code == 404
    assert works.ask("DELETE", "/models/purge/goes").json()["default_version"] is None
    assert works.ask("POST", "/models/purge/goes/versions/1.0.0/reinstate").json()["default_version"] == "1.0.0"
    assert works.served.get("/models/purge/goes").json()["status"] == "PASSED"

    options = {"role": "admin", "headers": {"Idempotency-Key": "purge"}}
    response = works.ask("DELETE", "/models/purge/goes?purge=true&reason=recalled", **options)
    job = holds(JobDocument, response, 202)
    assert (job["kind"], response.headers["location"]) == ("purge", f"/api/ingests/{job['id']}")
    assert works.served.get("/models/purge/goes").json()["status"] == "FAILED"
    end = works.done(job)
    assert (end["state"], end["status"], end["freed"], end["error"]) == ("done", "PURGED", len(only), None)
    assert (end["steps"][0]["name"], end["steps"][0]["state"]) == ("delete", "done")
    assert blobs() == before
    version = works.served.get("/models/purge/goes/versions/1.0.0").json()
    assert version["decision"]["reasons"][0]["message"] == "recalled"
    actions = [row.action for row in works.served.catalog.audit.of_model("purge/goes")][-5:]
    assert actions == ["version.withdrawn", "version.unpublished", "job.queued", "version.purged", "job.done"]
    assert gone not in blobs()

    works.done(works.queued("/models/import", order))
    assert gone in blobs()
    assert works.served.get("/models/purge/goes").json()["status"] == "FAILED"


def test_a_purge_of_a_version_that_was_reinstated_meanwhile_says_so(works: Works) -> None:
    works.done(works.queued("/models/import", {"uri": works.model("back", more='"back"'), "name": "purge/back"}))
    order = JobOrder("purge", "purge/back", {"name": "purge/back", "versions": ["1.0.0", "9.9.9"]}, "key:other")
    job = works.done({"id": works.served.catalog.jobs.add(order).id})
    assert (job["status"], job["error"]["type"]) == ("ERROR", "urn:weighbridge:problem:state-conflict")
    assert works.served.get("/models/purge/back").json()["status"] == "PASSED"
