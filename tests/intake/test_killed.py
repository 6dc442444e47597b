"""Commands killed at file events and around commits, then run again.

Afterwards catalog, store and registry agree, whatever the moment was.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.intake.night import DENY, LOOSE, Night, take_in
from tests.registries.killing import Arm, around_commit, before_file_event, before_request, run_and_die, samples
from tests.services.mlflow import PASSWORD, USERNAME, MLflowServer
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.intake import publishing
from weighbridge.intake.auditing import audit
from weighbridge.intake.job import Job
from weighbridge.intake.repairing import RepairReport, repair_store
from weighbridge.registries.export import export_folder
from weighbridge.store.checking import check_store

multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.intake.test_killed"])


def sync(night: Night) -> None:
    night.sync()


def ingest(night: Night) -> None:
    request = IngestRequest(ref=ModelRef.parse(f"file:{night.folder}/m"), name=night.name)
    with night.open() as workspace:
        take_in(Job.of(request, workspace))


def change(night: Night) -> None:
    """Change a file of the model at its source, so that an ingest makes a new version."""
    night.put("config.json", json.dumps({"model_type": "llama", "changed": str(uuid.uuid4())}))


def deny(night: Night) -> None:
    night.policy(DENY)


def allow(night: Night) -> None:
    night.policy(LOOSE)


def withdraw(night: Night) -> None:
    with night.open() as workspace:
        publishing.withdraw(night.name, "1.0.0", "It is not ours.", workspace)


def reinstate(night: Night) -> None:
    with night.open() as workspace:
        publishing.reinstate(night.name, "1.0.0", workspace)


def damage(night: Night) -> None:
    """Change a byte of one file, also where it is given out, and lose another one."""
    files = night.version.manifest.files
    with night.open() as workspace:
        changed, lost = (workspace.store.path(file.digest) for file in files if file.digest)
    content = changed.read_bytes()
    changed.chmod(0o644)
    changed.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    lost.unlink()


def repair(night: Night) -> RepairReport:
    with night.open() as workspace:
        versions = workspace.catalog.versions(night.name)
        return repair_store(check_store(workspace.store, versions, workspace.progress, 2), versions, workspace, {})


def remove_exported(night: Night) -> None:
    shutil.rmtree(night.folder / "taken", ignore_errors=True)


def export(night: Night) -> None:
    with night.open() as workspace:
        export_folder(night.version, workspace.store, night.folder / "taken" / "m")


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes:
        run: the command.
        prepare: gives it something to do, whatever was done before.
        status: of the version afterwards.
    """

    run: Callable[[Night], object]
    prepare: Callable[[Night], object]
    status: str = "PASSED"


#: In this order each command finds what the one before it leaves.
COMMANDS = {
    "ingest": (Command(ingest, change),),
    "sync that withdraws": (Command(sync, deny, "FAILED"), Command(sync, allow)),
    "withdraw": (Command(withdraw, allow, "FAILED"), Command(reinstate, allow)),
    "repair": (Command(repair, damage),),
    "export": (Command(export, remove_exported),),
}


def assert_agreement(night: Night, status: str, moment: object) -> None:
    """What the catalog says of the version, the store has whole and the registries give out."""
    version = night.version
    assert version.status == status, moment
    assert len(version.published) == (status == "PASSED"), moment
    with night.open() as workspace:
        registries = [workspace.registry_at(name) for name in workspace.settings.registries]
        assert publishing.due(version, registries, workspace) == [], moment
        assert [
            one for one in audit([version], workspace) if one.model in ("", f"{night.name}@{version.version}")
        ] == [], moment
        assert check_store(workspace.store, [version], workspace.progress, 2).sound, moment
        assert not list(workspace.store.corrupt_digests()), moment


@pytest.fixture
def night(tmp_path: Path) -> Night:
    made = Night(tmp_path)
    made.sync()
    return made


def kill_and_repeat(night: Night, commands: tuple[Command, ...], arm: Arm) -> None:
    """Kill each command at the first moment, the last one and some between, and run it again each time."""
    moments: list[list[int]] = []
    for command in commands:
        command.prepare(night)
        moments.append(samples(run_and_die(arm, 0, command.run, night) or 0))
        assert_agreement(night, command.status, "no kill")
    for turn in range(max(map(len, moments))):
        for command, numbers in zip(commands, moments, strict=True):
            command.prepare(night)
            number = numbers[min(turn, len(numbers) - 1)]
            killed = run_and_die(arm, number, command.run, night) is None
            command.run(night)
            assert killed or number == numbers[-1], (command, number)
            assert_agreement(night, command.status, (command, number))


@pytest.mark.parametrize("arm", [before_file_event, around_commit])
@pytest.mark.parametrize("commands", COMMANDS.values(), ids=COMMANDS)
def test_everything_agrees_after_a_kill(night: Night, commands: tuple[Command, ...], arm: Arm) -> None:
    kill_and_repeat(night, commands, arm)


@pytest.mark.xdist_group("mlflow")
@pytest.mark.parametrize("arm", [before_request, around_commit])
def test_a_server_agrees_after_a_kill(mlflow_server: MLflowServer, tmp_path: Path, arm: Arm) -> None:
    uri = mlflow_server.uri.replace("://", f"://{USERNAME}:{PASSWORD}@")
    night = Night(tmp_path, f"m-{uuid.uuid4().hex}", registries=("mlflow",), mlflow_tracking_uri=uri)
    night.sync()
    kill_and_repeat(night, COMMANDS["sync that withdraws"], arm)
