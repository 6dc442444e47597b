"""`weighbridge cache` as a user runs it: on a terminal of 80 columns, in a pipe, and beside a Hub."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Bench
from tests.simulators.hub import Hub

FILES = {"config.json": b'{"model_type": "llama"}', "README.md": b"---\nlicense: mit\n---\n"}


@pytest.fixture
def hub(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub from which the mirror takes what is asked for."""
    with Hub() as found:
        for name in ("org/a", "org/b"):
            found.add(name, {**FILES, "weights.bin": name.encode() * 1000})
        config = bench.folder / "mirror.yaml"
        config.write_text(f"backends: [{{type: huggingface, config: {{base_url: {found.url}, mode: gated}}}}]")
        monkeypatch.setenv("WEIGHBRIDGE_MIRROR_CONFIG", str(config))
        yield found


def test_warm_list_and_evict(bench: Bench, hub: Hub) -> None:
    assert bench.run("cache", "ls").out == "The store has the bytes of no version.\n"
    ran = bench.run("cache", "warm", "org/a", "org/b", "--json")
    assert (ran.status, [(one["state"], one["status"]) for one in ran.json]) == (0, [("done", "PASSED")] * 2)
    assert {one["schema"] for one in ran.json} == {"weighbridge.warmed/1"}
    bench.run("ingest", bench.model())
    listed = bench.run("cache", "ls").out
    assert max(map(len, listed.splitlines())) <= 80
    assert [line.split()[0] for line in listed.splitlines()[1:4]] == ["org/a@1.0.0", "org/b@1.0.0", "tiny@1.0.0"]
    assert listed.count("may be evicted") == 2
    assert "taken in by hand" in listed
    sizes = [one["size"] for one in bench.run("cache", "ls", "--sort", "size", "--json").json]
    assert sizes == sorted(sizes, reverse=True)
    kept = bench.run("cache", "evict", "tiny", "--yes")
    assert (kept.status, "taken in by hand" in kept.err) == (1, True)
    assert "org/a@1.0.0 would be removed" in bench.run("cache", "evict", "org/a", "--dry-run").out
    refused = bench.run("cache", "evict", "org/a", "--json")
    assert (refused.status, "Add --yes" in refused.err) == (64, True)
    assert bench.run("cache", "evict", "--unused", "90d", "--json").json["versions"] == []
    done = bench.run("cache", "evict", "--unused", "0d", "--yes", "--json").json
    assert {one["name"] for one in done["versions"]} == {"org/a", "org/b"}
    assert done["freed"] == done["collection"]["freed"] > 10_000
    assert bench.run("list", "--json").json[0]["name"] == "tiny"
    assert bench.run("history", "org/a").out.count("evicted: last used") == 1


def test_what_the_bytes_are_for(bench: Bench, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run("ingest", bench.model())
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "1KB")
    shown = bench.run("cache", "du").out
    assert max(len(line) for line in shown.splitlines() if str(bench.home) not in line) <= 80
    assert "The limit is 1000 B." in shown
    found = bench.run("cache", "du", "--json").json
    assert (found["limit"], found["total"]["files"]) == (1000, sum(one["files"] for one in found["purposes"]))
    monkeypatch.setenv("WEIGHBRIDGE_CACHE_LIMIT", "50 sheep")
    ran = bench.run("cache", "du")
    assert (ran.status, "WEIGHBRIDGE_CACHE_LIMIT=50GB" in ran.err) == (64, True)


def test_names_come_from_a_file_and_from_stdin(bench: Bench, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("names.txt").write_text("# wanted\norg/a\n\norg/b  # and this\norg/a\n")
    left = bench.run("cache", "warm", "--from", "names.txt", "--no-wait", "--json").json
    assert [(one["name"], one["state"]) for one in left] == [("org/a", "queued"), ("org/b", "queued")]
    assert hub.requests == []
    monkeypatch.setattr("sys.stdin", io.StringIO("org/a\norg/none\n"))
    ran = bench.run("cache", "warm", "--from", "-")
    assert ran.status == 1
    assert "org/none" in ran.out
    assert [line.split()[:3] for line in ran.out.splitlines() if line.startswith("org/a")] == [
        ["org/a", "done", "PASSED"]
    ]
    for arguments, words in ((("warm",), "Nothing is named"), (("warm", "--from", "gone.txt"), "cannot be read")):
        ran = bench.run("cache", *arguments)
        assert (ran.status, words in ran.err) == (64, True)
    ran = bench.run("cache", "evict", "--unused", "soon")
    assert (ran.status, "Write 90d, 12h or 8w." in ran.err) == (64, True)


def test_what_did_not_pass_says_so_by_the_exit_status(bench: Bench, hub: Hub) -> None:
    from weighbridge.scanners.clamd.database import eicar

    hub.add("org/bad", {**FILES, "run.bin": eicar()})
    ran = bench.run("cache", "warm", "org/bad", "--json")
    assert (ran.status, json.loads(ran.out)[0]["status"]) == (2, "FAILED")
    assert bench.run("cache", "warm", "org/bad").status == 2, "it is here, and still did not pass"
