"""Which version the mirror serves, or why none: the rules of `intake.mirroring`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.catalog.test_catalog import settle
from tests.catalog.values import CARD, decision, digest, manifest
from weighbridge.catalog import JobOrder
from weighbridge.config.settings import Settings
from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.domain.decision import Decision, Reason, Verdict
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    BeingWeighed,
    FileNotInVersion,
    LicenceNotAcknowledged,
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    UnknownRevision,
    VersionRefused,
    VersionWithdrawn,
    WeighbridgeError,
)
from weighbridge.intake.mirroring import refuse_bytes, refuse_ended, revisions, served
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import open_resources

UPSTREAM = "a" * 40


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    with open_resources(Settings(home=tmp_path)) as opened:
        yield opened


def number(resources: Resources, revision: str = "", name: str = "org/name") -> str:
    return served("models", name, revision, ANONYMOUS, resources).version.version


def refused(resources: Resources, kind: type[WeighbridgeError], revision: str = "", name: str = "org/name") -> str:
    with pytest.raises(kind) as caught:
        number(resources, revision, name)
    assert type(caught.value) is kind
    return str(caught.value)


def add(resources: Resources, content: str, version: str, uri: str, verdict: Verdict = "PASSED") -> Manifest:
    """Put another version of `org/name` into the catalog."""
    made = manifest(content)
    resources.catalog.settle_version("org/name", uri, made, CARD, decision(verdict), (), lambda _: version)
    return made


def test_the_default_version_and_others(resources: Resources) -> None:
    settle(resources.catalog)
    assert number(resources) == number(resources, "main") == number(resources, "refs/heads/main") == "1.0.0"
    newer = settle(resources.catalog, "newer", "1.1.0")
    assert number(resources) == "1.1.0"
    assert number(resources, "v1.0.0") == number(resources, "1.0.0") == number(resources, "refs/tags/v1.0.0") == "1.0.0"
    resources.catalog.set_default("org/name", "1.0.0")
    assert number(resources) == "1.0.0"
    found = served("models", "org/name", newer.manifest.digest.hex[:40], ANONYMOUS, resources)
    assert (found.version.version, found.commit) == ("1.1.0", newer.manifest.digest.hex[:40])


def test_commits(resources: Resources) -> None:
    """The first version of an upstream commit is shown with it; another one of the same commit is not."""
    first = add(resources, "one", "1.0.0", f"hf:org/name@{UPSTREAM}")
    second = add(resources, "two", "1.1.0", f"hf:org/name@{UPSTREAM}?files=*.json")
    third = add(resources, "three", "1.2.0", "s3://bucket/name/")
    commits = {
        "1.0.0": UPSTREAM,
        "1.1.0": second.digest.hex[:40],
        "1.2.0": third.digest.hex[:40],
    }
    found = revisions("models", "org/name", ANONYMOUS, resources)
    assert (found.main, dict(found.numbers)) == (commits["1.2.0"], commits)
    for version, commit in commits.items():
        given = served("models", "org/name", commit, ANONYMOUS, resources)
        assert (given.version.version, given.commit) == (version, commit)
    given = served("models", "org/name", first.digest.hex[:40], ANONYMOUS, resources)
    assert (given.version.version, given.commit) == ("1.0.0", first.digest.hex[:40])


def test_what_is_unknown(resources: Resources) -> None:
    assert "no model org/other" in refused(resources, NotInCatalog, name="org/other")
    settle(resources.catalog)
    assert "main, 1.0.0" in refused(resources, UnknownRevision, "fp16")
    refused(resources, UnknownRevision, "b" * 40)
    refused(resources, UnknownRevision, "refs/pr/1")
    with pytest.raises(NotInCatalog, match="no dataset org/name"):
        served("datasets", "org/name", "", ANONYMOUS, resources)


@pytest.mark.parametrize("verdict", ["FAILED", "SKIPPED"])
def test_what_did_not_pass(resources: Resources, verdict: Verdict) -> None:
    reasons = tuple(Reason("reject", f"rule.{one}", f"Reason {one} “\x1b[31m”", "a.bin") for one in range(5))
    entries = (FileEntry("a.bin", 1, digest("a")),)
    resources.catalog.settle_version(
        "org/name",
        "s3://bucket/name/",
        Manifest(ModelRef.parse("s3://bucket/name/"), entries),
        CARD,
        Decision(verdict, "strict", "f" * 64, reasons if verdict == "FAILED" else ()),
        (),
        lambda _: "1.0.0",
    )
    said = refused(resources, VersionRefused)
    assert "strict" in said
    assert ("a.bin: Reason 0" in said) == (verdict == "FAILED")
    assert ("2 further reasons" in said) == (verdict == "FAILED")
    assert "\x1b" not in said
    with pytest.raises(VersionRefused):
        revisions("models", "org/name", ANONYMOUS, resources)


def test_what_was_withdrawn(resources: Resources) -> None:
    settle(resources.catalog)
    settle(resources.catalog, "newer", "1.1.0")
    given = served("models", "org/name", "1.1.0", ANONYMOUS, resources)
    refuse_ended(given, resources)
    resources.catalog.withdraw("org/name", "1.1.0", "It has a back door")
    assert "1.1.0 was withdrawn: It has a back door." in refused(resources, VersionWithdrawn, "1.1.0")
    assert number(resources) == "1.0.0"
    with pytest.raises(VersionWithdrawn):
        refuse_ended(given, resources)
    assert "1.1.0" not in revisions("models", "org/name", ANONYMOUS, resources).numbers
    resources.catalog.reinstate("org/name", "1.1.0")
    refuse_ended(given, resources)
    resources.catalog.remove("org/name", "1.1.0")
    with pytest.raises(NotInCatalog):
        refuse_ended(given, resources)


def test_a_key_that_ends_while_bytes_are_given_out(resources: Resources) -> None:
    settle(resources.catalog)
    given = served("models", "org/name", "", ANONYMOUS, resources)
    now, keys = resources.clock(), resources.catalog.keys
    for name, until in (("long", None), ("over", now - timedelta(seconds=1)), ("gone", None)):
        keys.add(name, f"hash of {name}", "reader", (), until)
    refuse_ended(given, resources, Caller("long", "reader"))
    refuse_ended(given, resources, Caller("gone", "reader"))
    keys.revoke("gone")
    for name in ("gone", "over"):
        with pytest.raises(NotAuthenticated, match="not valid any more"):
            refuse_ended(given, resources, Caller(name, "reader"))
    refuse_ended(given, resources, Caller("gone", "reader", kind="issuer"))


def test_no_other_version_takes_the_place_of_a_chosen_one(resources: Resources) -> None:
    settle(resources.catalog)
    settle(resources.catalog, "newer", "1.1.0")
    resources.catalog.set_default("org/name", "1.0.0")
    resources.catalog.withdraw("org/name", "1.0.0", "It is old.")
    refused(resources, VersionWithdrawn)
    assert number(resources, "1.1.0") == "1.1.0"
    found = revisions("models", "org/name", ANONYMOUS, resources)
    assert (found.main, list(found.numbers)) == ("", ["1.1.0"])


def test_what_is_being_weighed(resources: Resources) -> None:
    job = resources.catalog.jobs.add(JobOrder("ingest", "org/name", {"uri": "mock:x"}, "key:a"))
    assert "it waits for its turn" in refused(resources, BeingWeighed)
    steps = [
        {"name": "fetch", "state": "done", "done": 8, "total": 8},
        {"name": "scan", "state": "running", "done": 3, "total": 8},
    ]
    taken = resources.catalog.jobs.take("owner", 30)
    assert taken is not None
    resources.catalog.jobs.renew(job.id, "owner", 30, {"progress": {"status": "SCANNING", "steps": steps}})
    assert "37 % scanned" in refused(resources, BeingWeighed)
    resources.catalog.jobs.cancel(job.id)
    settle(resources.catalog)
    assert number(resources) == "1.0.0"


def test_a_key_for_other_models(resources: Resources) -> None:
    settle(resources.catalog)
    caller = Caller("a", "reader", ("team/*",))
    for name in ("org/name", "org/unknown"):
        with pytest.raises(NotPermitted):
            served("models", name, "", caller, resources)
    with pytest.raises(NotPermitted):
        revisions("models", "org/name", caller, resources)


def test_a_file_that_is_not_there(resources: Resources) -> None:
    settle(resources.catalog)
    given = served("models", "org/name", "", ANONYMOUS, resources)
    with pytest.raises(FileNotInVersion) as caught:
        given.file("../config.json")
    assert caught.value.facts["commit"] == given.commit


def test_bytes_wait_for_an_acknowledgement(resources: Resources, tmp_path: Path) -> None:
    settle(resources.catalog)
    given = served("models", "org/name", "", ANONYMOUS, resources)
    refuse_bytes(given, ANONYMOUS, resources)
    policy = tmp_path / "policy.yaml"
    policy.write_text("extends: minimal\nlicence: {acknowledge: always}\n")
    with open_resources(Settings(home=tmp_path, policy=str(policy))) as strict, pytest.raises(LicenceNotAcknowledged):
        refuse_bytes(given, ANONYMOUS, strict)
