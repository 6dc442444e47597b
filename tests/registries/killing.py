"""Work in a process that is killed at a chosen point, by a signal that nothing can catch.

The forkserver imports this module once, MLflow with it, and forks every process from there: no database was opened in
it, and importing costs nothing a second time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection
from typing import Any

from sqlalchemy import Engine, event

from weighbridge.domain.version import ModelVersion
from weighbridge.registries.interface import Registry
from weighbridge.registries.mlflow_session import load_mlflow
from weighbridge.store.local import LocalBlobStore

load_mlflow()

#: Says how many of the moments came that a process may be killed at.
Seen = Callable[[], int]
#: Makes the process that calls it die at a point; at none where the point is 0.
Arm = Callable[[Any], Seen]
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


def before_file_event(number: int) -> Seen:
    """Die before the process changes a folder for the nth time."""
    return _before(FILE_EVENTS, number)


def before_request(number: int) -> Seen:
    """Die before the nth piece of a request leaves: its head, or a part of what it uploads."""
    return _before(("http.client.send",), number)


def _before(events: Collection[str], number: int) -> Seen:
    seen = 0

    def hook(event: str, _arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in events:
            seen += 1
            if seen == number:
                die()

    sys.addaudithook(hook)
    return lambda: seen


def around_commit(number: int) -> Seen:
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
    return lambda: 2 * seen - 1


def after_mlflow_call(name: str) -> Seen:
    """Die when a method of MLflow's client has done its work."""
    client = load_mlflow().MlflowClient
    method = getattr(client, name)

    def work_and_die(*arguments: Any, **options: Any) -> None:
        method(*arguments, **options)
        die()

    setattr(client, name, work_and_die)
    return lambda: 0


def run_and_die(arm: Arm, point: Any, work: Callable[..., object], *arguments: Any) -> int | None:
    """Work in a process of its own and return how many of the arm's moments came, or None where it was killed."""
    receiver, sender = _forking.Pipe(duplex=False)
    process = _forking.Process(target=_run, args=(arm, point, sender, work, arguments))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return int(receiver.recv()) if process.exitcode == 0 else None


def _run(arm: Arm, point: Any, sender: Connection, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    seen = arm(point)
    work(*arguments)
    sender.send(seen())


def samples(total: int, most: int = 5) -> list[int]:
    """Return the numbers of the first moment, of the last one, and of some between."""
    return sorted({1 + (total - 1) * step // (most - 1) for step in range(most)})


def publish_and_die(arm: Arm, point: Any, registry: Registry, version: ModelVersion, store: LocalBlobStore) -> bool:
    """Publish in a process of its own and return whether it was killed; it may also finish before the point comes."""
    return run_and_die(arm, point, registry.publish, version, store) is None


def publish_at_once(registry: Registry, version: ModelVersion, store: LocalBlobStore, count: int) -> None:
    """Publish in several processes of their own at the same time."""
    barrier = _forking.Barrier(count)
    arguments = (barrier, registry, version, store)
    processes = [_forking.Process(target=_publish, args=arguments) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count


def _publish(barrier: Any, registry: Registry, version: ModelVersion, store: LocalBlobStore) -> None:
    barrier.wait(60)
    registry.publish(version, store)
