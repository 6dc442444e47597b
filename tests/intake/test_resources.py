"""What a process keeps, and what each piece of work is lent of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.clamd import signatures
from weighbridge.config.settings import Settings
from weighbridge.domain.progress import Silent
from weighbridge.errors import ScannerUnavailable
from weighbridge.intake.asker import Asker
from weighbridge.intake.inspecting import inspect_folder
from weighbridge.intake.workspace import Workspace, open_resources, workspace_of

_POLICY = "name: any\nextends: standard\nclamav: {database: any}\nlicence: {unknown: ignore}\n"
_WORD = b"a word that some day is a signature"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_bytes(_WORD)
    (tmp_path / "policy.yaml").write_text(_POLICY)
    return tmp_path


def test_new_signatures_reach_the_next_piece_of_work_and_not_the_present_one(folder: Path) -> None:
    database = signatures(folder / "signatures")
    settings = Settings(home=folder / "home", clamav_database=database)

    def judged(workspace: Workspace) -> tuple[str, set[str]]:
        version = inspect_folder(folder / "model", workspace, "policy.yaml")
        return version.status, {report.rules for report in version.reports if report.scanner == "clamav"}

    with open_resources(settings) as resources:
        with workspace_of(resources, Asker(folder=folder)) as first:
            before = judged(first)
            assert before[0] == "PASSED"
            (database / "more.ndb").write_text(f"Some.Day:0:*:{_WORD.hex()}\n")
            with workspace_of(resources, Asker(folder=folder)) as second:
                status, rules = judged(second)
                assert status == "FAILED"
                assert not rules & before[1], "reports name the signatures that they were made with"
                assert first.engines is not second.engines
            assert judged(first) == before
        with workspace_of(resources, Asker(folder=folder)) as third:
            assert third.engines is second.engines, "nothing is opened anew without a reason"


def test_signatures_that_are_gone_are_no_clean_bill(folder: Path) -> None:
    database = signatures(folder / "signatures")
    with open_resources(Settings(home=folder / "home", clamav_database=database)) as resources:
        with workspace_of(resources, Asker(folder=folder)) as workspace:
            assert inspect_folder(folder / "model", workspace, "policy.yaml").status == "PASSED"
        for path in database.iterdir():
            path.unlink()
        with (
            workspace_of(resources, Asker(folder=folder)) as workspace,
            pytest.raises(ScannerUnavailable, match="holds no ClamAV signatures"),
        ):
            inspect_folder(folder / "model", workspace, "policy.yaml")


def test_an_interrupt_ends_the_waits_of_one_asker_alone(folder: Path) -> None:
    with (
        open_resources(Settings(home=folder / "home")) as resources,
        workspace_of(resources, Asker(folder=folder)) as one,
    ):
        with pytest.raises(KeyboardInterrupt), workspace_of(resources, Asker(folder=folder)) as other:
            raise KeyboardInterrupt
        assert (other.retrying.stopped.is_set(), one.retrying.stopped.is_set()) == (True, False)


def test_somebody_else_who_listens_shares_what_is_open(folder: Path) -> None:
    with (
        open_resources(Settings(home=folder / "home")) as resources,
        workspace_of(resources, Asker(folder=folder, on_behalf=True)) as one,
    ):
        listener = Silent()
        other = one.heard_by(listener)
        assert other.progress is listener
        assert one.progress is not listener
        assert other.asker.on_behalf
        assert other.engines is one.engines
