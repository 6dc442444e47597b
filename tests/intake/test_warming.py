"""Warming: the job of a miss ahead of time, once, and nothing that no request would take in."""

from __future__ import annotations

import pytest

from tests.intake.test_caching import door, versions
from tests.intake.test_mirror_ingests import Door, ask, jobs
from weighbridge.errors import BeingWeighed, StateConflict, TooManyAtOnce
from weighbridge.intake import warming
from weighbridge.intake.asker import Asker
from weighbridge.intake.mirror_ingests import revision_name
from weighbridge.intake.warming import WantedRepository

__all__ = ["door"]


def test_warming_begins_the_job_of_a_miss_once(door: Door) -> None:
    with door.open(serve_jobs=1) as resources:
        wanted = warming.wanted_in(["org/a", "", "# not this one", "org/b@main  # but this"])
        begun = warming.start(wanted, resources)
        assert [one.state for one in begun] == ["queued", "queued"]
        assert [one.job for one in warming.start(wanted, resources)] == [one.job for one in begun]
        with pytest.raises(BeingWeighed):
            ask(resources, "org/a")
        assert len(jobs(resources)) == 2
        ends = warming.wait(begun, resources, Asker().progress)
        assert [(one.name, one.state, one.status) for one in ends] == [
            ("org/a", "done", "PASSED"),
            ("org/b", "done", "PASSED"),
        ]
        assert ask(resources, "org/a").version.version == "1.0.0"
        assert [one.state for one in warming.start(wanted, resources)] == ["here", "here"]
        assert versions(resources)["org/b"].kept == ()
        assert jobs(resources)[0].order.asker.startswith("cli:")


def test_warming_refuses_what_no_request_would_take_in(door: Door) -> None:
    with door.open("mode: catalog") as resources, pytest.raises(StateConflict, match="mode is `catalog`"):
        warming.start([WantedRepository.parse("org/a")], resources)
    with door.open() as resources:
        for text in ("../x", "a/b/c", "org/a@-x"):
            with pytest.raises(Exception, match="no repository of a Hub"):
                warming.start([WantedRepository.parse("org/b"), WantedRepository.parse(text)], resources)
        assert jobs(resources) == []
    with door.open(max_waiting_jobs_each=1) as resources, pytest.raises(TooManyAtOnce):
        warming.start([WantedRepository.parse("org/a"), WantedRepository.parse("org/b")], resources)


def test_names_of_repositories_are_read_as_clients_write_them() -> None:
    for text, revision, expected in (
        ("org/a", "", WantedRepository("models", "org/a", "")),
        ("org/a", "v1", WantedRepository("models", "org/a", "v1")),
        ("datasets/org/a@x", "v1", WantedRepository("datasets", "org/a", "x")),
    ):
        assert WantedRepository.parse(text, revision) == expected
    assert WantedRepository.parse("org/a@v1").label == revision_name("org/a", "v1")
