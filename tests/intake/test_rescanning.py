"""Rescans with a real clamd: what newer signatures know, each blob once, budgets, gaps, and what runs beside them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.intake.rescans import LATER, House
from weighbridge.domain.digest import Digest
from weighbridge.domain.progress import Silent
from weighbridge.domain.rescans import RescanRequest
from weighbridge.errors import CatalogUnavailable, NotInCatalog, ScannerUnavailable
from weighbridge.intake.collecting import collect
from weighbridge.intake.rescanning import plan, rescan

CONFIG = b'{"model_type": "llama"}'


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


class Bytes(Silent):
    """Counts what scans read, by what they say."""

    def __init__(self) -> None:
        self.total = self.done = 0
        self.scans: list[str] = []

    def expect(self, step: str, amount: int, unit: str = "") -> None:
        self.total += amount if step == "rescan" else 0

    def advance(self, step: str, amount: int) -> None:
        self.done += amount if step == "rescan" else 0

    def say(self, step: str, text: str) -> None:
        self.scans.append(text)


def test_what_newer_signatures_know_is_withdrawn_and_nothing_is_read_twice(house: House) -> None:
    house.take_in("good", config__json=CONFIG, shared__txt=b"the same bytes")
    house.take_in("bad", later__bin=LATER, shared__txt=b"the same bytes")
    assert (house.folder / "home" / "export" / "bad" / "1.0.0").exists()
    house.learn(LATER)
    heard = Bytes()
    with house.open() as workspace:
        foreseen = plan(RescanRequest(), workspace)
        assert (foreseen.blobs, foreseen.size) == (3, len(CONFIG) + len(LATER) + 14)
        assert json.loads(json.dumps(foreseen.to_json()))["judge"] == []
        assert house.status("bad") == "PASSED", "a plan changes nothing"
        done = rescan(RescanRequest(), workspace.heard_by(heard))
    assert (done.rescan.state, done.rescan.judged, done.rescan.changed) == ("done", 2, ("bad@1.0.0",))
    assert (done.rescan.blobs_done, done.rescan.bytes_done, done.gaps) == (3, foreseen.size, ())
    assert (heard.total, heard.done) == (foreseen.size, foreseen.size)
    assert len([text for text in heard.scans if text.startswith("clamav: ")]) == 3
    assert (house.status("good"), house.status("bad")) == ("PASSED", "FAILED")
    assert not (house.folder / "home" / "export" / "bad" / "1.0.0").exists()
    again = house.rescan()
    assert (again.rescan.blobs_due, again.rescan.judged, again.whole) == (0, 0, True)


def test_what_is_lost_is_named_and_keeps_its_verdict(house: House) -> None:
    """Registries of images skip what they cannot read, and show the last scan as if it were of today."""
    version = house.take_in("m", config__json=CONFIG, later__bin=LATER)
    digest = Digest.sha256(LATER)
    house.learn(LATER)
    with house.open() as workspace:
        workspace.store.place(digest).unlink()
        done = rescan(RescanRequest(), workspace)
    (gap,) = done.gaps
    assert (gap.subject, gap.what, "m@1.0.0" in gap.detail) == (str(digest), "lost", True)
    assert (done.rescan.state, done.rescan.blobs_done, done.rescan.judged, done.whole) == ("done", 1, 0, False)
    assert house.status("m") == version.status == "PASSED"
    with house.open() as workspace:
        place = workspace.store.place(digest)
        place.write_bytes(LATER[:-1])
        (gap,) = rescan(RescanRequest(), workspace).gaps
        assert (gap.what, f"{len(LATER) - 1:,} of {len(LATER):,}" in gap.detail) == ("damaged", True)
        place.unlink()
        place.write_bytes(LATER)
        done = rescan(RescanRequest(), workspace)
    assert (done.rescan.changed, done.gaps, house.status("m")) == (("m@1.0.0",), (), "FAILED")


def test_a_budget_that_is_over_begins_one_blob_and_the_next_rescan_goes_on(house: House) -> None:
    """Otherwise what takes longer than its time begins with the same blob for ever, and never ends."""
    house.take_in("m", **{f"f{number}__txt": b"text %d" % number * 50 for number in range(5)})
    house.learn()
    with house.open() as workspace:
        (seen := Bytes()).expect("", 0)
        slow = workspace.heard_by(seen)
        states = []
        for _ in range(9):
            done = rescan(RescanRequest(budget_s=1, share=0.05), slow).rescan
            states.append(done.state)
            assert done.blobs_done >= min(done.blobs_due, 1)
            if done.state == "done":
                break
    assert states[-1] == "done"
    assert house.rescan().rescan.blobs_due == 0


def test_a_named_model_is_looked_at_alone_and_an_unknown_one_is_refused(house: House) -> None:
    house.take_in("a", config__json=CONFIG)
    house.take_in("b", later__bin=LATER)
    house.learn(LATER)
    done = house.rescan("a", "b@1.0.0").rescan
    assert (done.blobs_done, done.changed) == (2, ("b@1.0.0",))
    for name in ("nobody", "a@9.0.0"):
        with pytest.raises(NotInCatalog):
            house.rescan(name)


def test_a_second_rescan_is_refused_while_one_runs_and_a_dead_ones_lease_is_taken(house: House) -> None:
    house.take_in("a", config__json=CONFIG)
    with house.open() as workspace:
        workspace.catalog.rescans.begin(RescanRequest(), "elsewhere:1:x")
        with pytest.raises(CatalogUnavailable, match="elsewhere:1:x"):
            rescan(RescanRequest(), workspace)
        workspace.catalog.rescans.release(1, "elsewhere:1:x")
        workspace.catalog.rescans.begin(RescanRequest(), f"{socket.gethostname()}:{2**22 + 1}:x")
        assert rescan(RescanRequest(), workspace).rescan.number == 3
        assert [one.state for one in workspace.catalog.rescans.newest()] == ["done", "stopped", "stopped"]


def test_a_scanner_that_cannot_be_reached_ends_the_rescan_and_says_so(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.take_in("a", config__json=CONFIG)
    away = House(tmp_path, clamd="tcp://127.0.0.1:9")
    with away.open() as workspace:
        with pytest.raises(ScannerUnavailable):
            rescan(RescanRequest(), workspace)
        (ended,) = workspace.catalog.rescans.newest()
        assert (ended.state, ended.owner, "clamd" in ended.problem) == ("failed", "", True)
    assert house.status("a") == "PASSED"


def test_garbage_is_collected_beside_a_rescan_and_what_is_purged_is_named(house: House) -> None:
    house.take_in("a", config__json=CONFIG)
    house.take_in("b", later__bin=b"purged bytes")
    house.learn()
    with house.open() as workspace:
        workspace.catalog.withdraw("b", "1.0.0", "")
        workspace.catalog.removals.purge("b", "1.0.0")
        collect(workspace)
        done = rescan(RescanRequest(("a", "b")), workspace)
    assert [(gap.subject, gap.what) for gap in done.gaps] == [("b@1.0.0", "purged")]
    assert (done.rescan.blobs_done, done.whole) == (1, True)
