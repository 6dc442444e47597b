"""Read-through of one process: what a Hub says is asked once, files are fetched once, and each is weighed or named."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.intake.test_mirror_ingests import READER, Door, jobs, work
from tests.services.clamd import eicar
from tests.simulators.hub import Hub
from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.errors import (
    IntegrityError,
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    SourceUnavailable,
    VersionRefused,
)
from weighbridge.intake.asker import Asker
from weighbridge.intake.collecting import collect
from weighbridge.intake.flights import Awaiting
from weighbridge.intake.mirrored_files import OpenFile, open_file
from weighbridge.intake.mirroring import Served, refuse_ended, revisions, served
from weighbridge.intake.resources import Resources
from weighbridge.intake.transit_worker import TransitWorker
from weighbridge.intake.workspace import workspace_of

LARGE = hashlib.shake_128(b"read-through").digest(2 * 1024**2)
FILES = {"config.json": b'{"model_type": "llama"}', "model.bin": LARGE}
MODE = "mode: read-through"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Hub() as hub:
        yield Door(tmp_path, hub)


def there(ask: Callable[[], Served | OpenFile]) -> Served | OpenFile:
    """Ask until it is there, as the server does."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return ask()
        except Awaiting as awaiting:
            while not awaiting.flight.has_ended:
                assert time.monotonic() < deadline
                time.sleep(0.005)


def ask(resources: Resources, name: str = "org/name", revision: str = "", caller: Caller = READER) -> Served:
    found = there(lambda: served("models", name, revision, caller, resources, in_transit=True))
    assert isinstance(found, Served)
    return found


def read(given: Served, path: str, resources: Resources) -> bytes:
    """Read a file as a client does, and say who gets it."""
    file = there(lambda: open_file(given, path, READER, resources))
    assert isinstance(file, OpenFile)
    assert given.transit is not None
    resources.recipients.hand_on(given.transit, path, READER, "192.0.2.1")
    found, pieces = b"", file.blob.whole()
    try:
        while len(found) < file.blob.size:
            found += next(pieces)
    finally:
        file.blob.close()
    return found


def landed(resources: Resources) -> None:
    """Wait until nothing is fetched any more."""
    while not all(one.has_ended for one in resources.flights._known.values()):
        time.sleep(0.005)


def look(door: Door, resources: Resources) -> None:
    """Let some quiet seconds pass, and have the worker look."""
    landed(resources)
    door.now += timedelta(seconds=10)
    for one in resources.open_transits._open.values():
        one.used_at -= 10
    TransitWorker(resources).look()


def test_what_passes_is_what_was_handed_on(door: Door) -> None:
    door.hub.add("org/name", FILES)
    with door.open(MODE) as resources:
        given = ask(resources)
        assert (given.version.status, given.commit) == (
            "PENDING",
            door.hub.repositories["models", "org/name"].branches["main"],
        )
        assert "not been weighed" in given.warnings[0]
        assert {path: read(given, path, resources) for path in FILES} == FILES
        assert jobs(resources) == []
        look(door, resources)
        assert len(jobs(resources)) == 1
        look(door, resources)
        work(resources)
        found = ask(resources)
        assert (found.version.version, found.commit, found.transit) == ("1.0.0", given.commit, None)
        look(door, resources)
        (row,) = resources.catalog.audit.rows(action="version.served")
        assert (row.actor, row.object) == ("key:r", "org/name@1.0.0")
        assert len(door.hub.asked("GET", "/model.bin")) == 1
        assert resources.catalog.transits.unweighed() == []


def test_a_bad_verdict_ends_transfers_and_names_who_has_what(door: Door) -> None:
    door.hub.add("org/name", {**FILES, "run.bin": eicar()})
    with door.open(MODE) as resources:
        given = ask(resources)
        assert read(given, "run.bin", resources) == eicar()
        look(door, resources)
        refuse_ended(given, resources, ANONYMOUS)
        work(resources)
        with pytest.raises(VersionRefused):
            refuse_ended(given, resources, ANONYMOUS)
        for revision in ("", given.commit):
            with pytest.raises(VersionRefused):
                ask(resources, revision=revision)
        look(door, resources)
        (row,) = resources.catalog.audit.rows(action="version.exposed")
        assert (row.actor, row.object, row.after and row.after["files"]) == ("key:r", "org/name@1.0.0", ["run.bin"])


def test_a_file_that_was_rejected_before_is_not_handed_on(door: Door) -> None:
    door.hub.add("org/name", {**FILES, "run.bin": eicar()})
    door.hub.add("org/again", {"other.bin": eicar()})
    with door.open(MODE) as resources:
        read(ask(resources), "run.bin", resources)
        look(door, resources)
        work(resources)
        with pytest.raises(NotPermitted, match="has found it harmful before"):
            read(ask(resources, "org/again"), "other.bin", resources)


def test_what_cannot_be_weighed_is_named_and_refused_for_a_while(door: Door) -> None:
    repository = door.hub.add("org/name", FILES)
    door.hub.fault(f"{repository.branches['main']}/model.bin", zeros=True)
    with door.open(MODE) as resources:
        given = ask(resources)
        assert read(given, "config.json", resources)
        with pytest.raises(IntegrityError):
            read(given, "model.bin", resources)
        landed(resources)
        with pytest.raises(NotInCatalog, match="was promised"):
            read(given, "model.bin", resources)
        look(door, resources)
        work(resources)
        look(door, resources)
        (row,) = resources.catalog.audit.rows(action="version.exposed")
        assert (row.object, row.after and row.after["files"]) == ("org/name", ["config.json", "model.bin"])
        with pytest.raises(NotInCatalog, match="could not be taken in"):
            ask(resources)
        door.hub.faults.clear()
        door.now += timedelta(minutes=11)
        assert read(ask(resources), "config.json", resources)
        look(door, resources)
        work(resources)
        assert ask(resources).version.status == "PASSED"
        assert len(jobs(resources)) == 2


def test_a_hub_is_asked_once_and_its_last_word_counts_while_it_is_away(door: Door) -> None:
    door.hub.add("org/name", FILES)
    with door.open(MODE) as resources:
        commit = ask(resources).commit
        assert ask(resources).commit == ask(resources, revision=commit).commit == commit
        assert revisions("models", "org/name", READER, resources).main == commit
        assert len(door.hub.asked("GET", "/api/models/org/name/tree")) == 1
        door.now += timedelta(minutes=6)
        newer = door.hub.repositories["models", "org/name"].commit({**FILES, "more.txt": b"more"})
        assert ask(resources).commit == newer
        door.now += timedelta(minutes=6)
        door.hub.fault("/api/models/org/name/revision/main", status=404)
        door.hub.fault("/api/models/org/name", status=503)
        assert ask(resources).commit == newer
        assert ask(resources, revision=commit).commit == commit, "a commit is known for good"


def test_another_revision_is_a_model_of_its_own_by_its_commit_too(door: Door) -> None:
    repository = door.hub.add("org/name", FILES)
    repository.tags["v1"] = repository.branches["main"]
    with door.open(MODE) as resources:
        given = ask(resources, revision="v1")
        assert given.version.name == "org/name:revision/v1"
        read(ask(resources, revision=given.commit), "config.json", resources)
        look(door, resources)
        work(resources)
        for revision in ("v1", given.commit):
            found = ask(resources, revision=revision)
            assert (found.version.name, found.version.status) == ("org/name:revision/v1", "PASSED")


def test_who_may_not_have_it_taken_in_gets_nothing(door: Door) -> None:
    door.hub.add("org/name", FILES)
    with door.open(MODE) as resources, pytest.raises(NotAuthenticated):
        ask(resources, caller=ANONYMOUS)
    with door.open(f"{MODE}, ingest_by: publisher") as resources, pytest.raises(NotInCatalog, match="may publish"):
        ask(resources)
    assert door.hub.requests == []


def test_what_upstream_does_not_have_or_cannot_say(door: Door) -> None:
    door.hub.fault("/api/models/org/away", status=503)
    with door.open(MODE) as resources:
        with pytest.raises(NotInCatalog, match="could not be had"):
            ask(resources, "org/none")
        asked = len(door.hub.requests)
        with pytest.raises(NotInCatalog):
            ask(resources, "org/none")
        assert len(door.hub.requests) == asked, "it is remembered"
        with pytest.raises(SourceUnavailable) as away:
            ask(resources, "org/away")
        assert away.value.facts["retry_after_s"] >= 1


def test_a_collection_keeps_what_is_handed_on(door: Door) -> None:
    door.hub.add("org/first", {"a.bin": b"first"})
    door.hub.add("org/name", FILES)
    with door.open(MODE) as resources:
        read(ask(resources, "org/first"), "a.bin", resources)
        look(door, resources)
        work(resources)
        read(ask(resources), "model.bin", resources)
        with workspace_of(resources, Asker()) as workspace:
            assert collect(workspace).done.held >= 1
        assert read(ask(resources), "model.bin", resources) == LARGE
        assert len(door.hub.asked("GET", "/model.bin")) == 1
