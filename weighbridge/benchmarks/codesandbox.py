"""Runs Python programs that a model wrote where they can touch nothing: namespaces, a seccomp filter and limits.

A program sees a read-only Python and the system's libraries; no home, no environment, no network, no second process or
thread, nothing to write to. Where this cannot be had, nothing runs. Not here: what programs are made of (humaneval).
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from weighbridge.benchmarks.syscallfilter import syscall_filter
from weighbridge.errors import BenchmarkFailed

#: What the sandbox is, for a result's settings; change it when code that passed may fail or the reverse.
DEFINITION = "bwrap+seccomp/1"
_REMEDY = (
    "Generated code runs only in a sandbox, on Linux with bubblewrap: sudo apt-get install bubblewrap. In a container"
    " it needs user namespaces: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined."
)
#: Says of itself that it is shut in.
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
#: What runs inside: it takes limits upon itself that nobody in there can lift, then becomes the program. The program
#: passes when it says the word after its end; its own output goes nowhere.
_INSIDE = """
import os, resource, sys
cpu_time_s, memory_size, word, program = sys.stdin.buffer.read().split(b"\\n", 3)
answer, null = os.dup(1), os.open("/dev/null", os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(null, number)
limits = {"CORE": 0, "FSIZE": 0, "NOFILE": 32, "CPU": int(cpu_time_s), "STACK": 16 * 2**20, "AS": int(memory_size)}
for name, value in limits.items():
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
exec(compile(program, "<completion>", "exec"), {"__name__": "completion"})
os.write(answer, word)
os._exit(0)
"""


@dataclass(frozen=True)
class CodeLimits:
    """What one program may cost.

    Attributes:
        cpu_time_s: seconds of processor time.
        wall_time_s: seconds until it is killed.
        memory_size: bytes of address space, Python's own included.
    """

    cpu_time_s: int = 10
    wall_time_s: float = 60.0
    memory_size: int = 1024**3


@dataclass(frozen=True)
class Verdict:
    """Whether a program came to its end without an exception, and if not why, as far as can be seen from outside."""

    passed: bool
    reason: str = ""


class CodeSandbox:
    """A sandbox that was tried out.

    Args:
        limits: for each program.

    Raises:
        BenchmarkFailed: none can be had here, with what to install.
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

    def run(self, program: str) -> Verdict:
        """Run a program; whatever it does ends as a verdict."""
        return self._run(program)[0]

    def _run(self, program: str) -> tuple[Verdict, str]:
        """Return the verdict, and what bubblewrap complained of."""
        word = secrets.token_hex(16).encode()
        head = [str(self.limits.cpu_time_s).encode(), str(self.limits.memory_size).encode(), word]
        # Half a surrogate pair is no program; the compiler inside says so.
        question = b"\n".join([*head, program.encode(errors="surrogatepass")])
        rules_from, rules_to = os.pipe()
        try:
            with os.fdopen(rules_to, "wb") as rules:
                rules.write(self._filter)
            process = subprocess.Popen(
                [*self._command(rules_from), "/python/bin/" + _python().name, "-I", "-S", "-c", _INSIDE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"PATH": "/usr/bin", "LD_LIBRARY_PATH": "/python/lib", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
                pass_fds=(rules_from,),
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(rules_from)
        return self._judge(process, question, word)

    def _judge(self, process: subprocess.Popen[bytes], question: bytes, word: bytes) -> tuple[Verdict, str]:
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(self.limits.wall_time_s, end)
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(question)
            # One byte more than the word: who writes without an end is cut off.
            answer = process.stdout.read(len(word) + 1)
            process.stdout.close()
            status = process.wait()
            said = process.stderr.read(2000).decode(errors="replace").strip()
            process.stderr.close()
        finally:
            timer.cancel()
            _kill(process)
            process.wait()
        if late.is_set():
            return Verdict(False, f"it was killed after {self.limits.wall_time_s:g} s"), said
        if answer == word and status == 0:
            return Verdict(True), said
        return Verdict(False, _why(status, self.limits)), said

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
    # bubblewrap hands a child's signal on as a shell does.
    number = status - 128 if status > 128 else -status
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return f"it was killed: its limits are {limits.cpu_time_s} s of processor time and {limits.memory_size:,} bytes"
    if status in (0, 1):
        return "it raised an exception, or left before its end"
    return f"it ended with {status}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
