"""Collecting garbage, killed at every change of a folder, and beside ingests that are killed."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.registries.killing import FILE_EVENTS, Seen, die, run_and_die
from tests.services.clamd import signatures
from weighbridge.config.lock_file import lock_path, write_lock
from weighbridge.config.settings import Settings
from weighbridge.domain.progress import Silent
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import InvalidConfiguration
from weighbridge.intake import chain, steps
from weighbridge.intake.chain import Direct
from weighbridge.intake.collecting import Collection, collect
from weighbridge.intake.job import Job
from weighbridge.intake.removing import remove
from weighbridge.intake.workspace import open_resources, open_workspace
from weighbridge.store.checking import check_store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("m", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"model_type": "llama"}')
        (tmp_path / name / "README.md").write_text(f"# {name}\n")
    return Settings(
        home=tmp_path / "home",
        registries=("export",),
        policy="minimal",
        clamav_database=signatures(tmp_path / "signatures"),
    )


def take_in(settings: Settings, name: str = "m") -> str:
    ref = ModelRef("file", str(settings.home.parent / name))
    with open_workspace(settings) as workspace, Direct() as runner:
        return chain.ingest(Job.of(IngestRequest(ref, name), workspace), runner).version.version


def remove_it(settings: Settings) -> None:
    with open_workspace(settings) as workspace:
        remove("m@1.0.0", workspace)


def gc(settings: Settings) -> Collection:
    with open_workspace(settings) as workspace:
        return collect(workspace)


def before_event_of_trash(number: int) -> Seen:
    """Die before the nth time that a blob moves to the trash, or is deleted there."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in FILE_EVENTS and any("/trash/" in str(argument) for argument in arguments):
            seen += 1
            if seen == number:
                die()

    sys.addaudithook(hook)
    return lambda: seen


def is_sound(settings: Settings) -> bool:
    with open_workspace(settings) as workspace:
        versions = [found for name in ("m", "other") for found in workspace.catalog.versions(name)]
        return check_store(workspace.store, versions, Silent(), 1).sound


def test_a_collection_that_is_killed_loses_nothing_and_goes_on(settings: Settings) -> None:
    take_in(settings)
    take_in(settings, "other")
    remove_it(settings)
    for number in (1, 2, 1):  # Before the blob is set aside, and twice before its bytes are deleted.
        assert run_and_die(before_event_of_trash, number, gc, settings) is None
        assert is_sound(settings)
    gc(settings)
    store = settings.store_folder
    assert list((store / "trash").iterdir()) == []
    assert len(list((store / "blobs").rglob("?" * 64))) == 2
    assert take_in(settings) == "1.0.0"
    assert is_sound(settings)


def at_step(name: str) -> object:
    """Die when an ingest begins a step."""
    setattr(steps, name, lambda *_: die())
    return lambda: 0


@pytest.mark.parametrize("step", ["verify", "publish"])
def test_what_a_killed_ingest_relied_on_may_go(settings: Settings, step: str) -> None:
    take_in(settings, "other")
    assert run_and_die(at_step, step, take_in, settings) is None  # type: ignore[arg-type]
    gc(settings)
    assert is_sound(settings)
    assert len(list((settings.store_folder / "blobs").rglob("?" * 64))) == 2
    assert take_in(settings) == "1.0.0"
    assert is_sound(settings)


def test_a_lock_that_was_written_while_a_collection_waited_counts(settings: Settings) -> None:
    """A collection waits for whoever notes a blob; the lock is written, and its work ends, before it begins."""
    take_in(settings)
    models = settings.home.parent / "models.yaml"
    with open_workspace(settings) as workspace, ThreadPoolExecutor(1) as pool:
        version = workspace.catalog.get("m")
        assert version is not None
        remove_it(settings)
        with workspace.store.leases.noting():
            waiting = pool.submit(collect, workspace, (models,))
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            write_lock(lock_path(models), {"m": (version.manifest.ref.uri, version.manifest)}, set())
        found = waiting.result()
    assert (found.done.kept, found.done.held, found.locks) == (2, 0, (lock_path(models),))


def test_the_null_device_in_the_place_of_a_lock_is_none_and_a_broken_lock_prevents_a_collection(
    settings: Settings,
) -> None:
    take_in(settings)
    remove_it(settings)
    models = settings.home.parent / "models.yaml"
    lock_path(models).write_text("")
    with open_workspace(settings) as workspace:
        with pytest.raises(InvalidConfiguration):
            collect(workspace, (models,))
        lock_path(models).unlink()
        lock_path(models).symlink_to("/dev/null")
        found = collect(workspace, (models,))
    assert (found.done.blobs, found.locks) == (2, ())


def test_a_process_that_lives_long_keeps_only_what_its_work_needs(settings: Settings) -> None:
    with open_resources(settings):
        take_in(settings)
        remove_it(settings)
        assert gc(settings).done.blobs == 2
