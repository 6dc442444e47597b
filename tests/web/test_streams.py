"""Event streams are counted while they are open, for each caller and in all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.services.weighbridge import Served, serving
from weighbridge.catalog import JobOrder
from weighbridge.errors import TooManyAtOnce
from weighbridge.web.streams import OpenStreams

pytestmark = pytest.mark.xdist_group("web")


def test_a_caller_and_all_of_them_have_a_limit() -> None:
    streams = OpenStreams(3, 2)
    ends = [streams.open("a"), streams.open("a")]
    with pytest.raises(TooManyAtOnce, match="You watch 2 jobs"):
        streams.open("a")
    ends.append(streams.open("b"))
    with pytest.raises(TooManyAtOnce, match="3 streams"):
        streams.open("c")
    ends.pop(0)()
    ends.append(streams.open("c"))
    for end in ends:
        end()
    for _ in range(2):
        streams.open("a")


def test_the_head_of_a_stream_is_no_stream(limited: Served) -> None:
    job, key = limited.catalog.jobs.add(JobOrder("ingest", "org/head", {}, "key:x")), limited.key("reader")
    for _ in range(5):  # More than may be open.
        assert _watched(limited, f"/ingests/{job.id}/events", key, "HEAD") == 200
    assert limited.get(f"/ingests/{job.id}", headers=key).status_code == 200, "by the same connection"


def _watched(served: Served, path: str, key: dict[str, str], method: str = "GET") -> int:
    """Return the status of the answer to a stream that is left at once; a refusal is asked again for a while."""
    for _ in range(100):
        with served.client.stream(method, f"{served.url}{path}", headers=key) as response:
            if response.status_code == 200:
                break
        time.sleep(0.05)
    return response.status_code


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = {"SERVE_JOBS": "0", "MAX_STREAMS": "3", "MAX_STREAMS_EACH": "2", "MAX_WAITING_JOBS_EACH": "1"}
    environment = {f"WEIGHBRIDGE_{name}": value for name, value in limits.items()}
    with serving(tmp_path_factory.mktemp("limited"), environment) as served:
        yield served


def test_orders_beyond_the_limit_are_told(limited: Served) -> None:
    def status(key: dict[str, str], name: str) -> int:
        return limited.request("POST", "/models/import", json={"uri": f"mock:org/{name}"}, headers=key).status_code

    one, other = limited.key("publisher"), limited.key("publisher")
    again = {**one, "Idempotency-Key": "1"}
    assert [status(again, "a"), status(again, "a"), status(one, "b"), status(other, "b")] == [202, 202, 429, 202]


def test_watchers_beyond_the_limit_are_told(limited: Served) -> None:
    served = limited
    job = served.catalog.jobs.add(JobOrder("ingest", "org/name", {}, "key:x"))
    path, one, other = f"/ingests/{job.id}/events", served.key("reader"), served.key("reader")
    with ExitStack() as stack:

        def watch(key: dict[str, str]) -> None:
            response = stack.enter_context(served.client.stream("GET", f"{served.url}{path}", headers=key))
            assert response.status_code == 200

        watch(one)
        watch(one)
        refused = served.get(path, headers=one)
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:weighbridge:problem:too-many-at-once")
        assert int(refused.headers["retry-after"]) > 0
        watch(other)
        assert "3 streams" in served.get(path, headers=other).json()["detail"]
        assert served.get(f"/ingests/{job.id}", headers=other).status_code == 200
    assert _watched(served, path, one) == 200


def test_a_stream_ends_with_its_key(limited: Served) -> None:
    job = limited.catalog.jobs.add(JobOrder("ingest", "org/name", {}, "key:x"))
    path, key = f"/ingests/{job.id}/events", limited.key("reader")
    name = limited.catalog.keys.listed()[0].name
    with limited.client.stream("GET", f"{limited.url}{path}", headers=key) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: progress"
        limited.catalog.keys.revoke(name)
        assert "event: end" not in list(lines), "the job goes on"
    assert limited.get(path, headers=key).status_code == 401


def test_a_purge_is_an_admins_to_cancel(limited: Served) -> None:
    job = limited.catalog.jobs.add(JobOrder("purge", "org/name", {"name": "org/name", "versions": []}, "key:x"))
    path = f"/ingests/{job.id}"
    refused = limited.request("DELETE", path, headers=limited.key("publisher"))
    assert (refused.status_code, "an admin" in refused.json()["detail"]) == (403, True)
    assert limited.request("DELETE", path, headers=limited.key("admin", "other/*")).status_code == 404
    assert limited.request("DELETE", path, headers=limited.key("admin")).json()["status"] == "CANCELLED"
