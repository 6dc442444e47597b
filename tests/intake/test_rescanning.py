"""Rescans with a real clamd: what newer signatures know, each blob once, budgets, gaps, and what runs beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.intake.rescans import LATER, House
from weighbridge.domain.progress import Silent
from weighbridge.domain.rescans import RescanRequest
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
