"""`weighbridge list` and what a pipe gets: one line a model, and no line that is broken by us."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Bench


def in_a_terminal(columns: int, *arguments: str) -> str:
    """Return what a command prints in a terminal of that width."""
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "LINES": "24", "TERM": "xterm"}
    command = [sys.executable, "-m", "weighbridge", *arguments]
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                shown += (chunk := os.read(leader, 65536))
            except OSError:  # What Linux says when the other end is closed.
                break
            if not chunk:
                break
        assert process.wait() == 0, shown
    os.close(leader)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_one_line_a_model_at_any_width(bench: Bench, columns: int) -> None:
    names = ["tiny", "a-model-with-a-name/that-is-longer-than-most-terminals-are-wide-" + "x" * 40]
    for name in names:
        assert bench.run("ingest", bench.model(), "--name", name).status == 0
    rows = [line for line in in_a_terminal(columns, "list").splitlines() if "PASSED" in line]
    assert len(rows) == len(names)
    for row, name in zip(sorted(rows), sorted(names), strict=True):
        assert row.startswith(f"{name} ")
        assert row.rstrip().endswith("Apache-2.0")


def test_a_pipe_wraps_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    uri = bench.model("a" * 90)
    shown = bench.run("ingest", uri).out
    assert any(line.strip("│ ") == uri for line in shown.splitlines())
    target = bench.folder / ("b" * 90)
    assert bench.run("export", "a" * 90, str(target)).out == f"{'a' * 90} 1.0.0 is at {target}\n"
    assert str(bench.folder) in bench.run("fetch", uri).out
    broken = next(path for path in (bench.home / "store" / "blobs").rglob("*") if path.is_file())
    broken.chmod(0o644)
    broken.write_bytes(b"?")
    moved = bench.home / "store" / "corrupt" / broken.name
    assert any(line.endswith(f"; moved to {moved}") for line in bench.run("fsck").out.splitlines())


def test_an_error_is_not_wrapped_either(bench: Bench) -> None:
    path = Path("/no/such/" + "folder/" * 40)
    assert str(path) in bench.run("ingest", f"file:{path}").err
