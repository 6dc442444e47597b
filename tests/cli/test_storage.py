"""`weighbridge gc` and `weighbridge quarantine` as a user runs them, beside ingests that are under way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.conftest import README, SAFETENSORS, Bench
from tests.privileges import ordinary_owner
from weighbridge.scanners.clamd.database import eicar

#: An ingest that waits before a step until a file is there.
_PAUSED = """
import sys, time
from pathlib import Path
from weighbridge.cli import app
from weighbridge.intake import steps
original = getattr(steps, sys.argv[1])
def paused(*values):
    Path("waiting").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    return original(*values)
setattr(steps, sys.argv[1], paused)
sys.exit(app.run(sys.argv[2:]))
"""


def paused(bench: Bench, step: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command that waits before a step."""
    for name in ("waiting", "go"):
        (bench.folder / name).unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-c", _PAUSED, step, *arguments], stderr=subprocess.PIPE)
    while not (bench.folder / "waiting").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


def test_only_what_nothing_needs_is_deleted(bench: Bench) -> None:
    bench.run("ingest", bench.model())
    bench.run("ingest", bench.model(README__md=README + b"more\n"))
    assert bench.run("gc", "--json").json["blobs"] == 0
    bench.run("rm", "tiny@1.0.1", "--yes")
    assert "1 blob of " in bench.run("gc", "--dry-run").out
    dry = bench.run("gc", "--dry-run", "--json").json
    assert (dry["blobs"], dry["size"], dry["freed"], dry["kept"]) == (1, len(README) + 5, len(README) + 5, 3)
    assert len(bench.blobs()) == 4
    done = bench.run("gc", "--json").json
    assert {**done, "dry_run": True} == dry
    assert len(bench.blobs()) == 3
    assert "0 blobs" in bench.run("gc").out
    assert bench.run("fsck").status == 0
    assert bench.run("export", "tiny", str(bench.folder / "out")).status == 0


def test_it_says_whose_work_it_could_not_look_at_and_what_it_left(bench: Bench) -> None:
    bench.run("ingest", bench.model())
    bench.run("rm", "tiny@1.0.0", "--yes")
    lease = bench.home / "store" / "leases" / "tmpanother.lease"
    lease.touch(0o000)
    blobs = bench.blobs()
    with ordinary_owner():
        ran = bench.run("gc")
        assert ran.status == 0
        assert "were left, as this user may not read which blobs other work relies on" in ran.out
        assert str(lease) in ran.out
        done = bench.run("gc", "--json").json
    assert (done["unread"], done["blobs"], bench.blobs()) == ([str(lease)], 0, blobs)
    assert done["left"] > 0
    lease.unlink()
    assert bench.run("gc", "--json").json["blobs"] == len(blobs)


def test_what_a_lock_holds_is_kept(bench: Bench) -> None:
    uri = bench.model()
    (bench.folder / "models.yaml").write_text(f"models:\n  - {{name: tiny, source: '{uri}'}}\n")
    assert bench.run("lock").status == 0
    other = bench.model("other", README__md=b"not locked")
    assert bench.run("fetch", other).status == 0
    bench.run("ingest", uri)
    bench.run("rm", "tiny@1.0.0", "--yes")
    assert bench.run("gc", "--json").json["blobs"] == 1
    assert len(bench.blobs()) == 3
    (bench.folder / "models.lock").write_text("<<<<<<< HEAD\n")
    assert bench.run("gc").status == 64
    assert len(bench.blobs()) == 3
    elsewhere = bench.folder / "elsewhere"
    elsewhere.mkdir()
    assert bench.run("gc", "--models", str(elsewhere / "models.yaml"), "--json").json["blobs"] == 3


@pytest.mark.parametrize("step", ["scan", "verify", "decide", "publish"])
def test_a_running_ingest_loses_nothing(bench: Bench, step: str) -> None:
    bench.run("ingest", bench.model("first", README__md=b"first"))
    ingest = paused(bench, step, "ingest", bench.model())
    assert bench.run("gc").status == 0
    (bench.folder / "go").touch()
    _, errors = ingest.communicate(timeout=120)
    assert ingest.returncode == 0, errors
    assert bench.run("gc", "--json").json["blobs"] == 0
    assert bench.run("fsck", "--registries").status == 0


def test_an_ingest_that_found_its_blobs_loses_none_of_them(bench: Bench) -> None:
    """They are garbage of a removed version, and it was told that it need not fetch them."""
    uri = bench.model()
    bench.run("ingest", uri)
    bench.run("rm", "tiny@1.0.0", "--yes")
    ingest = paused(bench, "publish", "ingest", uri)
    assert bench.run("gc", "--json").json["held"] == 3
    (bench.folder / "go").touch()
    _, errors = ingest.communicate(timeout=120)
    assert ingest.returncode == 0, errors
    assert bench.run("fsck", "--registries").status == 0


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs a file system of its own")
def test_a_full_disk_is_made_free(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.home.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", bench.home], check=False).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        uri = bench.model()
        assert bench.run("ingest", uri).status == 0
        assert bench.run("fetch", bench.model("other", big__bin=bytes(1 << 20))).status == 0
        with open(bench.home / "fill", "wb", buffering=0) as fill, suppress(OSError):
            while fill.write(bytes(4096)):
                pass
        assert shutil.disk_usage(bench.home).free == 0
        done = bench.run("gc", "--json")
        assert (done.status, done.json["freed"]) == (0, 1 << 20), done
        (bench.home / "fill").unlink()
        assert bench.run("fsck").status == 0
    finally:
        subprocess.run(["umount", "-l", bench.home], check=True)


def test_a_catalog_that_is_another_stores_deletes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run("ingest", bench.model())
    monkeypatch.setenv("WEIGHBRIDGE_CATALOG_URL", f"sqlite:///{bench.folder}/another.db")
    ran = bench.run("gc")
    assert (ran.status, "WEIGHBRIDGE_CATALOG_URL" in ran.err) == (1, True)
    assert len(bench.blobs()) == 3


def test_the_quarantine_is_listed_shown_and_purged(bench: Bench) -> None:
    bench.run("ingest", bench.model())
    uri = bench.model("bad", notes__txt=eicar())
    assert bench.run("ingest", uri).status == 2
    listed = bench.run("quarantine", "ls", "--json").json
    assert [(one["name"], one["reason"].partition(":")[0]) for one in listed] == [("bad", "clamav.signature")]
    (row,) = [line for line in bench.run("quarantine", "ls").out.splitlines() if "bad@1.0.0" in line]
    assert "notes.txt" in row
    places = bench.run("quarantine", "show", "bad@1.0.0", "--json").json["places"]
    assert Path(places["notes.txt"]).read_bytes() == eicar()
    assert places["notes.txt"] in bench.run("quarantine", "show", "bad@1.0.0").out
    assert bench.run("quarantine", "show", "tiny@1.0.0").status == 64
    assert bench.run("quarantine", "purge", "tiny@1.0.0", "--yes").status == 64
    assert bench.run("quarantine", "purge").status == 64
    assert bench.run("quarantine", "purge", "--older-than", "1", "--yes").out == "There is nothing to purge.\n"
    done = bench.run("quarantine", "purge", "--yes", "--json").json
    assert (done["purged"], done["freed"]) == (["bad@1.0.0"], len(eicar()))
    assert len(bench.blobs()) == 3
    assert (bench.run("fsck").status, bench.run("quarantine", "purge", "--yes").status) == (0, 0)
    shown = bench.run("show", "bad@1.0.0", "--json").json
    assert (shown["status"], shown["purged"]) == ("FAILED", True)
    again = bench.run("ingest", uri, "--json")
    assert (again.status, again.json["version"], again.json["purged"]) == (2, "1.0.0", False)


def test_a_sync_does_not_fetch_what_was_purged(bench: Bench) -> None:
    uri = bench.model(notes__txt=eicar())
    (bench.folder / "models.yaml").write_text(f"models:\n  - {{name: tiny, source: '{uri}'}}\n")
    assert bench.run("sync").status == 2
    assert bench.run("quarantine", "purge", "--yes").status == 0
    assert bench.run("sync").status == 2
    assert bench.blobs() == set()


def test_a_shared_blob_survives_the_purge_of_one_of_its_versions(bench: Bench) -> None:
    bench.run("ingest", bench.model())
    bench.run("ingest", bench.model("bad", notes__txt=eicar()))
    bench.run("quarantine", "purge", "bad@1.0.0", "--yes")
    target = bench.folder / "out"
    assert bench.run("export", "tiny", str(target)).status == 0
    assert (target / "model.safetensors").read_bytes() == SAFETENSORS
