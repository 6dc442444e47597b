"""Many clients at once, two processes: what was accepted is there once, and of contradicting changes one wins."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import httpx
import pytest

from tests.catalog.test_catalog import settle
from tests.services.postgresql import empty_database, postgresql_server
from tests.services.weighbridge import Served, serving

__all__ = ["postgresql_server"]
pytestmark = pytest.mark.xdist_group("web")
CLIENTS = 16
MODELS = [f"busy/{number}" for number in range(3)]
NUMBERS = [f"1.{number}.0" for number in range(CLIENTS + 1)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def busy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a catalog of each kind by two processes; jobs wait, so that their number does not depend on a speed."""
    environment = {"WEIGHBRIDGE_SERVE_JOBS": "0"}
    with ExitStack() as stack:
        if request.param == "postgresql":
            server = request.getfixturevalue("postgresql_server")
            environment["WEIGHBRIDGE_CATALOG_URL"] = stack.enter_context(empty_database(server))
        served = stack.enter_context(serving(tmp_path_factory.mktemp("busy"), environment, "--workers", "2"))
        for name in (*MODELS, "busy/race"):
            for number in NUMBERS:
                settle(served.catalog, number, number, name=name)
        yield served


@dataclass
class Client:
    """One of many clients, and what the server has accepted from it.

    Attributes:
        served: the server.
        header: the client's key.
        drawn: chooses what it asks for; the same at each run.
        done: the changes, by their action in the audit log.
        jobs: the ids of its jobs.
        refused: what was neither done nor a refusal that was to be expected.
    """

    served: Served
    header: dict[str, str]
    drawn: random.Random
    done: Counter[str] = field(default_factory=Counter)
    jobs: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def run(self, requests: int) -> Client:
        """Send requests of every kind, one after another."""
        kinds = (self.look, self.look, self.order, self.order_again, self.scan, self.choose, self.withdraw, self.cancel)
        with httpx.Client(trust_env=False, timeout=120, headers=self.header) as self.client:
            for _ in range(requests):
                self.drawn.choice(kinds)()
        return self

    def look(self) -> None:
        path = self.drawn.choice(("", "?sort=updated&limit=2", f"/{MODELS[0]}", f"/{MODELS[1]}/versions", "/none"))
        self.ask("GET", f"/models{path}", 200, 404)

    def order(self, key: str = "") -> None:
        body = {"uri": "mock:busy/new"} if key else {"uri": f"mock:busy/new-{self.drawn.random()}"}
        job = self.ask("POST", "/models/import", 202, json=body, headers={"Idempotency-Key": key} if key else {})
        if job and job["id"] not in self.jobs:
            self.jobs.append(job["id"])
            self.done["job.queued"] += 1

    def order_again(self) -> None:
        """Send one order of this client's again and again: its key is the same."""
        self.order("same")

    def scan(self) -> None:
        job = self.ask("POST", f"/models/{self.drawn.choice(MODELS)}/scan", 202)
        if job:
            self.jobs.append(job["id"])
            self.done["job.queued"] += 1

    def choose(self) -> None:
        body = {"version": self.drawn.choice((*NUMBERS, None))}
        if self.ask("PUT", f"/models/{self.drawn.choice(MODELS)}/default-version", 200, 409, json=body):
            self.done["model.default"] += 1

    def withdraw(self) -> None:
        number = self.drawn.choice(NUMBERS[:4])
        if self.ask("DELETE", f"/models/{self.drawn.choice(MODELS)}/versions/{number}", 200):
            self.done["version.withdrawn"] += 1

    def cancel(self) -> None:
        waiting = [id_ for id_ in self.jobs if id_]
        if waiting and self.ask("DELETE", f"/ingests/{self.drawn.choice(waiting)}", 200):
            self.done["cancelled"] += 1

    def ask(self, method: str, path: str, wanted: int, expected: int = 0, **options: Any) -> Any:
        """Return the JSON of an answer that was wanted; None for one that was to be expected."""
        response = self.client.request(method, f"{self.served.url}{path}", **options)
        if response.status_code == wanted:
            return response.json()
        if response.status_code != expected:
            self.refused.append(f"{method} {path}: {response.status_code} {response.text}")
        return None


def together(work: list[Callable[[], Any]]) -> list[Any]:
    """Run functions at once, and return what they return."""
    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(one) for one in work]]


def mix(served: Served, requests: int) -> None:
    """Let many clients ask for everything at once; whatever was accepted is then in the catalog, once."""
    before = _actions(served)
    clients = [Client(served, served.key("publisher"), random.Random(seed)) for seed in range(CLIENTS)]
    keys = {"key.created": CLIENTS}
    together([lambda client=client: client.run(requests) for client in clients])
    assert [text for client in clients for text in client.refused] == []
    cancelled = {id_ for client in clients for id_ in client.jobs if served.catalog.jobs.get(id_).state == "cancelled"}
    accepted = sum((client.done for client in clients), Counter(keys))
    assert accepted.pop("cancelled", 0) >= len(cancelled)
    assert _actions(served) - before == accepted + Counter({"job.cancelled": len(cancelled)} if cancelled else {})
    for client in clients:
        stored = [served.catalog.jobs.get(id_) for id_ in client.jobs]
        assert {job.state for job in stored} <= {"queued", "cancelled"}
    assert served.catalog.audit.prove().flaws == ()


def _actions(served: Served) -> Counter[str]:
    return Counter(row.action for row in served.catalog.audit.each())


def test_nothing_that_was_accepted_is_lost(busy: Served) -> None:
    mix(busy, 12)


def test_of_changes_of_one_state_one_wins(busy: Served) -> None:
    path = "/models/busy/race"
    headers = [busy.key("publisher") for _ in range(CLIENTS)]
    for turn in range(3):
        etag, now = busy.get(path).headers["etag"], busy.get(path).json()["version"]
        others = [number for number in NUMBERS if number != now]
        ready = Barrier(CLIENTS)

        def change(number: str, header: dict[str, str], etag: str = etag, ready: Barrier = ready) -> int:
            with httpx.Client(trust_env=False, timeout=120) as client:
                ready.wait()
                url = f"{busy.url}{path}/default-version"
                return client.put(url, json={"version": number}, headers={**header, "If-Match": etag}).status_code

        changes = [lambda n=n, h=h: change(n, h) for n, h in zip(others, headers, strict=False)]
        assert sorted(together(changes)) == [200] + [412] * (CLIENTS - 1), turn
