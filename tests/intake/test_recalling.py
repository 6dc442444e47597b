from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.catalog.test_catalog import settle
from tests.catalog.values import digest
from tests.intake.shelf import DENY, VIRUS, WAIVER, Shelf, report
from weighbridge.config.settings import Settings
from weighbridge.errors import VersionRecalled, VersionRefused
from weighbridge.intake.recalling import finish, judge_again, recalled
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import open_resources


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    with open_resources(Settings(home=tmp_path)) as opened:
        yield opened


def test_what_somebody_got_is_taken_back_from_caches(resources: Resources) -> None:
    settle(resources.catalog)
    refused = VersionRefused("org/name 1.0.0 is quarantined.", name="org/name", version="1.0.0")
    assert recalled(refused, resources) is refused
    resources.catalog.record_served("org/name", "1.0.0", digest("manifest"), "127.0.0.1")
    found = recalled(refused, resources)
    assert type(found) is VersionRecalled
    assert (found.problem, found.facts) == (refused.problem, refused.facts)
    other = VersionRefused("org/name 1.1.0 is quarantined.", name="org/name", version="1.1.0")
    assert recalled(other, resources) is other


def test_new_signatures_take_a_version_back_everywhere_and_the_one_before_is_the_default(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with shelf.open() as workspace:
        shelf.put(workspace, "m", "1.0.0")
        version = shelf.put(workspace, "m", "1.1.0")
        assert judge_again("m", "1.1.0", workspace).changed is False
        late = report(version.manifest.files[0], built="2026-11-21", findings=(VIRUS,))
        workspace.catalog.add_reports([late])
        workspace.catalog.add_reports(version.reports)  # An ingest of the same bytes, which began before, ends now.
        judged = judge_again("m", "1.1.0", workspace)
        assert (judged.before, judged.after, judged.flipped, judged.unfinished) == ("PASSED", "FAILED", True, ())
        assert shelf.given_out("m") == ["1.0.0"]
        now = workspace.catalog.get("m")
        assert now is not None
        assert (now.version, now.default) == ("1.0.0", True)
        (row,) = workspace.catalog.audit.rows(action="version.recalled")
        assert (row.object, dict(row.after or {})["default"]) == ("m@1.1.0", "1.0.0")
        assert judge_again("m", "1.1.0", workspace).changed is False


def test_a_waiver_reinstates_until_its_end(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with shelf.open() as workspace:
        shelf.put(workspace, "m", "1.0.0")
    for text, day, status, folders in (
        (DENY, 21, "FAILED", []),
        (DENY + WAIVER, 22, "PASSED", ["1.0.0"]),
        (DENY + WAIVER, 31 + 30, "FAILED", []),
    ):
        shelf.policy(text)
        shelf.now = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=day)
        with shelf.open() as workspace:
            assert judge_again("m", "1.0.0", workspace).after == status
            assert shelf.given_out("m") == folders


def test_what_is_only_old_is_not_taken_back(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with shelf.open() as workspace:
        version = shelf.put(workspace, "m", "1.0.0")
        shelf.now += timedelta(days=300)
        judged = judge_again("m", "1.0.0", workspace)
        assert (judged.after, judged.held, judged.changed) == ("PASSED", "signatures", False)
        broken = report(version.manifest.files[0], built="2027-09-16", status="failed", reason="it went away")
        workspace.catalog.add_reports([broken])
        assert judge_again("m", "1.0.0", workspace).after == "PASSED", "a scanner that was down recalls nothing"


def test_a_persons_withdrawal_and_purged_bytes_stay(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.policy(DENY)
    with shelf.open() as workspace:
        for number in ("1.0.0", "1.1.0"):
            shelf.put(workspace, "m", number)
        workspace.catalog.withdraw("m", "1.0.0", "ours")
        workspace.catalog.removals.purge("m", "1.1.0")
    shelf.policy(DENY + WAIVER)
    with shelf.open() as workspace:
        judged = [judge_again("m", number, workspace) for number in ("1.0.0", "1.1.0")]
        assert [(one.after, one.held) for one in judged] == [("FAILED", "withdrawn"), ("FAILED", "purged")]
        assert judge_again("m", "1.0.0", workspace).changed is False
        workspace.catalog.reinstate("m", "1.0.0")
        assert workspace.catalog.state("m", "1.0.0") == ("PASSED", True)


def test_a_registry_that_refuses_is_asked_again_later(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with shelf.open() as workspace:
        shelf.put(workspace, "m", "1.0.0")
        folder = tmp_path / "home" / "export" / "m"
        index = folder / "weighbridge.json"
        kept = index.read_bytes()
        index.write_text("broken")
        shelf.policy(DENY)
    with shelf.open() as workspace:
        judged = judge_again("m", "1.0.0", workspace)
        assert (judged.after, len(judged.unfinished)) == ("FAILED", 1)
        assert list(finish(workspace).unfinished) == ["m@1.0.0"]
        index.write_bytes(kept)
        assert finish(workspace).done == ("m@1.0.0",)
        assert (shelf.given_out("m"), finish(workspace).done) == ([], ())
