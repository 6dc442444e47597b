"""A command that is interrupted ends, although its threads wait for a server; what came is resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SIZE = 8_000_000


class _Silent(BaseHTTPRequestHandler):
    """Sends half of a file, tells the test, and nothing more."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(SIZE))
        self.send_header("ETag", '"a"')
        self.end_headers()

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Range", ""))  # type: ignore[attr-defined]
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
