"""`weighbridge jobs`: what the served registry was asked for, as its operator sees and stops it."""

from __future__ import annotations

from tests.cli.conftest import Bench
from weighbridge.catalog import JobEnd, JobOrder
from weighbridge.config.settings import Settings
from weighbridge.domain.webhooks import Destination
from weighbridge.intake.job_progress import STEPS, JobProgress
from weighbridge.intake.opening import open_catalog


def order(name: str) -> JobOrder:
    hook = Destination("https://hooks.example/hunter2", "mark/name")
    return JobOrder("ingest", name, {"uri": f"mock:{name}"}, "key:ci", callback=hook)


def test_jobs_are_listed_shown_and_cancelled(bench: Bench) -> None:
    assert bench.run("jobs", "list").out == "There is no job.\n"
    progress = JobProgress(STEPS["ingest"])
    progress.begin("fetch")
    progress.expect("fetch", 4096)
    progress.advance("fetch", 1024)
    with open_catalog(Settings()) as catalog:
        ids = [catalog.jobs.add(order(f"org/m{number}")).id for number in range(4)]
        done, failed, running, waiting = ids
        for id_, end in (
            (done, JobEnd("done", "PASSED", "1.0.0")),
            (failed, JobEnd("failed", problem="The disk is full.", remedy="Free some space.", error="StoreFull")),
        ):
            assert catalog.jobs.take("process", 60)
            catalog.jobs.end(id_, "process", end, {})
        assert catalog.jobs.take("process", 60)
        steps = {"steps": progress.to_json(), "status": "FETCHING"}
        catalog.jobs.renew(running, "process", 60, {"progress": steps, "run_url": "http://prefect/runs/flow-run/1"})

    rows = [row.rstrip() for row in bench.run("jobs", "list").out.splitlines()[1:]]
    assert [row.split()[:4] for row in rows] == [
        [waiting, "queued", "ingest", "org/m3"],
        [running, "running", "ingest", "org/m2"],
        [failed, "failed", "ingest", "org/m1"],
        [done, "done", "ingest", "org/m0"],
    ]
    assert rows[2].endswith("The disk is full. Free some space.")
    assert rows[3].endswith("PASSED 1.0.0")
    listed = bench.run("jobs", "list", "--state", "running", "--json").json
    assert [(job["id"], job["callback"]) for job in listed] == [(running, "https://hooks.example")]
    assert len(bench.run("jobs", "list", "--limit", "2", "--json").json) == 2
    assert bench.run("jobs", "list", "--state", "asleep").status == 64

    shown = bench.run("jobs", "show", running).out
    for text in ("mock:org/m2", "key:ci", "http://prefect/runs/flow-run/1", "1.0 KiB of 4.0 KiB"):
        assert text in shown

    assert bench.run("jobs", "cancel", waiting).out == f"The job {waiting} is cancelled.\n"
    assert "stops soon" in bench.run("jobs", "cancel", running).out
    assert bench.run("jobs", "list", "--json").json[1]["cancel_wanted"] is True
    assert "cancelling" in bench.run("jobs", "show", running).out
    assert bench.run("jobs", "cancel", done).status == 1
    assert bench.run("jobs", "show", "none").status == 64
    last = bench.run("history", "org/m3", "--json").json[-1]
    assert (last["action"], last["actor"].partition(":")[0]) == ("job.cancelled", "cli")
