"""`lock` and `--locked` over every source: what was locked comes again, elsewhere too, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.sources.test_contract import KINDS, cases
from weighbridge.config.lock_file import read_lock, write_lock
from weighbridge.config.settings import Settings
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import IntegrityError
from weighbridge.intake import steps
from weighbridge.intake.chain import Direct
from weighbridge.intake.job import Job, locked_manifest
from weighbridge.intake.locking import lock
from weighbridge.intake.receiving import receive
from weighbridge.intake.workspace import open_workspace
from weighbridge.sources.contract import SourceCase


@dataclass(frozen=True)
class Machine:
    """A machine with an empty home, and a source in reach of it."""

    home: Path
    case: SourceCase

    def lock(self) -> Manifest:
        """Lock the model, and read back what the lock says."""
        request = IngestRequest(self.case.ref, name="model")
        with open_workspace(Settings(home=self.home)) as workspace, Direct() as runner:
            found = lock(Job(request, workspace, self.case.source, PRESETS["minimal"]), runner).manifest
        path = self.home / "models.lock"
        write_lock(path, {"model": (request.ref.uri, found)})
        locked = locked_manifest(request, read_lock(path))
        # A URI of url, file or s3 has no revision: there, only the files tell.
        assert (locked.ref.uri, locked.files) == (found.ref.uri, found.files)
        return locked

    def receive(self, locked: Manifest) -> Manifest:
        """Bring the model in as it was locked."""
        request = IngestRequest(self.case.ref, name="model")
        with open_workspace(Settings(home=self.home)) as workspace, Direct() as runner:
            job = Job(request, workspace, self.case.source, PRESETS["minimal"], locked)
            return receive(job, runner, steps.resolve(job)).manifest


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SourceCase]:
    yield from cases(request, tmp_path)


@pytest.fixture
def machines(case: SourceCase, tmp_path: Path) -> tuple[Machine, Machine]:
    homes = tmp_path / "one", tmp_path / "other"
    for home in homes:
        home.mkdir()
    return Machine(homes[0], case), Machine(homes[1], case)


def test_what_was_locked_comes_again_on_another_machine(machines: tuple[Machine, Machine]) -> None:
    one, _other = machines
    locked = one.lock()
    assert locked.files
    assert all(entry.digest and entry.digest.algorithm == "sha256" and entry.size is not None for entry in locked.files)
    assert one.lock() == locked
    for machine in machines:
        received = machine.receive(locked)
        assert (received.ref.uri, received.files) == (locked.ref.uri, locked.files)


def test_bytes_that_were_not_locked_are_refused(machines: tuple[Machine, Machine]) -> None:
    one, other = machines
    locked = one.lock()
    largest = max(locked.files, key=lambda entry: entry.size or 0)
    changed = replace(largest, digest=Digest.sha256(b"what it was before somebody changed it"))
    before = Manifest(locked.ref, tuple(changed if entry == largest else entry for entry in locked.files))
    for machine in machines:
        with pytest.raises(IntegrityError, match=r"not what models\.lock holds: changed: ") as error:
            machine.receive(before)
        assert largest.path in str(error.value)
    fewer = Manifest(locked.ref, tuple(entry for entry in locked.files if entry != largest))
    with pytest.raises(IntegrityError, match="not expected: "):
        other.receive(fewer)
