"""Faults of a Hub behind the mode `gated`: what clients read, that nothing wrong is kept, and that a job is enough."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.services.clamd import signatures
from tests.services.weighbridge import serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import mirrored
from tests.web.mirror.test_gated import Gated

pytestmark = pytest.mark.xdist_group("web")

FILES = {"config.json": b'{"model_type": "llama"}', "model.bin": b"weights" * 1000}
HTML = {"content": b"<html>Sign in to the network</html>", "headers": {"Content-Type": "text/html"}}
#: Each fault of a file, or of the description where no path is named, with words of the answer, which is 404.
LASTING: dict[str, tuple[str, dict[str, object], str]] = {
    "digest": ("/model.bin", {"zeros": True}, "Nothing was kept"),
    "length": ("/model.bin", {"length": 9000}, "no longer the file that it was"),
    "size": ("/model.bin", {"methods": ("HEAD",), "headers": {"X-Linked-Size": "9000"}}, "has the size 9000 now"),
    "commit": ("/model.bin", {"methods": ("HEAD",), "headers": {"X-Repo-Commit": "b" * 40}}, "has the commit bbb"),
    "loop": ("/model.bin", {"status": 302, "headers": {"Location": "model.bin"}}, "redirects more than 5 times"),
    "private": ("/model.bin", {"status": 302, "headers": {"Location": "http://10.255.0.1/x"}}, "not a public address"),
    "scheme": ("/model.bin", {"status": 302, "headers": {"Location": "file:///x"}}, "not plain http or https"),
    "page": ("/model.bin", HTML, "no longer the file that it was"),
    "tree": ("/tree", HTML, "not a list of a commit's files"),
    "html": ("", HTML, "cannot be read"),
    "empty": ("", {"content": b"{}"}, "cannot be read"),
    "endless": ("", {"status": 302, "headers": {"Location": "endless"}}, "redirects without end"),
    "refused": ("", {"status": 451}, "refuses access"),
    "teapot": ("", {"status": 418}, "HTTP 418"),
}
#: Faults that may pass by themselves: clients are asked to wait.
PASSING: dict[str, tuple[str, dict[str, object]]] = {
    "cut": ("/model.bin", {"cut_after": 0}),
    "slow": ("/model.bin", {"hang_after": 0}),
    "silent": ("", {"hang_after": -1}),
    "limited": ("", {"status": 429, "headers": {"Retry-After": "120"}}),
    "busy": ("", {"status": 503}),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    folder = tmp_path_factory.mktemp("faulty")
    config = folder / "mirror.yaml"
    with Hub() as hub:
        config.write_text(
            f"backends: [{{type: huggingface, config: {{base_url: {hub.url}, timeout: 0.3, mode: gated}}}}]"
        )
        environment = {
            "WEIGHBRIDGE_POLICY": "minimal",
            "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(folder / "signatures")),
            "WEIGHBRIDGE_SERVE_JOBS": "8",
            "WEIGHBRIDGE_SERVE_PROXIES": "127.0.0.1",
            "WEIGHBRIDGE_SERVE_NAMES": "models.example",
            "WEIGHBRIDGE_API_READING": "open",
        }
        with serving(folder / "home", environment, "--config", str(config)) as served:
            yield Gated(mirrored(served, folder / "home"), hub, served.key("reader"))


def fault(hub: Hub, name: str, path: str, how: dict[str, object]) -> None:
    """Add a repository with a fault of its own."""
    commit = hub.add(f"org/{name}", {**FILES, "model.bin": name.ljust(7000).encode()}).branches["main"]
    api = f"/api/models/org/{name}"
    hub.fault({"": api, "/tree": f"{api}/tree/{commit}"}.get(path, f"/org/{name}/resolve/{commit}{path}"), **how)


def end(faulty: Gated, name: str) -> httpx.Response:
    """Ask until the job has ended, and return the answer."""
    path = f"/org/{name}/resolve/main/config.json"
    ends = time.monotonic() + 60
    while (found := faulty.get(path)).status_code == 429 and "being weighed" in found.headers["x-error-message"]:
        assert time.monotonic() < ends
        time.sleep(0.1)
    return found


def test_faults_of_a_hub(faulty: Gated, tmp_path: Path) -> None:
    for name in (*LASTING, *PASSING):
        fault(faulty.hub, name, *(LASTING | PASSING)[name][:2])
        faulty.get(f"/org/{name}/resolve/main/config.json")
    answers = {name: end(faulty, name) for name in (*LASTING, *PASSING)}
    texts = {name: (found.status_code, found.headers.get("x-error-message", "")) for name, found in answers.items()}
    for name, (_, _, words) in LASTING.items():
        assert texts[name][0] == 404, texts[name]
        assert words in texts[name][1], texts[name]
    for name in PASSING:
        assert texts[name][0] == 429, texts[name]
        assert "could not be reached" in texts[name][1]
        assert 1 <= int(answers[name].headers["retry-after"]) <= 30
    catalog = faulty.mirror.served.catalog
    assert [version for name in answers for version in catalog.versions(f"org/{name}")] == []
    assert len(catalog.jobs.listed()) == len(answers), "asking again begins no further job"
    assert "10.255.0.1" not in {request.headers["host"] for request in faulty.hub.requests}
    counted = faulty.mirror.served.client.get(f"{faulty.mirror.served.url.removesuffix('/api')}/metrics").text
    for state in ("miss", "waiting"):
        assert f'weighbridge_mirror_files_total{{result="{state}"}}' in counted
    code = (
        "from huggingface_hub import hf_hub_download\n"
        "for name in ('digest', 'private', 'loop', 'html', 'refused'):\n"
        "    try:\n"
        "        hf_hub_download(f'org/{name}', 'config.json')\n"
        "    except Exception as error:\n"
        "        print(name, type(error).__name__, error)\n"
    )
    said = faulty.mirror.python(code, tmp_path, HF_TOKEN=faulty.token).stdout
    for name in ("digest", "private", "loop", "html", "refused"):
        assert f"{name} RepositoryNotFoundError" in said
        assert LASTING[name][2] in said


def test_a_link_has_the_name_that_a_believed_proxy_says(faulty: Gated) -> None:
    faulty.mirror.add("org/many", dict.fromkeys((f"{number:03}.bin" for number in range(9)), b"the same"))
    said = {"X-Forwarded-Host": "evil, models.example:444", "X-Forwarded-Proto": "https"}
    found = faulty.mirror.request("GET", "/api/models/org/many/tree/main?limit=3", headers=said)
    assert found.links["next"]["url"].startswith("https://models.example:444/huggingface/api/models/org/many/tree/")
    other = faulty.mirror.request("GET", "/api/models/org/many", headers={"X-Forwarded-Host": "evil.example"})
    assert other.status_code == 421


def test_a_mirror_that_is_asked_by_itself_says_so(tmp_path: Path) -> None:
    """npm-proxy-cache, tinyproxy and others went round without end (npm-proxy-cache#48, tinyproxy#203)."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = tmp_path / "mirror.yaml"
    config.write_text(
        f"backends: [{{type: huggingface, config: {{base_url: 'http://127.0.0.1:{port}/huggingface', mode: gated}}}}]"
    )
    with Hub() as hub, serving(tmp_path / "home", {}, "--config", str(config), "--port", str(port)) as served:
        itself = Gated(mirrored(served, tmp_path / "home"), hub, served.key("reader"))
        found = end(itself, "name")
        assert found.status_code == 404
        assert "This is the mirror of the same Weighbridge that asks" in found.headers["x-error-message"]
        assert len(served.catalog.jobs.listed()) == 1
        assert any("leads back to it" in line and "127.0.0.1" in line for line in served.said)
