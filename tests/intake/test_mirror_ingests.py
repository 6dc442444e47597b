"""A model that is asked of the mirror and not here: taken in once, by who may, and never what others get as `main`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.services.clamd import eicar, signatures
from tests.simulators.hub import Hub
from weighbridge.catalog import Catalog, JobOrder, StoredJob
from weighbridge.config.settings import Settings
from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import (
    BeingWeighed,
    NotAuthenticated,
    NotInCatalog,
    SourceUnavailable,
    TooManyAtOnce,
    VersionRefused,
    VersionWithdrawn,
)
from weighbridge.intake.asker import Asker
from weighbridge.intake.job_orders import OrderSlip, order_ingest
from weighbridge.intake.job_worker import JobWorker
from weighbridge.intake.mirror_ingests import being_weighed, revision_name
from weighbridge.intake.mirrored_models import hub_name
from weighbridge.intake.mirroring import Served, served
from weighbridge.intake.resources import Resources
from weighbridge.intake.withdrawing import withdraw
from weighbridge.intake.workspace import workspace_of
from weighbridge.store.local import LocalBlobStore

READER, PUBLISHER = Caller("r", "reader"), Caller("p", "publisher")
FILES = {"config.json": b'{"model_type": "llama"}', "README.md": b"---\nlicense: mit\n---\n"}


class Door:
    """A mirror before a Hub, with a clock that tests set."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.folder, self.hub, self.now = folder, hub, datetime(2026, 11, 28, 12, tzinfo=UTC)

    def settings(self, config: str = "mode: gated", **more: object) -> Settings:
        path = self.folder / "mirror.yaml"
        path.write_text(f"backends: [{{type: huggingface, config: {{base_url: {self.hub.url}, {config}}}}}]")
        chosen: dict[str, object] = {
            "home": self.folder / "home",
            "registries": ("export",),
            "policy": "minimal",
            "clamav_database": signatures(self.folder / "signatures"),
            "mirror_config": path,
        }
        return Settings(**{**chosen, **more})

    @contextmanager
    def open(self, config: str = "mode: gated", **more: object) -> Iterator[Resources]:
        settings = self.settings(config, **more)
        with Catalog.open(settings.database_url, self.clock) as catalog:
            resources = Resources(settings, LocalBlobStore(settings.store_folder), catalog, self.clock)
            yield resources
            resources.pool.close()

    def clock(self) -> datetime:
        return self.now


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Hub() as hub:
        hub.add("org/name", FILES)
        yield Door(tmp_path, hub)


def ask(resources: Resources, name: str = "org/name", revision: str = "", caller: Caller = READER) -> Served:
    return served("models", name, revision, caller, resources)


def work(resources: Resources) -> None:
    """Do every job that waits."""
    worker = JobWorker(resources, 0, 30)
    while worker.work_once("test"):
        pass


def jobs(resources: Resources) -> list[StoredJob]:
    return resources.catalog.jobs.listed()


def test_a_miss_has_it_taken_in_once_for_all_who_ask(door: Door) -> None:
    with door.open() as resources:
        callers = [Caller(f"reader-{number % 4}", "reader") for number in range(16)]

        def refused(caller: Caller) -> BeingWeighed:
            with pytest.raises(BeingWeighed) as caught:
                ask(resources, caller=caller)
            return caught.value

        with ThreadPoolExecutor(8) as pool:
            errors = list(pool.map(refused, callers))
        (job,) = jobs(resources)
        assert job.order.asker in {caller.actor for caller in callers}
        assert {error.facts["retry_after_s"] for error in errors} == {5}
        assert "org/name is being weighed: it waits for its turn" in str(errors[0])
        assert door.hub.requests == [], "a request waits for no Hub"
        work(resources)
        found = ask(resources)
        assert (found.version.version, found.commit) == (
            "1.0.0",
            door.hub.repositories["models", "org/name"].branches["main"],
        )
        assert len(jobs(resources)) == 1


def test_other_modes_and_names_take_nothing_in(door: Door) -> None:
    for config in ("mode: catalog", "names: [other/*], mode: gated", "mode: gated, modes: {org/*: catalog}"):
        with door.open(config) as resources:
            with pytest.raises(NotInCatalog):
                ask(resources)
            assert jobs(resources) == []


@pytest.mark.parametrize(
    ("name", "revision"),
    [
        ("../org/name", ""),
        ("a/b/c", ""),
        ("org/name", "-x"),
        ("org/name", "a b"),
        ("org/name", "x@y"),
        ("org/na\u202eme", ""),
        ("org/name", "../../x"),
        ("x" * 300, ""),
        ("org/name", "x" * 300),
    ],
)
def test_what_can_be_no_repository_starts_nothing(door: Door, name: str, revision: str) -> None:
    with door.open() as resources:
        with pytest.raises(NotInCatalog):
            ask(resources, name, revision)
        with pytest.raises(NotInCatalog):
            served("spaces", "org/name", "", READER, resources)
        assert jobs(resources) == []


def test_who_may_have_it_taken_in_is_a_setting(door: Door) -> None:
    allowed = {
        "reader": (READER, PUBLISHER),
        "publisher": (PUBLISHER, Caller("a", "admin")),
        "anyone": (ANONYMOUS, READER),
    }
    for who, callers in allowed.items():
        with door.open(f"mode: gated, ingest_by: {who}") as resources:
            for caller in (ANONYMOUS, READER, Caller("p", "publisher", ("other/*",)), PUBLISHER, Caller("a", "admin")):
                number = len(jobs(resources))
                if caller in callers:
                    with pytest.raises(BeingWeighed):
                        ask(resources, f"{who}/{caller.name or 'nobody'}", caller=caller)
                    assert len(jobs(resources)) == number + 1
        if who == "reader":
            with door.open() as resources, pytest.raises(NotAuthenticated, match="HF_TOKEN"):
                ask(resources, "reader/unknown", caller=ANONYMOUS)
            with door.open() as resources, pytest.raises(BeingWeighed):
                ask(resources, "reader/r", caller=ANONYMOUS)
        if who == "publisher":
            for caller in (READER, Caller("p", "publisher", ("publisher/other",))):
                with door.open("mode: gated, ingest_by: publisher") as resources, pytest.raises(Exception) as caught:
                    ask(resources, "publisher/unknown", caller=caller)
                assert type(caught.value).__name__ in ("NotInCatalog", "NotPermitted")


def test_only_so_many_wait_for_one_caller(door: Door) -> None:
    with door.open(max_waiting_jobs_each=2) as resources:
        for number in range(2):
            with pytest.raises(BeingWeighed):
                ask(resources, f"probe/{number}")
        with pytest.raises(TooManyAtOnce) as caught:
            ask(resources, "probe/2")
        assert caught.value.facts["retry_after_s"]
        assert len(jobs(resources)) == 2
        with pytest.raises(BeingWeighed):
            ask(resources, "probe/2", caller=PUBLISHER)


def test_what_the_hub_does_not_have_is_remembered_for_a_while(door: Door) -> None:
    with door.open() as resources:
        with pytest.raises(BeingWeighed):
            ask(resources, "org/none")
        work(resources)
        for _ in range(3):
            with pytest.raises(NotInCatalog, match="could not be taken in"):
                ask(resources, "org/none", caller=PUBLISHER)
        assert len(jobs(resources)) == 1
        door.now += timedelta(minutes=11)
        door.hub.add("org/none", FILES)
        with pytest.raises(BeingWeighed):
            ask(resources, "org/none")
        work(resources)
        assert ask(resources, "org/none").version.version == "1.0.0"


def test_a_hub_that_is_away_is_asked_again_soon(door: Door, waited: list[float]) -> None:
    door.hub.fault("/api/models/org/name", status=503)
    with door.open() as resources:
        with pytest.raises(BeingWeighed):
            ask(resources)
        work(resources)
        with pytest.raises(SourceUnavailable) as caught:
            ask(resources)
        assert 0 < caught.value.facts["retry_after_s"] <= 30
        door.hub.faults.clear()
        door.now += timedelta(seconds=31)
        with pytest.raises(BeingWeighed):
            ask(resources)
        work(resources)
        assert ask(resources)


def test_what_is_quarantined_is_refused_with_its_reasons_and_not_taken_in_again(door: Door) -> None:
    door.hub.add("org/bad", {**FILES, "run.bin": eicar()})
    with door.open() as resources:
        with pytest.raises(BeingWeighed):
            ask(resources, "org/bad")
        work(resources)
        for _ in range(2):
            with pytest.raises(VersionRefused, match="quarantined"):
                ask(resources, "org/bad")
        assert len(jobs(resources)) == 1
    with door.open() as resources, pytest.raises(VersionRefused):
        served("models", "org/bad", "", READER, resources, describing=True)
    with door.open("mode: gated, show_refused: true") as resources:
        assert served("models", "org/bad", "", READER, resources, describing=True).version.status == "FAILED"
        with pytest.raises(VersionRefused):
            ask(resources, "org/bad")
        with workspace_of(resources, Asker()) as workspace:
            withdraw("org/bad", "1.0.0", "It is old.", workspace)
        with pytest.raises(VersionWithdrawn):
            served("models", "org/bad", "", READER, resources, describing=True)


def test_another_revision_never_becomes_what_others_get(door: Door) -> None:
    repository = door.hub.repositories["models", "org/name"]
    first = repository.branches["main"]
    repository.tags["v0.1"] = first
    second = repository.commit({**FILES, "more.json": b"{}"})
    with door.open() as resources:
        for revision in ("v0.1", "refs/heads/main"):
            with pytest.raises(BeingWeighed):
                ask(resources, revision=revision)
            work(resources)
        assert ask(resources, revision="v0.1").commit == ask(resources, revision=first).commit == first
        assert ask(resources).commit == ask(resources, revision="main").commit == second
        third = repository.commit({**FILES, "newer.json": b"{}"})
        assert ask(resources).commit == second, "what upstream's branch is by now changes nothing here"
        with pytest.raises(BeingWeighed):
            ask(resources, revision=third)
        work(resources)
        assert (ask(resources, revision=third).commit, ask(resources).commit) == (third, second)
        door.hub.add("org/name-v0.1", FILES)
        with pytest.raises(BeingWeighed):
            ask(resources, "org/name-v0.1")  # This is another repository.
        assert hub_name("org/name:revision/v0.1") == "org/name"
        assert {job.order.name for job in jobs(resources)} == {"org/name-v0.1"} | {
            *("org/name", "org/name:revision/v0.1", f"org/name:revision/{third}")
        }


def test_a_name_of_another_source_is_not_continued_by_a_hub(door: Door, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "own"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    door.hub.add("company/own", FILES)
    with door.open(file_roots=(tmp_path / "models",)) as resources:
        with workspace_of(resources, Asker(on_behalf=True, actor="key:ci")) as workspace:
            order_ingest(
                IngestRequest(ModelRef("file", str(folder)), "company/own"),
                OrderSlip(Caller("ci", "publisher")),
                workspace,
            )
        work(resources)
        assert ask(resources, "company/own")
        with pytest.raises(NotInCatalog):
            ask(resources, "company/own", "v9")
        with pytest.raises(NotInCatalog):
            served("datasets", "company/own", "", READER, resources)
        assert len(jobs(resources)) == 1


def test_a_model_with_a_similar_name_is_not_served_for_one_of_the_hub(door: Door) -> None:
    with door.open("mode: catalog") as resources:
        with workspace_of(resources, Asker(on_behalf=True, actor="key:ci")) as workspace:
            request = IngestRequest(ModelRef("hf", "org/name"), "org/name:7b")
            order_ingest(request, OrderSlip(Caller("ci", "publisher")), workspace)
        work(resources)
        assert ask(resources, "org/name-7b").version.name == "org/name:7b"
    with door.open() as resources, pytest.raises(BeingWeighed):
        ask(resources, "org/name-7b")


def test_how_far_it_is_and_when_to_ask_again() -> None:
    def error(state: str, *steps: dict[str, object]) -> BeingWeighed:
        order = JobOrder("ingest", "m", {"uri": "hf:m"}, "key:r")
        now = datetime(2026, 11, 28, tzinfo=UTC)
        job = StoredJob("1", order, state, 1, False, "", {"steps": list(steps)}, None, now, now, None)  # type: ignore[arg-type]
        return being_weighed(job, "org/name")

    def step(name: str, done: int, total: int | None, speed: float | None = None) -> dict[str, object]:
        return {"name": name, "state": "running", "unit": "bytes", "done": done, "total": total, "speed": speed}

    fetch, scan = step("fetch", 41, 100, 5.9), step("scan", 12, 100)
    assert "41 % received, 12 % scanned" in str(error("running", fetch, scan))
    assert error("running", fetch, scan).facts["retry_after_s"] == 5
    assert error("running", step("fetch", 0, 10**12, 1e6)).facts["retry_after_s"] == 60
    assert error("running", step("fetch", 0, None)).facts["retry_after_s"] == 5
    assert "its files are being listed" in str(error("running"))
    assert error("running").facts["retry_after_s"] == 2
    assert error("queued").retryable


def test_names_of_revisions() -> None:
    assert revision_name("a/b", "") == revision_name("a/b", "main") == revision_name("a/b", "refs/heads/main") == "a/b"
    assert revision_name("a/b", "refs/tags/v1") == revision_name("a/b", "v1") == "a/b:revision/v1"
    assert revision_name("a/b", "refs/pr/1") == "a/b:revision/refs/pr/1"
