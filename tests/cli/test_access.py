"""`token` and `audit` as a user runs them."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Bench
from weighbridge.domain.access import looks_like_key


def test_a_key_is_alone_on_standard_output_and_shown_once(bench: Bench) -> None:
    made = bench.run("token", "create", "ci", "--role", "publisher", "--expires", "90d", "--models", "team-a/*")
    assert (made.status, looks_like_key(made.out.strip())) == (0, True)
    assert "role publisher, for team-a/*, until 20" in made.err
    assert "not shown again" in made.err
    listed = bench.run("token", "list")
    assert re.search(r"ci +publisher +valid .* never +team-a/\*", listed.out)
    gone = bench.run("token", "revoke", "ci", "--yes")
    assert (gone.status, gone.out) == (0, "The key ci is revoked.\n")
    everything = listed.out + gone.out + bench.run("audit", "list").out + bench.run("audit", "export").out
    assert made.out.strip() not in everything
    assert made.out.strip().encode() not in b"".join(
        path.read_bytes() for path in bench.folder.rglob("*") if path.is_file()
    )


def test_mistakes_are_told(bench: Bench) -> None:
    for arguments, words in (
        (["create", "ci", "--role", "root"], "Roles: reader, publisher, admin."),
        (["create", "a/b", "--role", "reader"], "letters, digits and . _ -"),
        (["create", "ci", "--role", "reader", "--expires", "soon"], "Write 90d"),
        (["revoke", "nobody", "--yes"], "There is no valid key nobody."),
    ):
        ran = bench.run("token", *arguments)
        assert (ran.status, words in ran.err) == (64, True)
    bench.run("token", "create", "ci", "--role", "reader")
    assert "token revoke ci" in bench.run("token", "create", "ci", "--role", "reader").err
    assert (bench.run("token", "revoke", "ci").status, bench.run("audit", "verify", "--kept", "7").status) == (64, 64)


def test_the_log_of_an_ingest_is_whole_until_somebody_changes_it(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.run("ingest", bench.model())
    bench.run("withdraw", "tiny@1.0.0", "--reason", "recalled")
    shown = bench.run("audit", "list", "--model", "tiny").out
    assert re.search(r"cli:\S+ +version.withdrawn +tiny@1.0.0 +status FAILED \(was PASSED\), reason recalled", shown)
    whole = bench.run("audit", "verify")
    assert whole.status == 0
    kept = whole.out.splitlines()[-1]
    assert re.fullmatch(r"\d+:[0-9a-f]{64}", kept)
    bench.run("reinstate", "tiny@1.0.0")
    assert bench.run("audit", "verify", "--kept", kept, "--json").json["flaws"] == []
    database = sqlite3.connect(bench.home / "catalog.db")
    with database:
        database.execute("UPDATE audit SET actor = 'cli:boss' WHERE action = 'version.withdrawn'")
    database.close()
    changed = bench.run("audit", "verify")
    assert (changed.status, "version.withdrawn of tiny@1.0.0) does not fit" in changed.out) == (2, True)


def test_an_export_is_verified_by_the_lines_of_the_page(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run("ingest", bench.model())
    bench.run("withdraw", "tiny@1.0.0", "--reason", 'ü "quoted"\n')
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert bench.run("audit", "export", "--output", str(bench.folder / "audit.jsonl")).status == 0
    monkeypatch.chdir(bench.folder)
    exec(compile(program, "page", "exec"), {})
    lines = (bench.folder / "audit.jsonl").read_text().splitlines()
    assert bench.run("audit", "export", "--after", "1").out.splitlines() == lines[1:]
    row = json.loads(lines[3]) | {"object": "x"}
    (bench.folder / "audit.jsonl").write_text("\n".join([*lines[:3], json.dumps(row), *lines[4:]]) + "\n")
    with pytest.raises(AssertionError, match="4"):
        exec(compile(program, "page", "exec"), {})
