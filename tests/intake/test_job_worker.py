"""The queue is worked through: verdicts, errors, cancelling, stopping, and kills at each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from tests.registries.killing import die, run_and_die
from tests.services.clamd import eicar, signatures
from tests.simulators.web import WebServer
from weighbridge.catalog import JobEnd, StoredJob
from weighbridge.config.settings import Settings
from weighbridge.domain.access import Caller
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import (
    InvalidConfiguration,
    InvalidName,
    InvalidReference,
    KeyReused,
    StateConflict,
    UsageError,
)
from weighbridge.intake import steps
from weighbridge.intake.asker import Asker
from weighbridge.intake.collecting import collect
from weighbridge.intake.job_orders import OrderSlip, order_ingest, order_purge, order_rescan
from weighbridge.intake.job_progress import STEPS, JobProgress
from weighbridge.intake.job_worker import JobWorker
from weighbridge.intake.lookup import exact
from weighbridge.intake.quarantine import delete
from weighbridge.intake.removing import remove
from weighbridge.intake.resources import Resources
from weighbridge.intake.retention import Retention
from weighbridge.intake.withdrawing import withdraw
from weighbridge.intake.workspace import Workspace, open_resources, open_workspace, workspace_of

SLIP = OrderSlip(Caller("ci", "publisher"))
LEASE_S = 1.0


class Yard:
    """A home, a folder with a model that others may take in, and the queue."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "models" / "m"
        self.model.mkdir(parents=True)
        self.put("config.json", '{"model_type": "llama"}')
        self.put("README.md", "---\nlicense: mit\n---\n")
        self.settings = Settings(
            home=folder / "home",
            registries=("export",),
            policy="minimal",
            file_roots=(folder / "models",),
            clamav_database=signatures(folder / "signatures"),
            private_networks=("127.0.0.0/8",),
        )

    def put(self, name: str, text: str) -> None:
        (self.model / name).write_text(text)

    @property
    def ref(self) -> ModelRef:
        return ModelRef("file", str(self.model))

    @contextmanager
    def working(self, threads: int = 1, lease_s: float = LEASE_S) -> Iterator[Resources]:
        with open_resources(self.settings) as resources, JobWorker(resources, threads, lease_s):
            yield resources

    def order(self, request: IngestRequest | None = None, slip: OrderSlip = SLIP) -> StoredJob:
        with self.asking() as workspace:
            return order_ingest(request or IngestRequest(self.ref, "m"), slip, workspace)

    @contextmanager
    def asking(self) -> Iterator[Workspace]:
        with open_resources(self.settings) as resources:
            asker = Asker(folder=self.folder, on_behalf=True)
            with workspace_of(resources, asker) as workspace:
                yield workspace

    def done(self, job: StoredJob) -> StoredJob:
        with self.working() as resources:
            return ended(resources, job)


def until(
    resources: Resources, job: StoredJob, enough: Callable[[StoredJob], object], timeout_s: float = 60
) -> StoredJob:
    deadline = time.monotonic() + timeout_s
    while not enough(found := resources.catalog.jobs.get(job.id)):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def ended(resources: Resources, job: StoredJob, timeout_s: float = 60) -> StoredJob:
    return until(resources, job, lambda found: found.ended, timeout_s)


def end_of(job: StoredJob) -> JobEnd:
    assert job.end is not None
    return job.end


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_a_verdict_is_the_end_of_a_job(yard: Yard) -> None:
    good = yard.order()
    with yard.working() as resources:
        job = ended(resources, good)
        end = end_of(job)
        assert (job.state, end.status, end.version, end.problem) == ("done", "PASSED", "1.0.0", "")
        steps = {step["name"]: step for step in job.progress["steps"]}
        assert tuple(steps)[:7] == STEPS["ingest"]
        assert {step["state"] for step in steps.values()} == {"done"}
        size = sum(path.stat().st_size for path in yard.model.iterdir())
        assert (steps["scan"]["done"], steps["scan"]["total"], steps["scan"]["unit"]) == (size, size, "bytes")
    yard.put("bad.bin", eicar().decode("latin-1"))
    end = end_of(yard.done(yard.order()))
    assert (end.state, end.status, end.version) == ("done", "FAILED", "1.1.0")
    assert any(reason.effect == "reject" and reason.path == "bad.bin" for reason in end.reasons)


def test_what_could_not_be_done_is_told(yard: Yard) -> None:
    outside = ModelRef("file", str(yard.folder / "signatures"))
    job = yard.done(yard.order(IngestRequest(outside, "m")))
    end = end_of(job)
    assert (job.state, end.status, end.error, end.retryable) == ("failed", "", "AccessDenied", False)
    assert "not" in end.problem
    assert end.remedy


def test_what_is_wrong_at_once_is_not_queued(yard: Yard) -> None:
    mistakes: list[tuple[type[UsageError], IngestRequest]] = [
        (InvalidName, IngestRequest(yard.ref, "a@b")),
        (InvalidReference, IngestRequest(ModelRef.parse("hf:a/b/c"))),
        (UsageError, IngestRequest(yard.ref, "m", version="new")),
        (InvalidConfiguration, IngestRequest(yard.ref, "m", policy="none")),
        (InvalidConfiguration, IngestRequest.from_json({"uri": yard.ref.uri, "token_env": "HOME_TOKEN"})),
    ]
    for kind, request in mistakes:
        with pytest.raises(kind):
            yard.order(request)
    with yard.asking() as workspace:
        assert workspace.catalog.jobs.listed() == []


def test_a_name_goes_on_with_another_source_only_where_that_is_asked_for(yard: Yard) -> None:
    yard.done(yard.order())
    other = yard.folder / "models" / "m2"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama", "vocab_size": 7}')
    request = IngestRequest(ModelRef("file", str(other)), "m", version="1.0.1")
    assert end_of(yard.done(yard.order(request))).error == "NameTaken"
    end = end_of(yard.done(yard.order(replace(request, another_source=True))))
    assert (end.status, end.version, end.warnings) == ("PASSED", "1.0.1", ())


def test_a_number_that_contradicts_what_changed_is_told(yard: Yard) -> None:
    yard.done(yard.order())
    yard.put("config.json", '{"model_type": "mistral"}')
    end = end_of(yard.done(yard.order(IngestRequest(yard.ref, "m", version="1.0.1"))))
    assert end.version == "1.0.1"
    assert end.warnings == ("What changed since 1.0.0 is a major change, which would be 2.0.0; it was given 1.0.1.",)


def test_a_version_is_scanned_again_without_its_source(yard: Yard) -> None:
    yard.done(yard.order())
    for path in yard.model.iterdir():
        path.unlink()
    yard.model.rmdir()
    with yard.asking() as workspace:
        version = workspace.catalog.get("m")
        assert version is not None
        job = order_rescan(version, SLIP, workspace)
    ended_job = yard.done(job)
    assert (ended_job.state, end_of(ended_job).status, end_of(ended_job).version) == ("done", "PASSED", "1.0.0")
    assert [step["name"] for step in ended_job.progress["steps"]] == list(STEPS["rescan"])
    with yard.asking() as workspace, pytest.raises(StateConflict, match="removed"):
        order_rescan(replace(version, purged=True), SLIP, workspace)
    with open_workspace(yard.settings) as workspace:
        again = order_rescan(version, SLIP, workspace)
        remove("m@1.0.0", workspace)
    assert end_of(yard.done(again)).error == "NotInCatalog"


def test_a_purge_that_is_sent_again_means_no_version_that_came_since(yard: Yard) -> None:
    slip = replace(SLIP, key="purge")
    yard.done(yard.order())
    with yard.asking() as workspace:
        job = order_purge("m", "", "recalled", slip, workspace)
    assert end_of(yard.done(job)).status == "PURGED"
    yard.put("README.md", "# Another one")
    assert end_of(yard.done(yard.order())).status == "PASSED"
    with yard.asking() as workspace:
        assert order_purge("m", "", "recalled", slip, workspace).id == job.id
        for other in ("1.0.0", exact(workspace.catalog, "m", "").version):
            with pytest.raises(KeyReused):
                order_purge("m", other, "recalled", slip, workspace)
        assert exact(workspace.catalog, "m", "").status == "PASSED"


def test_a_version_that_is_purged_before_its_scan_stays_purged(yard: Yard) -> None:
    yard.done(yard.order())
    with yard.asking() as workspace:
        version = exact(workspace.catalog, "m", "1.0.0")
        job = order_rescan(version, SLIP, workspace)
        withdraw("m", "1.0.0", "recalled", workspace)
        delete([version], [], workspace)
    assert end_of(yard.done(job)).error == "BlobMissing"
    with yard.asking() as workspace:
        now = exact(workspace.catalog, "m", "1.0.0")
        assert (now.purged, now.status) == (True, "FAILED")


def test_the_bytes_of_a_version_that_is_being_scanned_stay(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.done(yard.order())
    with yard.asking() as workspace:
        version = exact(workspace.catalog, "m", "1.0.0")
        job = order_rescan(version, SLIP, workspace)
    describe = steps.describe

    def slowly(*values: Any) -> Any:
        with yard.asking() as workspace:
            remove("m@1.0.0", workspace)
            assert collect(workspace).done.held == len(version.manifest.files)
        return describe(*values)

    monkeypatch.setattr(steps, "describe", wraps(describe)(slowly))
    assert end_of(yard.done(job)).status == "PASSED"
    with yard.asking() as workspace:
        now = exact(workspace.catalog, "m", "1.0.0")
        assert all(workspace.store.has(entry.digest) for entry in now.manifest.files if entry.digest)


def test_a_job_that_is_not_wanted_any_more_stops_during_a_transfer(yard: Yard) -> None:
    with WebServer() as web, yard.working() as resources:
        url = web.put("/m.bin", b"x" * 100_000, trickle_after=1000)
        job = yard.order(IngestRequest(ModelRef.parse(url), "slow"))
        running = until(resources, job, lambda found: bool(found.progress))
        assert running.progress["status"] == "FETCHING"
        assert resources.catalog.jobs.cancel(job.id).cancel_wanted
        cancelled = ended(resources, job)
        assert (cancelled.state, end_of(cancelled)) == ("cancelled", JobEnd("cancelled"))
        assert ended(resources, yard.order()).state == "done"


def test_a_process_that_stops_gives_its_job_back(yard: Yard) -> None:
    with WebServer() as web:
        url = web.put("/m.bin", b"x" * 100_000, trickle_after=1000)
        job = yard.order(IngestRequest(ModelRef.parse(url), "slow"))
        with yard.working() as resources:
            until(resources, job, lambda found: bool(found.progress))
        with yard.asking() as workspace:
            back = workspace.catalog.jobs.get(job.id)
        assert (back.state, back.beginnings, back.end) == ("queued", 0, None)
        web.put("/m.bin", b"x" * 100_000)
        assert end_of(yard.done(job)).status == "PASSED"


def work_until_killed(settings: Settings) -> None:
    with open_resources(settings) as resources, JobWorker(resources, 1, LEASE_S):
        time.sleep(60)


def at_step(name: str) -> Callable[[], int]:
    """Die when a job begins a step."""
    begin = JobProgress.begin

    def begin_or_die(progress: JobProgress, step: str) -> None:
        if step == name:
            die()
        begin(progress, step)

    JobProgress.begin = begin_or_die  # type: ignore[method-assign]
    return lambda: 0


def test_a_job_goes_on_after_each_kill(yard: Yard) -> None:
    job, steps = yard.order(), ("fetch", "scan", "decide", "publish")
    for step in steps:
        assert run_and_die(at_step, step, work_until_killed, yard.settings) is None
    with yard.working() as resources:
        found = ended(resources, job)
        assert (found.state, end_of(found).status, found.beginnings) == ("done", "PASSED", len(steps) + 1)
        version = resources.catalog.get("m")
        assert version is not None
        assert len(version.published) == 1


def test_a_job_is_done_by_one_process_of_several(yard: Yard) -> None:
    for number in range(6):
        yard.order(
            IngestRequest(ModelRef.parse(f"mock:org/m{number}"), f"m{number}"), OrderSlip(SLIP.caller, str(number))
        )
    with yard.working(2, 60) as resources, JobWorker(resources, 2, 60):  # A busy machine renews no short lease.
        jobs = [ended(resources, job) for job in resources.catalog.jobs.listed()]
        assert {(job.state, job.beginnings) for job in jobs} == {("done", 1)}
        assert len(resources.catalog.ingests()) == 6


def test_jobs_that_ended_long_ago_are_forgotten(yard: Yard) -> None:
    job = yard.done(yard.order())
    kept = yard.settings.model_copy(update={"job_retention_days": 0.0})
    short = yard.settings.model_copy(update={"job_retention_days": 1e-9})
    for settings, count in ((yard.settings, 1), (kept, 1), (short, 0)):
        with open_resources(settings) as resources, Retention(resources):
            deadline = time.monotonic() + 30
            while len(found := resources.catalog.jobs.listed()) != count:
                assert time.monotonic() < deadline, found
                time.sleep(0.01)
            assert [one.id for one in found] == [job.id] * count


def test_steps_that_report_something_unforeseen_come_last() -> None:
    progress = JobProgress(STEPS["ingest"])
    assert progress.status == "FETCHING"
    progress.begin("resolve")
    progress.begin("fetch")
    progress.expect("fetch", 10)
    progress.advance("fetch", 4)
    progress.begin("scan")
    progress.expect("unpack", 5)
    states = {step["name"]: step["state"] for step in progress.to_json()}
    assert list(states) == [*STEPS["ingest"], "unpack"]
    assert (states["resolve"], states["fetch"], states["scan"], states["verify"], states["unpack"]) == (
        *("done", "running", "running", "waiting", "running"),
    )
    assert progress.status == "SCANNING"
    progress.begin("verify")
    states = {step["name"]: step["state"] for step in progress.to_json()}
    assert (states["fetch"], states["scan"], states["verify"]) == ("done", "done", "running")
