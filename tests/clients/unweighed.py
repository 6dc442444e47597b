"""Situations of the mode `read-through`: a client gets what nothing has weighed yet, while the mirror stores it.

Not here: situations of what has a verdict (situations).
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.clients.samples import Files
from tests.clients.stage import Run
from tests.clients.table import CLIENTS
from tests.clients.trial import Outcome, Trial
from tests.services.clamd import eicar

#: Seconds within which a model has its verdict.
_PATIENCE_S = 60
#: Seconds between two parts of the largest file, so that it is read while it arrives.
_PAUSE_S = 0.05


def handed_on(trial: Trial) -> Outcome:
    """Load a model that only the Hub has, while the mirror stores it; after its verdict nothing is fetched again."""
    if not trial.client.hands_on:
        return Outcome(None)
    name, home = f"{trial.name}-handed-on", trial.stage.home()
    mark = _mark(trial, 0)
    _publish(trial, name, trial.files(mark), pause_s=_PAUSE_S)
    outcome = trial.loads(_run(trial, name, home), mark)
    if not outcome.right:
        return outcome
    if not _verdict(trial, name):
        return Outcome(False, "it has no verdict")
    fetched, sent = _fetched(trial, name), trial.stage.sent(trial.stage.through, name)
    outcome = trial.loads(_run(trial, name, home), mark)
    if outcome.right and _fetched(trial, name) > fetched:
        return Outcome(False, "the Hub was asked for bytes again")
    sent = trial.stage.sent(trial.stage.through, name) - sent
    return (
        Outcome(False, f"{sent} bytes were sent again") if outcome.right and trial.client.caches and sent else outcome
    )


def wrong_digest(trial: Trial) -> Outcome:
    """Ask for a model whose largest file is not what the Hub promises: nothing is loaded."""
    if not trial.client.hands_on:
        return Outcome(None)
    name = f"{trial.name}-wrong-digest"
    _publish(trial, name, trial.files(_mark(trial, 1)), zeros=True, pause_s=_PAUSE_S)
    run = _run(trial, name, trial.stage.home())
    return Outcome(False, "it loaded") if run.loaded else Outcome(True)


def bad_verdict(trial: Trial) -> Outcome:
    """Load an infected model before its verdict, and again afterwards: then it is refused, with a cache as well."""
    if not trial.client.hands_on:
        return Outcome(None)
    name, home = f"{trial.name}-bad-verdict", trial.stage.home()
    mark = _mark(trial, 2)
    files = {**trial.files(mark), "notes/eicar.dat": eicar() + name.encode()}
    _publish(trial, name, files)
    run = _run(trial, name, home)
    if run.loaded not in {trial.client.value(one, mark) for one in (files, trial.files(mark))}:
        return Outcome(False, run.words[-400:] or run.loaded)
    if _verdict(trial, name) != "FAILED":
        return Outcome(False, f"its verdict is {_verdict(trial, name)}")
    if not trial.client.asks:
        return Outcome(None)
    home = home if trial.client.recalls else trial.stage.home()
    return trial.refuses(_run(trial, name, home), "EICAR")


def _mark(trial: Trial, number: int) -> int:
    """Return a mark of this client alone: bytes that are in the store are not fetched."""
    return 10 + 3 * CLIENTS.index(trial.client) + number


def _publish(trial: Trial, name: str, files: Files, **fault: float | bool) -> None:
    """Have the Hub hold a model, and misbehave where the largest file is asked for that other models do not have."""
    repository = trial.stage.hub.add(name, files, kind=trial.client.kind)
    if fault:
        others = trial.files(1)
        largest = max((path for path in files if files[path] != others[path]), key=lambda path: len(files[path]))
        trial.stage.hub.fault(f"{name}/resolve/{repository.branches['main']}/{largest}", **fault)


def _run(trial: Trial, name: str, home: Path) -> Run:
    token = trial.stage.through.served.key("reader")["Authorization"].removeprefix("Bearer ")
    keyed = {"HF_TOKEN": token} if trial.client.has_keys else {}
    return trial.run(name, home, HF_ENDPOINT=trial.stage.through.url, **keyed)


def _verdict(trial: Trial, name: str) -> str:
    """Return the status of a model when it has one; empty where it gets none in time."""
    lists, deadline = trial.stage.through.served.catalog.lists, time.monotonic() + _PATIENCE_S
    while not (found := lists.versions(name)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found[0].status if found else ""


def _fetched(trial: Trial, name: str) -> int:
    return len(trial.stage.hub.asked("GET", f"{name}/resolve/"))
