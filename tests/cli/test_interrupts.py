"""A command that is interrupted ends, although its threads wait for a server; what came is resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.handlers import tiny
from tests.services.clamd import signatures

#: Half of it is more than the kernel keeps between two processes, so that the client has stored some of it.
SIZE = 64_000_000
#: What a git server begins with: its capabilities, in protocol 2.
ADVERTISEMENT = b"001e# service=git-upload-pack\n0000000eversion 2\n0000"


class _Silent(BaseHTTPRequestHandler):
    """Sends half of a file, tells the test, and nothing more."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        if ".git/" in self.path:
            self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.send_header("Content-Length", str(SIZE))
        self.send_header("ETag", '"a"')
        self.end_headers()

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Range", ""))  # type: ignore[attr-defined]
        if ".git/" in self.path and not self.headers["User-Agent"].startswith("git/"):  # We ask before git does.
            self.close_connection = True
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n")
            self.wfile.write(ADVERTISEMENT)
            return
        self.do_HEAD()
        self.wfile.write(bytes(SIZE // 2))
        self.wfile.flush()
        self.server.half.set()  # type: ignore[attr-defined]
        self.server.end.wait(60)  # type: ignore[attr-defined]


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), _Silent)
    found.daemon_threads = True
    found.half, found.end, found.asked = threading.Event(), threading.Event(), []  # type: ignore[attr-defined]
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.end.set()  # type: ignore[attr-defined]
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_fetch_that_waits(
    server: ThreadingHTTPServer, tmp_path: Path, number: signal.Signals
) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}/model.bin"
    (scratch := tmp_path / "tmp").mkdir()
    environment = {**os.environ, "WEIGHBRIDGE_HOME": str(tmp_path / "home"), "TMPDIR": str(scratch)}
    for _ in range(2):
        server.half.clear()  # type: ignore[attr-defined]
        process = subprocess.Popen(
            [sys.executable, "-m", "weighbridge", "fetch", url],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert server.half.wait(60)  # type: ignore[attr-defined]
        process.send_signal(number)
        _, said = process.communicate(timeout=30)  # The server itself would keep it for a minute.
        assert process.returncode == 128 + number
        assert said.count("Stopped.") == 1
        assert "Traceback" not in said
        assert list(scratch.iterdir()) == []
    asked = server.asked  # type: ignore[attr-defined]
    assert asked[0] == ""
    assert asked[1].startswith("bytes=")


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("git", signal.SIGTERM),
        ("git", signal.SIGKILL),
        ("archive", signal.SIGINT),
        ("archive", signal.SIGKILL),
        pytest.param("benchmark", signal.SIGTERM, marks=pytest.mark.xdist_group("torch")),
    ],
)
def test_an_interrupt_leaves_no_temporary_file(
    server: ThreadingHTTPServer, tmp_path: Path, kind: str, number: signal.Signals
) -> None:
    """Of git in the middle of an answer, an archive in an archive that is unpacked, and a model that is measured."""
    (scratch := tmp_path / "tmp").mkdir()
    environment = {
        **os.environ,
        "WEIGHBRIDGE_HOME": str(tmp_path / "home"),
        "WEIGHBRIDGE_CLAMAV_DATABASE": str(signatures(tmp_path / "signatures")),
        "WEIGHBRIDGE_POLICY": str(Path(__file__).parents[2] / "deployments" / "demo" / "policy.yaml"),
        "WEIGHBRIDGE_REGISTRIES": "export",
        "TMPDIR": str(scratch),
    }
    command = [sys.executable, "-m", "weighbridge"]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    at_work = "weighbridge-process-*/*"
    if kind == "git":
        at_work = "weighbridge-process-*/weighbridge-git-*"
        arguments = ["fetch", f"git+http://127.0.0.1:{server.server_address[1]}/model.git@main"]
    elif kind == "archive":
        arguments = ["scan", str(_nested(tmp_path / "model.zip"))]
    else:
        at_work = "weighbridge-process-*/weighbridge-model-*/model/*"
        (tiny.llama(tmp_path / "tiny") / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
        subprocess.run([*command, "ingest", f"file:{tmp_path / 'tiny'}"], check=True, **quiet)  # type: ignore[call-overload]
        arguments = ["benchmark", "tiny", "-b", "inference_latency", "-n", "100000", "--device", "cpu"]
    with subprocess.Popen([*command, *arguments], **quiet) as process:  # type: ignore[call-overload]
        assert kind != "git" or server.half.wait(60)  # type: ignore[attr-defined]
        while not any(_is_at_work(path, kind) for path in scratch.glob(at_work)):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
    assert process.returncode in (-number, 128 + number)
    if number == signal.SIGKILL:
        assert list(scratch.iterdir()) != []
        subprocess.run([*command, "--version"], check=True, **quiet)  # type: ignore[call-overload]
    assert list(scratch.iterdir()) == []
    while number != signal.SIGKILL and _children_at(scratch):  # They end with their parent, within a second or two.
        time.sleep(0.05)
    assert list(scratch.iterdir()) == []


def _is_at_work(path: Path, kind: str) -> bool:
    with suppress(FileNotFoundError):
        return kind != "archive" or path.stat().st_size > 1_000_000
    return False


def _nested(path: Path) -> Path:
    """Write a zip archive whose one member is an archive of thirty megabytes."""
    block = os.urandom(1_000_000)  # What packs well counts as a bomb.
    with (
        zipfile.ZipFile(path, "w") as outer,
        outer.open("inner.zip", "w") as stream,
        zipfile.ZipFile(stream, "w") as inner,
        inner.open("weights.bin", "w") as weights,
    ):
        for _ in range(30):
            weights.write(block)
    return path


def _children_at(scratch: Path) -> list[str]:
    """Return the processes whose TMPDIR lies there."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if str(scratch).encode() in environment.read_bytes():
                found.append(environment.parent.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_main_thread_that_does_not_notice(number: signal.Signals) -> None:
    """Another thread gets the signal, and nothing wakes the main thread, as when a wait begins just then."""
    program = """
import signal, sys, threading
from weighbridge.cli import interrupts
main, masked = threading.get_ident(), threading.Event()
def tell():
    masked.wait()
    while sys._current_frames()[main].f_code.co_name != "wait":
        pass
    print("ready", flush=True)
    threading.Event().wait()
def farewell():
    print("farewell")
with interrupts.ending(farewell) as asked:
    threading.Thread(target=tell, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    masked.set()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:  # It came a moment before the wait.
        farewell()
sys.exit(128 + asked[0])
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    try:
        assert process.communicate(timeout=30)[0] == "farewell\n"
    finally:
        process.kill()
    assert process.returncode == 128 + number


def test_temporary_files_of_a_killed_command_are_removed_by_the_next_one(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    environment = {**os.environ, "WEIGHBRIDGE_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)}
    url = f"http://127.0.0.1:{server.server_address[1]}/model.bin"
    command = [sys.executable, "-m", "weighbridge"]
    with subprocess.Popen([*command, "fetch", url], env=environment, stderr=subprocess.DEVNULL) as process:
        assert server.half.wait(60)  # type: ignore[attr-defined]
        (kept,) = tmp_path.glob("weighbridge-process-*")
        subprocess.run([*command, "--version"], env=environment, stdout=subprocess.DEVNULL, check=True)
        assert kept.is_dir()  # Its process still lives.
        process.kill()
    (kept / "weighbridge-git-1").mkdir()
    subprocess.run([*command, "--version"], env=environment, stdout=subprocess.DEVNULL, check=True)
    assert list(tmp_path.glob("weighbridge-*")) == []
