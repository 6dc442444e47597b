"""Publishing in a process that is killed at a chosen point, by a signal that nothing can catch.

The forkserver imports this module once, MLflow with it, and forks every process from there: no database was opened in
it, and importing costs nothing a second time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from weighbridge.domain.version import ModelVersion
from weighbridge.registries.interface import Registry
from weighbridge.registries.mlflow_session import load_mlflow
from weighbridge.store.local import LocalBlobStore

load_mlflow()

#: What Python tells audit hooks before it changes a folder.
FILE_EVENTS = ("os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "shutil.rmtree")
#: What changes an MLflow registry.
MLFLOW_CALLS = (
    "create_registered_model",
    "create_experiment",
    "create_run",
    "create_model_version",
    "set_registered_model_alias",
    "set_terminated",
)

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["tests.registries.killing"])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before_file_event(number: int) -> None:
    """Die before the process changes a folder for the nth time."""
    seen = 0

    def hook(event: str, _arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in FILE_EVENTS:
            seen += 1
            if seen == number:
                die()

    sys.addaudithook(hook)


def after_mlflow_call(name: str) -> None:
    """Die when a method of MLflow's client has done its work."""
    client = load_mlflow().MlflowClient
    method = getattr(client, name)

    def work_and_die(*arguments: Any, **options: Any) -> None:
        method(*arguments, **options)
        die()

    setattr(client, name, work_and_die)


def _publish(
    arm: Callable[[Any], None], point: Any, registry: Registry, version: ModelVersion, store: LocalBlobStore
) -> None:
    arm(point)
    registry.publish(version, store)


def publish_and_die(
    arm: Callable[[Any], None], point: Any, registry: Registry, version: ModelVersion, store: LocalBlobStore
) -> bool:
    """Publish in a process of its own and return whether it was killed; it may also finish before the point comes."""
    process = _forking.Process(target=_publish, args=(arm, point, registry, version, store))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def publish_at_once(registry: Registry, version: ModelVersion, store: LocalBlobStore, count: int) -> None:
    """Publish in several processes of their own at the same time."""
    barrier = _forking.Barrier(count)
    arguments = (_wait, barrier, registry, version, store)
    processes = [_forking.Process(target=_publish, args=arguments) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count


def _wait(barrier: Any) -> None:
    barrier.wait(60)
