"""Runs Python programs that a model wrote in isolation: namespaces, a seccomp filter and limits.

A program sees a read-only Python and the system's libraries; no home, no environment, no network, no second process or
thread, nothing to write to. Its tests run in another process, isolated in the same way, which calls its functions and
judges their values: a program's actions in its own process change no verdict. Where this is not possible, nothing runs.
Not here: the code inside (sandboxed), and the parts of programs (humaneval).
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from weighbridge.benchmarks import sandboxed
from weighbridge.benchmarks.syscallfilter import syscall_filter
from weighbridge.errors import BenchmarkFailed
from weighbridge.system.processes import PIPE, Child, time_limit

#: The version of the sandbox for a result's settings; change it when code that passed may fail or the reverse.
DEFINITION = "bwrap+seccomp/2"
#: Seconds for a program to end by itself once its tests are done.
_LAST_S = 2.0
_REMEDY = (
    "Generated code runs only in a sandbox, on Linux with bubblewrap: sudo apt-get install bubblewrap. In a container"
    " it needs user namespaces: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined."
)
#: A program that succeeds only in isolation.
_PROBE = """
import ctypes, os, socket, sys
for attempt in (os.fork, socket.socket, lambda: open("/proof", "w"), lambda: open("/etc/passwd")):
    try:
        attempt()
    except OSError:
        continue
    raise SystemExit(1)
assert set(os.listdir("/")) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "python", "usr"}
assert ctypes.CDLL(None).memfd_create(b"x", 0) < 0
"""
_INSIDE = Path(sandboxed.__file__)


@dataclass(frozen=True)
class CodeLimits:
    """The limits of one program, and again of its tests, except the time until both are killed.

    Attributes:
        cpu_time_s: seconds of processor time.
        wall_time_s: seconds until it is killed.
        memory_size: bytes of address space, including Python's own.
    """

    cpu_time_s: int = 10
    wall_time_s: float = 60.0
    memory_size: int = 1024**3


@dataclass(frozen=True)
class Verdict:
    """Whether a program ended and passed its tests, and if not the reason, as far as it is visible from outside."""

    passed: bool
    reason: str = ""


class CodeSandbox:
    """A sandbox that has been tested on this machine.

    Args:
        limits: those of each program.

    Raises:
        BenchmarkFailed: it is not possible here; the remedy names what to install.
    """

    def __init__(self, limits: CodeLimits | None = None) -> None:
        self.limits = limits or CodeLimits()
        self._filter = syscall_filter()
        self._bwrap = shutil.which("bwrap") or ""
        if not self._bwrap or not self._filter:
            lacks = "bwrap is not installed" if self._filter else "this machine's system calls are not known"
            raise BenchmarkFailed(f"There is no sandbox here: {lacks}.", _REMEDY)
        verdict, said = self._run(_PROBE)
        if not verdict.passed:
            raise BenchmarkFailed(f"The sandbox does not hold here: {said or verdict.reason}.", _REMEDY)

    def run(self, program: str, test: str = "") -> Verdict:
        """Run a program, and tests that call its functions; every action of either ends in a verdict.

        Args:
            program: defines functions.
            test: calls them by their names, and raises where they are wrong; it may define names of its own.
        """
        return self._run(program, test)[0]

    def _run(self, program: str, test: str = "") -> tuple[Verdict, str]:
        """Return the verdict, and the messages of bubblewrap."""
        word = secrets.token_hex(16).encode()
        calls_from, calls_to = os.pipe()
        results_from, results_to = os.pipe()
        # The compiler inside refuses half a surrogate pair.
        text = program.encode(errors="surrogatepass")
        try:
            of_program = self._start("program", len(text), stdin=calls_from, stdout=results_to)
            _close(calls_from, results_to)
            with suppress(BrokenPipeError):
                _write(calls_to, text)
            question = word + b"\n" + test.encode(errors="surrogatepass")
            channels = (calls_to, results_from)
            judge = self._start("tests", len(question), stdin=PIPE, stdout=PIPE, channels=channels)
        finally:
            _close(calls_from, calls_to, results_from, results_to)
        return self._judge(of_program, judge, question, word)

    def _start(self, role: str, size: int, *, stdin: int, stdout: int, channels: tuple[int, ...] = ()) -> Child:
        limits = (str(self.limits.cpu_time_s), str(self.limits.memory_size), str(size), *map(str, channels))
        rules_from, rules_to = os.pipe()
        try:
            with os.fdopen(rules_to, "wb") as rules:
                rules.write(self._filter)
            command = [
                *self._command(rules_from),
                f"/python/bin/{_python().name}",
                "-I",
                "-S",
                "-c",
                _INSIDE.read_text(),
            ]
            return Child(
                [*command, role, *limits],
                {"PATH": "/usr/bin", "LD_LIBRARY_PATH": "/python/lib", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
                stdin=stdin,
                stdout=stdout,
                stderr=PIPE,
                folder=Path("/"),
                pass_fds=(rules_from, *channels),
            )
        finally:
            os.close(rules_from)

    def _judge(self, program: Child, judge: Child, question: bytes, word: bytes) -> tuple[Verdict, str]:
        try:
            with time_limit(self.limits.wall_time_s, judge, program) as late:
                assert judge.stdin is not None
                assert judge.stdout is not None
                with suppress(BrokenPipeError), judge.stdin:
                    judge.stdin.write(question)
                answer = judge.stdout.read(len(word) + 1)
                judge.stdout.close()
                status = judge.wait()
                program.ends_within(_LAST_S)  # Nobody calls it any more.
                broken = program.returncode or 0
        finally:
            said = "".join(map(_reaped, (program, judge)))
        if late.is_set():
            return Verdict(False, f"it was killed after {self.limits.wall_time_s:g} s"), said
        if answer == word and status == 0:
            return Verdict(True), said
        return Verdict(False, _why(broken or status, self.limits)), said

    def _command(self, rules: int) -> list[str]:
        command = [self._bwrap, "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
        command += ["--uid", "65534", "--gid", "65534", "--cap-drop", "ALL", "--seccomp", str(rules)]
        command += ["--ro-bind", sys.base_prefix, "/python"]
        for name in ("/lib", "/lib32", "/lib64", "/libx32"):
            path = Path(name)
            command += ["--ro-bind-try", f"/usr{name}", f"/usr{name}"]
            if path.is_symlink():
                command += ["--symlink", str(path.readlink()), name]
            elif path.is_dir():
                command += ["--ro-bind", name, name]
        command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
        for device in ("null", "zero", "urandom", "random"):
            command += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
        return [*command, "--remount-ro", "/", "--chdir", "/", "--"]


def _python() -> Path:
    """Return the interpreter below `sys.base_prefix`, which is not the virtual environment's."""
    return Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")


def _why(status: int, limits: CodeLimits) -> str:
    # bubblewrap reports a child's signal as a shell does.
    number = status - 128 if status > 128 else -status
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return f"it was killed: its limits are {limits.cpu_time_s} s of processor time and {limits.memory_size:,} bytes"
    if status in (0, 1):
        return "it raised an exception, or left before its end"
    return f"it ended with {status}"


def _reaped(process: Child) -> str:
    """End a process with all that it started, and return the messages of bubblewrap."""
    with process:
        process.kill()
        assert process.stderr is not None
        return process.stderr.read(2000).decode(errors="replace").strip()


def _write(to: int, content: bytes) -> None:
    """Write the whole content to a descriptor."""
    while content:
        content = content[os.write(to, content) :]


def _close(*numbers: int) -> None:
    """Close descriptors that are still open."""
    for number in numbers:
        with suppress(OSError):
            os.close(number)
