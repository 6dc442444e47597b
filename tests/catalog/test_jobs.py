"""Jobs in the catalog: asked for once, taken by one process, taken over when it ends without a word."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.catalog.conftest import Clock
from weighbridge.catalog import Catalog, JobEnd, JobLimits, JobOrder, StoredJob
from weighbridge.catalog.jobs import MOST_BEGINNINGS
from weighbridge.domain.decision import Reason
from weighbridge.errors import KeyReused, NotInCatalog, StateConflict, TooManyAtOnce

ORDER = JobOrder("ingest", "org/name", {"uri": "mock:org/name"}, "key:ci", "k1", {"changelog": "better\ud800"})
PASSED = JobEnd("done", "PASSED", "1.0.0", (Reason("warn", "licence", "It has no licence."),))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def catalog(url: str, clock: Clock, open_catalog: Callable[..., Catalog]) -> Catalog:
    found = open_catalog(url)
    found._changes.clock = clock
    return found


def test_a_job_from_order_to_end(catalog: Catalog) -> None:
    queue = catalog.jobs
    job = queue.add(ORDER)
    assert (job.order, job.state, job.end, job.ended) == (ORDER, "queued", None, False)
    taken = queue.take("process 1", 30)
    assert taken is not None
    assert (taken.id, taken.state, taken.beginnings) == (job.id, "running", 1)
    assert queue.take("process 2", 30) is None
    assert queue.renew(job.id, "process 1", 30, {"progress": {"status": "SCANNING"}, "run_url": "http://run"})
    assert queue.get(job.id).progress == {"status": "SCANNING"}
    queue.end(job.id, "process 1", PASSED, {"status": "PASSED"})
    ended = queue.get(job.id)
    assert (ended.state, ended.end, ended.ended, ended.run_url) == ("done", PASSED, True, "http://run")
    assert ended.created_at < ended.updated_at == ended.ended_at
    assert queue.take("process 2", 30) is None
    assert [row.action for row in catalog.audit.of_model("org/name")] == ["job.queued", "job.done"]


def test_an_order_is_queued_once_by_its_key(catalog: Catalog) -> None:
    queue = catalog.jobs
    first = queue.add(ORDER)
    assert queue.add(ORDER).id == first.id
    assert queue.add(replace(ORDER, asker="key:other")).id != first.id
    assert queue.add(replace(ORDER, key="k2")).id != first.id
    assert queue.add(replace(ORDER, key="")).id != queue.add(replace(ORDER, key="")).id
    for other in ({"request": {"uri": "mock:org/other"}}, {"kind": "rescan"}, {"declared": {}}, {"name": "other"}):
        with pytest.raises(KeyReused, match="sent before"):
            queue.add(replace(ORDER, **other))
    assert len(queue.listed()) == 5


def test_the_oldest_is_taken_first_and_the_newest_listed_first(catalog: Catalog) -> None:
    queue = catalog.jobs
    ids = [queue.add(replace(ORDER, key=f"k{n}")).id for n in range(3)]
    assert [getattr(queue.take("p", 30), "id", None) for _ in range(4)] == [*ids, None]
    listed = queue.listed(limit=2)
    assert [job.id for job in listed] == ids[:0:-1]
    last = listed[-1]
    assert [job.id for job in queue.listed(before=(last.created_at, last.id))] == ids[:1]
    assert queue.listed(state="queued") == []


def test_a_process_that_is_gone_loses_its_job(catalog: Catalog, clock: Clock) -> None:
    queue = catalog.jobs
    job = queue.add(ORDER)
    assert queue.take("gone", 30)
    clock.now += timedelta(seconds=31)
    taken = queue.take("next", 30)
    assert taken is not None
    assert (taken.id, taken.beginnings) == (job.id, 2)
    assert not queue.renew(job.id, "gone", 30, {})
    assert not queue.is_wanted(job.id, "gone")
    queue.give_back(job.id, "gone")
    queue.end(job.id, "gone", JobEnd("failed"), {})
    assert queue.get(job.id).state == "running"
    assert queue.is_wanted(job.id, "next")


def test_a_job_that_ends_every_process_fails(catalog: Catalog, clock: Clock) -> None:
    queue = catalog.jobs
    job, other = queue.add(ORDER), queue.add(replace(ORDER, key="k2"))
    for number in range(MOST_BEGINNINGS):
        taken = queue.take(f"process {number}", 30)
        assert taken is not None
        assert taken.id == job.id
        clock.now += timedelta(seconds=31)
    taken = queue.take("the next", 30)
    assert taken is not None
    assert taken.id == other.id
    ended = queue.get(job.id)
    assert ended.end is not None
    assert (ended.state, ended.end.error) == ("failed", "UnexpectedError")
    assert ended.end.problem == "Each of the 5 processes that worked on it ended before it did."
    (row,) = catalog.audit.rows(action="job.failed")
    assert (row.actor, row.after and row.after["job"]) == (job.order.asker, job.id)


def test_a_process_that_stops_in_order_gives_its_job_back(catalog: Catalog) -> None:
    queue = catalog.jobs
    job = queue.add(ORDER)
    for _ in range(MOST_BEGINNINGS + 1):
        assert queue.take("stopping", 30)
        queue.give_back(job.id, "stopping")
    assert (queue.get(job.id).state, queue.get(job.id).beginnings) == ("queued", 0)


def test_cancelling(catalog: Catalog, clock: Clock) -> None:
    queue = catalog.jobs
    waiting, running, gone, done = (queue.add(replace(ORDER, key=f"k{n}")).id for n in range(4))
    assert queue.cancel(waiting).state == "cancelled"
    assert queue.cancel(waiting).state == "cancelled"
    assert len(catalog.audit.rows(action="job.cancelled")) == 1
    assert queue.take("process", 30)
    assert queue.cancel(running).state == "running"
    assert not queue.is_wanted(running, "process")
    queue.end(running, "process", JobEnd("cancelled"), {})
    assert queue.take("killed", 30)
    queue.cancel(gone)
    clock.now += timedelta(seconds=31)
    assert getattr(queue.take("next", 30), "id", None) == done
    assert queue.get(gone).state == "cancelled"
    queue.end(done, "next", PASSED, {})
    with pytest.raises(StateConflict, match="ended already"):
        queue.cancel(done)
    for unknown in (queue.get, queue.cancel):
        with pytest.raises(NotInCatalog, match="no job nothing"):
            unknown("nothing")


def test_jobs_that_ended_long_ago_are_forgotten(catalog: Catalog, clock: Clock) -> None:
    queue, month = catalog.jobs, timedelta(days=30)
    old, waiting, running = (queue.add(replace(ORDER, key=f"k{n}")).id for n in range(3))
    assert queue.take("process", 30)
    queue.end(old, "process", PASSED, {})
    queue.cancel(waiting)
    assert queue.take("process", 10**8)
    assert queue.forget(month) == 0
    clock.now += timedelta(days=31)
    young = queue.add(replace(ORDER, key="k4")).id
    queue.cancel(young)
    assert queue.forget(month) == 2
    assert queue.forget(month) == 0
    assert {job.id for job in queue.listed()} == {running, young}
    assert queue.add(replace(ORDER, key="k0")).id != old
    (row,) = catalog.audit.rows(action="jobs.forgotten")
    assert row.after is not None
    assert row.after["count"] == 2


def test_of_several_processes_each_takes_other_jobs(url: str, catalog: Catalog) -> None:
    ids = {catalog.jobs.add(replace(ORDER, key=f"k{n}")).id for n in range(30)}
    program = (
        "import sys\nfrom weighbridge.catalog import Catalog\nfrom weighbridge.domain.clock import utc_now\n"
        "with Catalog.open(sys.argv[1], utc_now) as catalog:\n"
        "    while job := catalog.jobs.take(sys.argv[2], 3600): print(job.id, flush=True)\n"
    )
    command = [sys.executable, "-c", program, url]
    processes = [subprocess.Popen([*command, f"process {n}"], stdout=subprocess.PIPE, text=True) for n in range(3)]
    taken = [line for process in processes for line in process.communicate()[0].split()]
    assert sorted(taken) == sorted(ids)


def test_only_so_many_may_wait(catalog: Catalog) -> None:
    queue, limits = catalog.jobs, JobLimits(most=3, most_each=2)

    def add(asker: str, key: str) -> StoredJob:
        return queue.add(replace(ORDER, asker=asker, key=key), limits)

    first = add("key:a", "1")
    add("key:a", "2")
    with pytest.raises(TooManyAtOnce, match="2 jobs of yours"):
        add("key:a", "3")
    assert add("key:a", "1") == first, "what was sent before is answered"
    add("key:b", "1")
    with pytest.raises(TooManyAtOnce, match="3 jobs wait"):
        add("key:c", "1")
    assert len(queue.listed()) == 3, "what was refused is not queued"
    taken = queue.take("process", 30)
    assert taken is not None
    assert taken.id == first.id
    add("key:c", "1")
    queue.add(replace(ORDER, asker="flow:x", key="1"))


def test_an_ingest_is_queued_once_for_all_who_ask_for_it(catalog: Catalog, clock: Clock) -> None:
    queue = catalog.jobs
    orders = [replace(ORDER, key="", asker=f"key:{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ids = {job.id for job in pool.map(lambda order: queue.add(order, once=True), orders)}
    (id_,) = ids
    assert queue.add(replace(orders[0], request={"uri": "mock:org/name@v1"}), once=True).id not in ids
    assert queue.add(replace(orders[0], name="else"), once=True).id not in ids
    assert queue.counts() == {"queued": 3, "running": 0, "done": 0, "failed": 0, "cancelled": 0}
    before = clock()
    assert queue.newest_ingest("org/name", "mock:org/name", before + timedelta(days=1)) == queue.get(id_)
    taken = queue.take("process", 30)
    assert taken is not None
    assert queue.add(orders[1], once=True).id == id_ == taken.id
    queue.end(id_, "process", PASSED, {})
    assert queue.newest_ingest("org/name", "mock:org/name", before + timedelta(days=1)) is None
    assert queue.newest_ingest("org/name", "mock:org/name", before - timedelta(days=1)) == queue.get(id_)
    assert queue.newest_ingest("org/name", "mock:org", before - timedelta(days=1)) is None
    assert queue.add(orders[1], once=True).id != id_
    assert queue.counts()["done"] == 1
