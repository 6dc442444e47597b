"""What probes and Prometheus see of a served process: without a key, by any name, and without a secret."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.services.weighbridge import Served, serving
from weighbridge.web.counters import Counters
from weighbridge.web.health import _lines

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve by a name of its own only, and nobody without a key."""
    folder = tmp_path_factory.mktemp("watched")
    names = {"WEIGHBRIDGE_SERVE_NAMES": "registry.example.com", "WEIGHBRIDGE_API_READING": "closed"}
    with serving(folder, names) as found:
        yield found


def ask(served: Served, path: str, **options: object) -> httpx.Response:
    return served.client.request("GET", served.url.removesuffix("/api") + path, **options)  # type: ignore[arg-type]


def families(served: Served) -> dict[str, Metric]:
    response = ask(served, "/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(response.text)}


def value(served: Served, name: str, **labels: str) -> float:
    samples = families(served)[name.removesuffix("_total")].samples
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def test_probes_need_no_key_and_no_name(watched: Served) -> None:
    assert watched.get("/models").status_code == 401
    for path, text in (("/healthz", "alive\n"), ("/readyz", "ready\n")):
        for host in ("10.1.2.3:8080", "registry.example.com", "anything"):
            response = ask(watched, path, headers={"host": host})
            assert (response.status_code, response.text) == (200, text)
            assert response.headers["cache-control"] == "no-store"
    base = watched.url.removesuffix("/api")
    assert watched.client.head(f"{base}/readyz").content == b""
    refused = watched.client.post(f"{base}/metrics")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert ask(watched, "/healthz/x").status_code in (404, 421)


def test_requests_are_counted_by_what_became_of_them(watched: Served) -> None:
    key = watched.key("admin")
    labels = {"part": "api", "method": "GET"}
    before = {
        status: value(watched, "weighbridge_requests_total", **labels, status=status) for status in ("200", "401")
    }
    sent = value(watched, "weighbridge_sent_bytes_total", part="api")
    body = watched.get("/models", headers=key).content
    refused = watched.get("/models?token=hunter2", headers={"Authorization": "Bearer hunter2"}).content
    for code, count in before.items():
        assert value(watched, "weighbridge_requests_total", **labels, status=code) == count + 1
    assert value(watched, "weighbridge_sent_bytes_total", part="api") == sent + len(body) + len(refused)
    watched.client.request("PROPFIND", f"{watched.url}/models")
    assert value(watched, "weighbridge_requests_total", method="other") >= 1
    assert value(watched, "weighbridge_request_seconds_total", part="api") > 0
    assert value(watched, "weighbridge_jobs", state="queued") == 0
    assert value(watched, "weighbridge_ready") == value(watched, "weighbridge_info") == 1
    text = ask(watched, "/metrics").text
    assert not any(secret in text for secret in ("hunter2", "hf_wb", "admin", "/tmp"))


def test_a_client_that_goes_before_its_answer_is_counted(watched: Served) -> None:
    before = value(watched, "weighbridge_requests_total")
    host, _, port = watched.url.removeprefix("http://").removesuffix("/api").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /api/models HTTP/1.1\r\nHost: registry.example.com\r\n\r\n")
    while value(watched, "weighbridge_requests_total") < before + 1:
        pass


def test_a_store_that_is_gone_is_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert ask(served, "/readyz").status_code == 200
        shutil.rmtree(tmp_path / "store" / "partial")
        while (response := ask(served, "/readyz")).status_code == 200:
            pass
        assert (response.status_code, response.text) == (503, "the store cannot be written to\n")
        assert response.headers["retry-after"]
        assert ask(served, "/healthz").status_code == 200
        assert value(served, "weighbridge_ready") == 0


def test_processes_show_each_other_what_they_counted(tmp_path: Path) -> None:
    one, other, alone = Counters(tmp_path), Counters(tmp_path), Counters()
    with one.shown():
        one.add({"a": 1, "b": 0.5})
        with other.shown():
            other.add({"a": 2})
        assert one.totals() == {"a": 3, "b": 0.5}
    assert other.totals() == {"a": 3, "b": 0.5}, "what a process counted outlives it"
    (tmp_path / "killed.json").write_text('{"a": ')
    assert Counters(tmp_path).totals() == {"a": 3, "b": 0.5}
    alone.add({"a": 1})
    with alone.shown():
        assert alone.totals() == {"a": 1}


def test_the_bounds_of_a_histogram_stand_in_their_order() -> None:
    name = "weighbridge_mirror_age_seconds"
    bounds = ("+Inf", "3600", "604800", "86400", "2592000")
    samples = {f'{name}_bucket{{le="{bound}"}}': 1.0 for bound in bounds} | {f"{name}_sum": 2.0, f"{name}_count": 1.0}
    lines = [line.partition(" ")[0] for line in _lines(samples) if not line.startswith("#")]
    ordered = ("3600", "86400", "604800", "2592000", "+Inf")
    assert lines == [*(f'{name}_bucket{{le="{bound}"}}' for bound in ordered), f"{name}_count", f"{name}_sum"]
