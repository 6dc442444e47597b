"""The cache: what only the mirror took in may go, what anybody else needs stays, and a request takes it in again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from tests.intake.test_mirror_ingests import READER, Door, ask, jobs, work
from tests.simulators.hub import Hub
from weighbridge.config.lock_file import lock_path, write_lock
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import BeingWeighed, NotInCatalog, StateConflict
from weighbridge.intake import caching, chain, evicting
from weighbridge.intake.asker import Asker
from weighbridge.intake.cache_limit import ACTOR, hold_limit
from weighbridge.intake.caching import CachedVersion, Holdings
from weighbridge.intake.chain import Direct
from weighbridge.intake.evicting import Eviction
from weighbridge.intake.job import Job
from weighbridge.intake.job_orders import OrderSlip, order_ingest
from weighbridge.intake.mirror_ingests import revision_name
from weighbridge.intake.mirroring import served
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import workspace_of

KB = 1000
SHARED = b"shared" * KB


def repository(name: str, size: int = 100 * KB) -> dict[str, bytes]:
    return {"config.json": b'{"model_type": "llama"}', "weights.bin": name.encode()[:1] * size, "shared.txt": SHARED}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Hub() as hub:
        for name in ("a", "b", "c"):
            hub.add(f"org/{name}", repository(name))
        yield Door(tmp_path, hub)


def mirror_in(resources: Resources, *names: str, revision: str = "") -> None:
    for name in names:
        with pytest.raises(BeingWeighed):
            ask(resources, name, revision)
    work(resources)
    for name in names:
        ask(resources, name, revision)
    resources.uses.store()


def by_hand(resources: Resources, name: str) -> None:
    request = IngestRequest(ModelRef("huggingface", name), name=name)
    with workspace_of(resources, Asker()) as workspace, Direct() as runner:
        chain.ingest(Job.of(request, workspace), runner)


def versions(resources: Resources, *models: Path) -> dict[str, CachedVersion]:
    with workspace_of(resources, Asker()) as workspace:
        return {one.used.name: one for one in Holdings(workspace, models).versions}


def evict(resources: Resources, *names: str, unused: timedelta | None = None, dry_run: bool = False) -> Eviction:
    with workspace_of(resources, Asker()) as workspace:
        holdings = Holdings(workspace)
        found = evicting.chosen(names, unused, holdings, workspace)
        return evicting.evict(found, holdings, (), workspace, dry_run=dry_run)


def purposes(resources: Resources, *models: Path) -> dict[str, int]:
    with workspace_of(resources, Asker()) as workspace:
        found = caching.usage(workspace, models).purposes
    return {name: amount.size for name, amount in found.items() if name not in ("other", "partial") and amount.size}


def test_what_the_mirror_took_in_goes_on_request_and_comes_again(door: Door) -> None:
    with door.open() as resources:
        mirror_in(resources, "org/a")
        (one,) = versions(resources).values()
        assert (one.kept, one.used.requests) == ((), 1)
        total = sum(len(content) for content in repository("a").values())
        assert (one.own, one.used.size) == (total, total)
        would = evict(resources, "org/a", dry_run=True)
        assert (would.freed, len(versions(resources))) == (total, 1)
        done = evict(resources, "org/a")
        assert done.freed == would.freed
        assert list(resources.store.digests()) == []
        (row,) = resources.catalog.audit.rows(action="version.removed")
        assert (row.object, row.after) == ("org/a@1.0.0", {"reason": "evicted: last used 2026-11-28"})
        mirror_in(resources, "org/a")  # Within the day for which the first job is remembered.
        assert versions(resources)["org/a"].kept == ()
        assert len(jobs(resources)) == 2


def test_what_anybody_else_wants_stays(door: Door, tmp_path: Path) -> None:
    models = tmp_path / "models.yaml"
    with door.open() as resources:
        mirror_in(resources, "org/a", "org/b", "org/c")
        by_hand(resources, "org/a")  # Nothing is fetched for it.
        resources.catalog.set_default("org/b", "1.0.0")
        models.write_text("models:\n  - source: hf:org/c\n")
        found = versions(resources, models)
        assert {name: one.kept for name, one in found.items()} == {
            "org/a": ("taken in by hand",),
            "org/b": ("default set by hand",),
            "org/c": ("in models.yaml",),
        }
        for name in ("org/a", "org/b@1.0.0"):
            with pytest.raises(StateConflict, match="by hand"):
                evict(resources, name)
        with pytest.raises(NotInCatalog):
            evict(resources, "org/unknown")
        assert [one.used.name for one in evict(resources, unused=timedelta(0)).versions] == ["org/c"], (
            "without the file"
        )


def test_locks_and_jobs_and_modes_keep_versions(door: Door, tmp_path: Path) -> None:
    models = tmp_path / "models.yaml"
    with door.open() as resources:
        mirror_in(resources, "org/a", "org/b")
        version = resources.catalog.get("org/a")
        assert version is not None
        write_lock(lock_path(models), {"org/a": (version.source, version.manifest)})
        with workspace_of(resources, Asker(on_behalf=True, actor=READER.actor)) as workspace:
            request = IngestRequest(ModelRef("huggingface", "org/b"), name="org/b")
            order_ingest(request, OrderSlip(READER, for_mirror=True), workspace)
        found = versions(resources, models)
        assert (found["org/a"].kept, found["org/a"].own) == (("locked",), 0)
        assert found["org/b"].kept == ("a job works on it",)
    with door.open("mode: catalog") as resources:
        assert versions(resources)["org/a"].kept == ("mode catalog",), "no request would take it in again"


def test_shared_blobs_go_with_the_last_version_that_needs_them(door: Door) -> None:
    """A registry's cache removed blobs that other images used (distribution/distribution#4191)."""
    with door.open() as resources:
        mirror_in(resources, "org/a", "org/b")
        own = versions(resources)["org/a"].own
        assert own == 100 * KB, "what both need is neither's own"
        assert evict(resources, "org/a").freed == own
        assert ask(resources, "org/b").version.name == "org/b"
        assert all(
            resources.store.has(one.digest) for one in ask(resources, "org/b").version.manifest.files if one.digest
        )
        both = sum(len(content) for content in repository("b").values())
        assert evict(resources, "org/b").freed == both


def test_only_what_nobody_asked_for_goes(door: Door) -> None:
    """Hot blobs went by the time of their first pull (distribution/distribution#4872); so did what was asked for by its
    tags only, as clients had the files (sonatype/nexus-public#413)."""
    with door.open() as resources:
        mirror_in(resources, "org/a", "org/b")
        door.now += timedelta(days=80)
        ask(resources, "org/b")
        resources.uses.store()
        door.now += timedelta(days=15)
        done = evict(resources, unused=timedelta(days=90))
        assert [one.used.name for one in done.versions] == ["org/a"]
        assert evict(resources, unused=timedelta(days=90)).versions == ()


def test_what_just_came_and_nobody_fetched_yet_stays(door: Door) -> None:
    """A fresh artifact had no time of a pull, and was removed the next day (goharbor/harbor#13152, #18708)."""
    with door.open() as resources:
        with pytest.raises(BeingWeighed):
            ask(resources, "org/a")
        work(resources)
        door.now += timedelta(days=1)
        assert evict(resources, unused=timedelta(days=7)).versions == ()
        door.now += timedelta(days=7)
        assert len(evict(resources, unused=timedelta(days=7)).versions) == 1


def test_what_was_used_after_it_was_chosen_stays(door: Door) -> None:
    """Between the question and the answer, a download linked what was to be pruned (huggingface_hub#4797)."""
    with door.open() as resources:
        mirror_in(resources, "org/a", "org/b")
        with workspace_of(resources, Asker()) as workspace:
            holdings = Holdings(workspace)
            found = evicting.chosen((), timedelta(0), holdings, workspace)
            assert len(found) == 2
            door.now += timedelta(minutes=1)
            ask(resources, "org/a")
            resources.uses.store()
            done = evicting.evict(found, holdings, (), workspace, dry_run=False)
        assert [one.used.name for one in done.versions] == ["org/b"]


def test_another_revision_is_a_model_of_its_own(door: Door) -> None:
    door.hub.repositories["models", "org/a"].branches["old"] = door.hub.repositories["models", "org/a"].branches["main"]
    with door.open() as resources:
        mirror_in(resources, "org/a")
        mirror_in(resources, "org/a", revision="old")
        assert set(versions(resources)) == {"org/a", revision_name("org/a", "old")}
        evict(resources, "org/a")
        assert ask(resources, "org/a", "old").version.name == revision_name("org/a", "old")


def test_another_revision_counts_as_used_where_it_was_handed_on_before(door: Door) -> None:
    stored = door.hub.repositories["models", "org/a"]
    commit = stored.branches["main"]
    with door.open() as resources:
        mirror_in(resources, "org/a", revision=commit)
    with door.open("mode: read-through") as resources:
        before = versions(resources)[revision_name("org/a", commit)].used
        door.now += timedelta(days=1)
        found = served("models", "org/a", commit, READER, resources, in_transit=True)
        assert found.version.name == revision_name("org/a", commit)
        resources.uses.store()
        assert versions(resources)[revision_name("org/a", commit)].used.requests == before.requests + 1


def test_a_quarantined_version_stays_as_evidence(door: Door) -> None:
    with door.open() as resources:
        mirror_in(resources, "org/a")
        resources.catalog.withdraw("org/a", "1.0.0", "recalled")
        assert versions(resources)["org/a"].kept == ("quarantined",)
        assert set(purposes(resources)) == {"quarantine"}


def test_the_sums_are_those_of_du(door: Door, tmp_path: Path) -> None:
    """`docker system df` left out a part of the disk (moby#38848), had more to reclaim than there was (moby#31944,
    docker/cli#1751), and less than nothing (moby#30257)."""
    with door.open() as resources:
        mirror_in(resources, "org/a", "org/b")
        by_hand(resources, "org/c")
        evict(resources, "org/b")
        leftover = resources.store.put([b"leftover" * KB])
        root = resources.store.root
        os.link(resources.store.path(leftover), root / "partial" / "second-name")
        with open(root / "partial" / ("f" * 64), "wb") as sparse:
            sparse.truncate(10_000_000)
        (root / "corrupt" / ("0" * 64)).write_bytes(b"broken" * KB)
        (root / "trash" / ("1" * 64)).write_bytes(b"gone" * KB)
        (root / "of-somebody-else").write_bytes(b"x" * KB)
        with workspace_of(resources, Asker()) as workspace:
            found = caching.usage(workspace)
        du = subprocess.run(["du", "-s", "--block-size=1", str(root)], capture_output=True, text=True, check=True)
        assert found.total.disk == int(du.stdout.split()[0])
        sizes = purposes(resources)
        assert sizes["evictable"] == 8 * KB
        assert sizes["mirror"] == versions(resources)["org/a"].own
        assert (sizes["corrupt"], sizes["trash"]) == (6 * KB, 4 * KB)
        assert all(amount.size >= 0 for amount in found.purposes.values())
        assert found.purposes["partial"].size == 10_000_000, "a file with two names counts once"


def leave_behind(resources: Resources, *sizes: int, since: float = 1_000_000.0) -> list[str]:
    """Put blobs into the store that nothing needs, the first one the oldest."""
    found = []
    for number, size in enumerate(sizes):
        digest = resources.store.put([bytes([number + 1]) * size])
        os.utime(resources.store.path(digest), (since + number, since + number))
        found.append(digest.hex)
    return found


def here(resources: Resources) -> set[str]:
    return {digest.hex for digest in resources.store.digests()}


def test_above_the_limit_what_nothing_needs_goes_the_oldest_first(door: Door) -> None:
    """A cache evicted one entry for each that came, however large (apache/druid#3507)."""
    with door.open(cache_limit=350 * KB) as resources:
        by_hand(resources, "org/a")
        needed = here(resources)
        first, second, third, fourth = leave_behind(resources, 100 * KB, 100 * KB, 100 * KB, 100 * KB)
        hold_limit(resources, door.folder)
        assert here(resources) == needed | {third, fourth}
        hold_limit(resources, door.folder)
        assert here(resources) == needed | {third, fourth}, "below the limit nothing goes"
        assert {first, second}.isdisjoint(here(resources))


def test_what_a_version_needs_stays_above_the_limit(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with door.open(cache_limit=1) as resources:
        mirror_in(resources, "org/a", "org/b")
        by_hand(resources, "org/c")
        assert len(versions(resources)) == 3
        assert ask(resources, "org/a").version.status == "PASSED"
        (*_, record) = [one for one in caplog.records if "above its limit" in one.message]
        assert vars(record)["limit"] == 1
        assert vars(record)["size"] > 300 * KB


def test_what_nobody_uses_goes_above_the_limit_where_the_operator_says_so(door: Door) -> None:
    with door.open() as resources:
        mirror_in(resources, "org/a", "org/b")
        by_hand(resources, "org/c")
        door.now += timedelta(days=40)
        ask(resources, "org/b")
        resources.uses.store()
    with door.open(cache_limit=1, cache_unused_days=30) as resources:
        hold_limit(resources, door.folder)
        assert set(versions(resources)) == {"org/b", "org/c"}
        (row,) = resources.catalog.audit.rows(action="version.removed")
        assert (row.actor, row.object) == (ACTOR, "org/a@1.0.0")
        mirror_in(resources, "org/a")
        assert set(versions(resources)) == {"org/a", "org/b", "org/c"}


def test_processes_that_hold_the_limit_at_once_take_away_no_more_than_one(door: Door) -> None:
    """Sweeps side by side each freed the whole excess (freenet/freenet-core#5012)."""
    with door.open(cache_limit=500 * KB) as resources, door.open(cache_limit=500 * KB) as other:
        by_hand(resources, "org/a")
        needed = here(resources)
        left = leave_behind(resources, *[100 * KB] * 10)
        together = Barrier(4)

        def hold(where: Resources) -> None:
            together.wait()
            hold_limit(where, door.folder)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(hold, (resources, other, resources, other)))
        assert here(resources) == needed | set(left[7:])


def test_running_work_keeps_what_it_relies_on_above_the_limit(door: Door) -> None:
    with door.open(cache_limit=1) as resources:
        by_hand(resources, "org/a")
        needed = here(resources)
        (oldest, _) = leave_behind(resources, 100 * KB, 100 * KB)
        with resources.store.leased() as leased:
            held = next(digest for digest in resources.store.digests() if digest.hex == oldest)
            assert leased.has(held)
            hold_limit(resources, door.folder)
            assert here(resources) == needed | {oldest}
        hold_limit(resources, door.folder)
        assert here(resources) == needed


def test_a_failed_ingest_leaves_nothing_above_the_limit(door: Door) -> None:
    with door.open(cache_limit=1) as resources:
        by_hand(resources, "org/a")
        needed = here(resources)
        door.hub.fault("/weights.bin", methods=("GET",), status=404)
        with pytest.raises(BeingWeighed):
            ask(resources, "org/b")
        work(resources)
        assert [job.state for job in jobs(resources)] == ["failed"]
        assert here(resources) == needed, "and nobody had to hold it"


def test_a_catalog_that_cannot_say_what_is_needed_loses_nothing(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with door.open(cache_limit=1) as resources:
        left = leave_behind(resources, 100)
        hold_limit(resources, door.folder)
        assert here(resources) == set(left), "a catalog that never had a model is not this store's"
        by_hand(resources, "org/a")
        before = here(resources) | set(leave_behind(resources, 100))
        (door.folder / "models.lock").write_text("models: [broken")
        hold_limit(resources, door.folder)
        assert here(resources) == before
    assert "The limit of the store was not held" in caplog.text
