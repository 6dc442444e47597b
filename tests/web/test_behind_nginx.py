"""The served registry behind nginx as its operators set it up: names, addresses, events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.catalog.test_catalog import settle
from tests.services.nginx import proxying
from tests.services.weighbridge import Served, serving
from weighbridge.catalog import JobOrder
from weighbridge.web.api.names import path_of
from weighbridge.web.failures import LIMIT

pytestmark = pytest.mark.xdist_group("web")


@dataclass(frozen=True)
class Site:
    """A served registry, and the address of its API behind nginx."""

    served: Served
    url: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    environment = {"SERVE_PROXIES": "127.0.0.1", "API_READING": "open", "SERVE_JOBS": "0"}
    folder: Path = tmp_path_factory.mktemp("behind-nginx")
    settings = {f"WEIGHBRIDGE_{name}": value for name, value in environment.items()}
    with serving(folder / "home", settings) as served, proxying(folder, served.url.removesuffix("/api")) as url:
        yield Site(served, f"{url}/api")


@pytest.mark.parametrize("name", ["org/name", "org/versions", "leaderboard", "größe ½/模型"])
def test_names_come_through_as_they_are_written(site: Site, name: str) -> None:
    settle(site.served.catalog, name=name)
    response = site.served.client.get(f"{site.url}/models/{path_of(name)}")
    assert response.json()["name"] == name


def test_events_come_through_when_they_happen(site: Site) -> None:
    job = site.served.catalog.jobs.add(JobOrder("ingest", "org/name", {}, "key:x"))
    with httpx.stream("GET", f"{site.url}/ingests/{job.id}/events", trust_env=False, timeout=60) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: progress"
        site.served.catalog.jobs.cancel(job.id)
        assert "event: end" in list(lines)


def test_failures_are_counted_for_the_caller_and_not_for_nginx(site: Site) -> None:
    def status(address: str) -> int:
        headers = {"Authorization": "Bearer no", "X-Forwarded-For": address}
        return site.served.client.get(f"{site.url}/models", headers=headers).status_code

    # nginx is at 127.0.0.1 as its clients are: the last address that is no proxy is the one that it was told.
    assert [status("192.0.2.1") for _ in range(LIMIT + 1)] == [401] * LIMIT + [429]
    assert status("192.0.2.2") == 401
