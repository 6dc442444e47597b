import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from weighbridge.content import confinement, sandbox
from weighbridge.content.sandbox import ReadingLimits, read
from weighbridge.errors import ScannerUnavailable
from weighbridge.system import processes

ROOT = Path(__file__).parents[2]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that the child imports as the reader `gguf`; the test writes it."""
    package = tmp_path / "root" / "weighbridge"
    for folder in ("content/headers", "system"):
        (package / folder).mkdir(parents=True)
    for name in ("__init__.py", "content/__init__.py", "content/headers/__init__.py", "system/__init__.py"):
        (package / name).write_text("")
    for module in (sandbox, confinement, processes):
        path = Path(module.__file__)
        (package / path.parent.name / path.name).write_text(path.read_text())
    monkeypatch.setattr(sandbox, "__file__", str(package / "content" / "sandbox.py"))
    return package / "content" / "headers" / "gguf.py"


def test_the_answer_comes_back(reader: Path) -> None:
    reader.write_text("def walk_file(path): return {'read': path.name}")
    assert read("gguf", Path("/dev/null")).answer == {"read": "null"}


def test_the_child_knows_none_of_our_secrets(reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    reader.write_text("import os\ndef walk_file(path): return {'token': os.environ.get('HF_TOKEN')}")
    assert read("gguf", Path("/dev/null")).answer == {"token": None}


@pytest.mark.parametrize(
    ("body", "limits", "reason"),
    [
        ("while True: pass", ReadingLimits(cpu_time_s=1), "1 s of processor time"),
        ("import time; time.sleep(60)", ReadingLimits(wall_time_s=0.5), "longer than 0.5 s"),
        ("raise ValueError(path)", ReadingLimits(), "broke the reader"),
        ("import os; os.abort()", ReadingLimits(), "ended with code -6"),
        ("return {'a': 'x' * 100_000}", ReadingLimits(output_size=1000), "more than the reader may answer"),
        ("return [1]", ReadingLimits(), "gave no answer"),
    ],
)
def test_a_child_that_fails_is_a_reason(reader: Path, body: str, limits: ReadingLimits, reason: str) -> None:
    reader.write_text(f"def walk_file(path):\n    {body}")
    found = read("gguf", Path("/dev/null"), limits)
    assert found.answer is None
    assert reason in found.reason


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS sets no limit on address space")
def test_a_child_that_wants_too_much_memory_is_a_reason(reader: Path) -> None:
    reader.write_text("def walk_file(path):\n    return {'a': len(bytearray(1024 ** 3))}")
    assert "more than 512 MiB" in read("gguf", Path("/dev/null"), ReadingLimits(memory_size=512 * 1024**2)).reason


@pytest.mark.skipif(sys.platform != "linux", reason="by means of Linux")
def test_a_killed_parent_leaves_no_child(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "model.gguf")  # The child waits for what somebody writes.
    asking = (
        f"from pathlib import Path; from weighbridge.content.sandbox import read; read('gguf', Path({str(path)!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", asking], env={**os.environ, "PYTHONPATH": str(ROOT)})
    writing = _opened_by_another(path)
    try:
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
        parent.wait()
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    finally:
        os.close(writing)


def _opened_by_another(fifo: Path) -> int:
    until = time.monotonic() + 60
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # Nobody reads yet.
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="by means of Linux")
def test_the_child_has_no_network_and_sees_the_file_it_reads_only(tmp_path: Path) -> None:
    (path := tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert read("probe", path).answer == {"network": False, "files": False}
    assert confinement.probe(path) == {"network": True, "files": True}


def test_a_machine_short_of_processes_is_asked_again(reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.write_text("def walk_file(path): return {'read': path.name}")
    monkeypatch.setattr(sandbox, "_PAUSES_S", (0.0, 0.0))
    refusals = [BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")] * 2

    def busy(*arguments: Any, **settings: Any) -> processes.Child:
        if refusals:
            raise refusals.pop()
        return processes.Child(*arguments, **settings)

    monkeypatch.setattr(sandbox, "Child", busy)
    assert read("gguf", Path("/dev/null")).answer == {"read": "null"}
    refusals += [BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")] * 3
    with pytest.raises(ScannerUnavailable, match="cannot be started: Resource temporarily unavailable"):
        read("gguf", Path("/dev/null"))
