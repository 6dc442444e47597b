"""Child processes: each leads a process group of its own, and is killed with everything that it started.

A child gets the environment that its caller lists and nothing else of this process's: `inherited` reads it. Not here:
what a child may reach (content.confinement, benchmarks.codesandbox), and what is asked of one (handlers.child_process,
content.sandbox).
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

DEVNULL, PIPE, STDOUT = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
#: Seconds that a program may take to say something about itself.
_ASIDE_S = 60.0
_POLL_S = 0.1


class Child(subprocess.Popen[bytes]):
    """A child process; the end of its `with` block kills it and whatever it started.

    Args:
        command: the program and its arguments.
        environment: all that it gets.
        folder: where it starts; this process's own when None.
        pass_fds: descriptors that it gets besides the three standard ones.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: IO[bytes] | int = DEVNULL,
        stdout: IO[bytes] | int = DEVNULL,
        stderr: IO[bytes] | int = DEVNULL,
        folder: Path | None = None,
        pass_fds: Collection[int] = (),
    ) -> None:
        super().__init__(
            command,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=folder,
            pass_fds=pass_fds,
            start_new_session=True,
        )

    def kill(self) -> None:
        """Kill the whole process group, also where the child itself has ended."""
        with suppress(ProcessLookupError, PermissionError):  # macOS permits no signal to a group that has ended.
            os.killpg(self.pid, signal.SIGKILL)

    def ends_within(self, timeout_s: float) -> bool:
        """Wait for the child to end by itself, and return whether it did."""
        try:
            self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                with suppress(OSError):  # What the child did not read any more is lost with it.
                    pipe.close()


@contextmanager
def time_limit(
    timeout_s: float, *children: Child, cancel_event: threading.Event | None = None
) -> Iterator[threading.Event]:
    """Kill children when their time is over, which the yielded event then says, or when their work is cancelled."""
    ended, late, cancelled = threading.Event(), threading.Event(), cancel_event or threading.Event()

    def watch() -> None:
        deadline = time.monotonic() + timeout_s
        while not ended.wait(_POLL_S):
            if cancelled.is_set() or time.monotonic() > deadline:
                if not cancelled.is_set():
                    late.set()
                for child in children:
                    child.kill()
                return

    watching = threading.Thread(target=watch, name="time limit", daemon=True)
    watching.start()
    try:
        yield late
    finally:
        ended.set()
        watching.join()


def inherited(*names: str) -> dict[str, str]:
    """Return the variables of this process's environment that have these names."""
    return {name: os.environ[name] for name in names if name in os.environ}


def printed_by(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return what a program prints that says something about itself, such as its version.

    Raises:
        OSError: it cannot be started, fails, or takes longer than a minute.
    """
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_ASIDE_S, check=True)
    except subprocess.SubprocessError as error:
        raise ChildProcessError(str(error)) from error
    return done.stdout
