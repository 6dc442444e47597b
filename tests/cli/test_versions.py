"""The commands about one model's versions as a user runs them: real catalog, real registry."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.cli.conftest import README, SAFETENSORS, Bench
from weighbridge.config.settings import Settings
from weighbridge.intake.workspace import open_catalog
from weighbridge.scanners.clamd.database import eicar


@pytest.fixture
def two(bench: Bench) -> Bench:
    """Return a user with tiny@1.0.0 and tiny@1.0.1, which share their weights."""
    assert bench.run("ingest", bench.model()).status == 0
    assert bench.run("ingest", bench.model(README__md=README + b"more\n")).status == 0
    return bench


def given_out(bench: Bench) -> set[str]:
    """Return the versions that the export registry gives out, and where its default leads."""
    home = bench.home / "export" / "tiny"
    return {path.name if path.is_dir() and not path.is_symlink() else os.readlink(path) + "*" for path in home.iterdir()
            if path.is_dir()}  # fmt: skip


def test_versions_have_a_line_each(two: Bench) -> None:
    listed = two.run("versions", "tiny", "--json").json
    assert [(one["version"], one["default"], one["registries"]) for one in listed] == [
        ("1.0.1", True, ["export"]),
        ("1.0.0", False, ["export"]),
    ]
    assert len(two.run("versions", "tiny").out.splitlines()) == 3


def test_a_version_is_removed_and_no_byte_with_it(two: Bench) -> None:
    before = two.blobs()
    asked = two.run("rm", "tiny@1.0.1")
    assert (asked.status, "--yes" in asked.err) == (64, True)
    assert len(two.run("versions", "tiny", "--json").json) == 2
    ran = two.run("rm", "tiny@1.0.1", "--yes", "--json")
    assert ran.status == 0
    assert (ran.json["default"], ran.json["unneeded"]) == ("1.0.0", len(README) + 5)
    assert given_out(two) == {"1.0.0", "1.0.0*"}
    assert two.blobs() == before
    again = two.run("rm", "tiny@1.0.1", "--yes")
    assert (again.status, "It has 1.0.0." in again.err) == (64, True)
    assert two.run("fsck", "--registries").status == 0
    kinds = [row["action"] for row in two.run("history", "tiny", "--json").json]
    assert kinds[kinds.index("version.removed") :].count("version.unpublished") == 1


def test_removed_for_good_and_taken_in_again(two: Bench) -> None:
    for number in ("1.0.0", "1.0.1"):
        assert two.run("rm", f"tiny@{number}", "-y").status == 0
    assert two.run("list", "--json").json == []
    assert "tiny@1.0.1 " in two.run("history", "tiny").out
    again = two.run("ingest", two.model(README__md=README + b"more\n"), "--json").json
    assert (again["version"], again["status"], again["default"]) == ("1.0.1", "PASSED", True)
    assert two.run("ingest", two.model(README__md=README + b"third\n"), "--json").json["version"] == "1.0.2"


def test_a_removal_that_a_registry_refused_goes_on(two: Bench) -> None:
    home = two.home / "export"
    shutil.move(home, two.folder / "away")
    home.write_text("no folder")
    ran = two.run("rm", "tiny@1.0.0", "--yes")
    home.unlink()
    shutil.move(two.folder / "away", home)
    assert ran.status == 1
    assert [one["version"] for one in two.run("versions", "tiny", "--json").json] == ["1.0.1"]
    assert two.run("rm", "tiny@1.0.0", "--yes").status == 0
    assert given_out(two) == {"1.0.1", "1.0.1*"}


def test_the_default_is_set_and_follows_again(two: Bench) -> None:
    assert two.run("set-default", "tiny@1.0.0", "--json").json["default"] == "1.0.0"
    assert given_out(two) == {"1.0.0", "1.0.1", "1.0.0*"}
    assert two.run("show", "tiny", "--json").json["version"] == "1.0.0"
    assert two.run("set-default", "tiny").status == 64
    assert two.run("set-default", "tiny@1.0.0", "--newest").status == 64
    assert "1.0.1" in two.run("set-default", "tiny", "--newest").out
    assert given_out(two) == {"1.0.0", "1.0.1", "1.0.1*"}


def test_what_is_withdrawn_comes_back_when_reinstated(two: Bench) -> None:
    assert two.run("withdraw", "tiny@1.0.1", "--reason", "recalled").status == 0
    assert given_out(two) == {"1.0.0", "1.0.0*"}
    assert two.run("set-default", "tiny@1.0.1").status == 1
    ran = two.run("reinstate", "tiny@1.0.1")
    assert (ran.status, ran.out) == (0, "tiny@1.0.1 is PASSED.\n")
    assert given_out(two) == {"1.0.0", "1.0.1", "1.0.1*"}


def test_reinstating_is_no_way_around_the_gate(bench: Bench) -> None:
    assert bench.run("ingest", bench.model(notes__txt=eicar())).status == 2
    ran = bench.run("reinstate", "tiny@1.0.0")
    assert (ran.status, ran.out) == (2, "tiny@1.0.0 is FAILED.\n")


def test_the_ids_of_reports_lead_to_them(bench: Bench) -> None:
    version = bench.run("ingest", bench.model(notes__txt=eicar()), "--json").json
    ids = {report["id"] for report in version["reports"]}
    assert set(version["decision"]["reports"]) == ids
    named = {reason["report"] for reason in version["decision"]["reasons"] if reason["report"]}
    assert named
    for id_ in ids | named:
        shown = bench.run("report", id_, "--json").json
        assert shown["id"] == id_
        assert {name: value for name, value in shown.items() if name != "schema"} in version["reports"]
    assert any("clamav.signature" in bench.run("report", id_).out for id_ in named)
    assert bench.run("report", "0" * 16).status == 64


def test_two_versions_are_compared(two: Bench) -> None:
    found = two.run("diff", "tiny@1.0.0", "tiny", "--json").json
    changed = {(change["area"], change["what"]) for change in found["changes"]}
    assert changed == {("file", "README.md"), ("version", "size")}
    text = two.run("diff", "tiny@1.0.0", "tiny").out
    assert "README.md" in text
    assert "model.safetensors" not in text
    assert two.run("diff", "tiny", "tiny").out == "tiny@1.0.1 and tiny@1.0.1 do not differ.\n"
    two.run("ingest", two.model("bad", notes__txt=eicar()))
    other = two.run("diff", "tiny@1.0.0", "bad", "--json").json["changes"]
    (status,) = [change for change in other if change["what"] == "status"]
    assert (status["before"], status["after"]) == ("PASSED", "FAILED")
    assert any(change["area"] == "finding" and "notes.txt" in change["what"] for change in other)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["versions", "tiyn"], "Did you mean tiny?"),
        (["history", "tiyn"], "Did you mean tiny?"),
        (["diff", "tiny", "tiyn"], "Did you mean tiny?"),
        (["rm", "tiyn@1.0.0", "-y"], "Did you mean tiny?"),
        (["rm", "tiny", "-y"], "tiny@1.0.1"),
        (["rm", "tiny@1.0.9", "-y"], "It has 1.0.1, 1.0.0."),
        (["reinstate", "tiny"], "tiny@1.0.1"),
        (["set-default", "tiny@2.0.0"], "It has 1.0.1, 1.0.0."),
        (["withdraw", "tiny", "--reason", "x"], "tiny@1.0.1"),
    ],
)
def test_mistakes_have_a_near_name(two: Bench, arguments: list[str], words: str) -> None:
    ran = two.run(*arguments)
    assert (ran.status, ran.out) == (64, "")
    assert words in ran.err


def test_the_weights_stay_those_of_the_other_version(two: Bench) -> None:
    assert two.run("rm", "tiny@1.0.0", "--yes").status == 0
    target = two.folder / "out"
    assert two.run("export", "tiny", str(target)).status == 0
    assert (target / "model.safetensors").read_bytes() == SAFETENSORS


def test_show_has_what_was_declared_with_its_contradictions(bench: Bench) -> None:
    assert bench.run("ingest", bench.model()).status == 0
    before = bench.run("show", "tiny", "--json").json
    assert (before["declared"], before["warnings"]) == (None, [])
    with open_catalog(Settings()) as catalog:
        catalog.acting("key:ci").declarations.change("tiny", {"parameter_count": 7_000_000_000, "tags": ["[b]x[/]"]})
    found = bench.run("show", "tiny", "--json").json
    assert (found["declared"]["declared_by"], found["card"]) == ("key:ci", before["card"])
    (warning,) = found["warnings"]
    drawn = " ".join(bench.run("show", "tiny").out.split())
    assert "Declared by key:ci" in drawn
    assert "[b]x[/]" in drawn
    assert "7,000,000,000 was declared, but the files say" in warning
    assert "7,000,000,000 was declared, but" in drawn
