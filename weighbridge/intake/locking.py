"""Locking: records the current files of wanted models, each with its sha256, beside models.yaml.

Not here: the file models.lock (lock_file), and the steps after the files were received (intake.chain).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.config.lock_file import lock_path, read_lock, read_mended, write_lock
from weighbridge.config.models_file import requests, select
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.request import MODELS_FILE, IngestRequest
from weighbridge.errors import InvalidConfiguration, WeighbridgeError
from weighbridge.intake import steps
from weighbridge.intake.chain import Runner
from weighbridge.intake.job import Job, Received
from weighbridge.intake.receiving import Arrival, receive
from weighbridge.intake.unexpected import foreseen
from weighbridge.intake.workspace import Locks, Workspace


@dataclass(frozen=True)
class LockRequest:
    """The models whose lock is to be written; plain values.

    Attributes:
        models: the models file; its lock is in the same folder.
        only: names of the models to lock, separated by commas; all when empty.
    """

    models: str = MODELS_FILE
    only: str = ""


@dataclass(frozen=True)
class Locking:
    """The result of locking several models.

    Attributes:
        locked: for each model's name the requested URI and its manifest; the entry of an earlier lock where its source
            could not be asked.
        failed: the names of models that could not be locked, each with the reason.
        left_out: for each model the files of its source that the lock does not hold, each with the reason; models
            without such files are absent.
        path: the lock that was written.
    """

    locked: Locks
    failed: tuple[tuple[str, WeighbridgeError], ...]
    left_out: Mapping[str, tuple[str, ...]]
    path: Path

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "lock": str(self.path),
            "models": {name: str(manifest.digest) for name, (_, manifest) in self.locked.items()},
            "failed": [{"name": name, "error": str(error)} for name, error in self.failed],
            "left_out": {name: list(dropped) for name, dropped in self.left_out.items()},
        }


def lock_models(request: LockRequest, workspace: Workspace, runner: Runner) -> Locking:
    """Write the lock of a models file: every wanted model at its current revision; one failure stops no other model.

    The entry of an earlier lock stays where the model is not selected, or its source fails.

    Raises:
        InvalidConfiguration: the models file, or a lock of which entries stay, cannot be read.
    """
    path, entries = lock_path(Path(request.models)), workspace.entries(request.models)
    wanted = requests(select(entries, request.only) if request.only else entries)
    locked, failed, left_out = _locked_before(path, wanted, request.only), [], {}
    for one in wanted:
        try:
            found = lock(Job.of(one, workspace), runner)
        except Exception as error:  # noqa: BLE001 (a bug that one model meets stops no other model)
            failed.append((one.model, foreseen(error, one.model, workspace.settings.folder)))
            continue
        locked[one.model] = (one.ref.uri, found.manifest)
        if found.dropped:
            left_out[one.model] = found.dropped
    write_lock(path, locked, {entry.key for entry in entries if entry.relative})
    return Locking(locked, tuple(failed), left_out, path)


def _locked_before(path: Path, wanted: Iterable[IngestRequest], only: str) -> dict[str, tuple[str, Manifest]]:
    """Return the entries of an earlier lock, for models that are not selected or whose source fails."""
    if not path.exists():
        return {}
    names: Collection[str] = {one.model for one in wanted}
    if only:
        return read_mended(path, names)
    try:
        locked = read_lock(path)
    except InvalidConfiguration:  # The lock is replaced anyway, whatever is wrong with it.
        return {}
    return {name: entry for name, entry in locked.items() if name in names}


def lock(job: Job, runner: Runner) -> Arrival:
    """Return the files of a model at its current revision, each with its sha256.

    Files are fetched where the source does not promise a sha256; for a NAR hash, which needs the bytes, all of them.
    Nothing is scanned or published.

    Raises:
        WeighbridgeError: the model cannot be fetched, or does not match `hash`.
    """
    declared = runner.call(steps.resolve, job)
    promised = not declared.archive and all(
        entry.digest is not None and entry.digest.algorithm == "sha256" and entry.size is not None
        for entry in declared.files
    )
    if promised and job.request.nar is None:
        manifest, _ = runner.call(steps.verify, job, declared, [Received(declared.files)])
        return Arrival(manifest, dropped=declared.left_out)
    return receive(job, runner, declared)
