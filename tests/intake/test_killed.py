"""A sync that publishes or withdraws, killed at every file event and around every commit, then run again.

Afterwards catalog, store and registry agree, whatever the moment was.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.intake.test_syncing import DENY, LOOSE, Night
from tests.registries.killing import before_file_event, die
from weighbridge.intake.auditing import audit

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["tests.intake.test_killed"])


def around_commit(number: int) -> None:
    """Die before the nth commit (odd numbers), or right after it (even ones): before the next statement begins."""
    seen = 0

    def commit(_connection: Any) -> None:
        nonlocal seen
        seen += 1
        if 2 * seen - 1 == number:
            die()

    def begin(_connection: Any) -> None:
        if seen and 2 * seen == number:
            die()

    event.listen(Engine, "commit", commit)
    event.listen(Engine, "begin", begin)


def _sync(folder: Path, arm: Callable[[int], None], number: int) -> None:
    night = Night(folder)
    arm(number)
    night.sync()


def killed(folder: Path, arm: Callable[[int], None], number: int) -> bool:
    """Sync in a process of its own and return whether it was killed before it was done."""
    process = _forking.Process(target=_sync, args=(folder, arm, number))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.fixture
def night(tmp_path: Path) -> Night:
    made = Night(tmp_path)
    made.sync()
    return made


@pytest.mark.parametrize("arm", [before_file_event, around_commit])
def test_registries_and_catalog_agree_after_a_kill(night: Night, arm: Callable[[int], None]) -> None:
    """Each moment of a sync that withdraws, then of one that publishes, until the moment never comes in either."""
    number, more = 0, True
    while more:
        number, more = number + 1, False
        for policy, given_out in ((DENY, []), (LOOSE, ["1.0.0"])):
            night.policy(policy)
            more |= killed(night.folder, arm, number)
            night.sync()
            version = night.version
            assert version.status == ("PASSED" if given_out else "FAILED"), number
            assert night.given_out == given_out, number
            assert len(version.published) == len(given_out), number
            assert os.path.lexists(night.folder / "home/export/m/default") == bool(given_out), number
            with night.open() as workspace:
                assert audit([version], workspace) == (), number
    assert number > 5, "the moments never came"
