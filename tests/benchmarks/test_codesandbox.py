"""Generated code runs in a sandbox: what is wrong or hostile fails, and nothing outside is touched."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import psutil
import pytest

from weighbridge.benchmarks import codesandbox
from weighbridge.benchmarks.codesandbox import CodeLimits, CodeSandbox
from weighbridge.benchmarks.syscallfilter import syscall_filter
from weighbridge.errors import BenchmarkFailed

STUBBORN = "while True:\n    try:\n        {}\n    except OSError:\n        pass"
HOSTILE = {
    "forks endlessly": "import os\nwhile True:\n    os.fork()",
    "forks endlessly, whatever is said": "import os\n" + STUBBORN.format("os.fork()"),
    "makes threads": "import threading\nwhile True:\n    threading.Thread(target=input).start()",
    "starts a program": "import subprocess\nsubprocess.run(['/python/bin/python3', '-c', ''])",
    "opens a socket": "import socket\nsocket.create_connection(('127.0.0.1', {port}))",
    "opens a raw socket": "import ctypes\nassert ctypes.CDLL(None).socket(2, 1, 0) >= 0",
    "reads the passwords": "open('/etc/passwd').read()",
    "reads the home": "open({secret!r}).read()",
    "reads the environment": "import os\nassert 'secret-of-the-home' in str(os.environ)",
    "reads its parent": "open('/proc/1/environ').read()",
    "never ends": "while True:\n    pass",
    "sleeps for ever": "import time\ntime.sleep(10**6)",
    "allocates endlessly": "kept = []\nwhile True:\n    kept.append(bytearray(10**7))",
    "allocates what no limit counts": "import os\nfile = os.memfd_create('x')\nos.write(file, bytes(10**6))",
    "shares memory": "import ctypes\nassert ctypes.CDLL(None).shmget(0, 10**6, 0o1600) >= 0",
    "fills the disk": "import tempfile\nfile = tempfile.TemporaryFile()\nwhile True:\n    file.write(bytes(10**7))",
    "fills shared memory": "open('/dev/shm/x', 'wb').write(bytes(10**7))",
    "writes outside": "open({outside!r}, 'w').write('here')",
    "writes into Python": "import os\nopen(os.__file__, 'a').write('#')",
    "deletes": "import shutil\nshutil.rmtree({home!r})",
    "prints gigabytes": "while True:\n    print('x' * 10**6)",
    "writes into the answer": "import os\nnumber = 0\n"
    + STUBBORN.format("number += 1; os.write(number % 32, b'x' * 10**6)"),
    "kills its parent": "import os\nos.kill(os.getppid(), 9)\nos.kill(-1, 9)\nos._exit(0)",
    "leaves early": "raise SystemExit(0)",
    "leaves at once": "import os\nos._exit(0)",
    "crashes": "import ctypes\nctypes.string_at(0)",
    "lifts its limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "makes a namespace": "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "is no Python": "def (:",
    "is no text": "\ud800",
    "is bytes of nothing": "\0",
    "recurses": "def f():\n    f()\nf()",
    "nests": "x = " + "(" * 5000,
}


@pytest.fixture(scope="module")
def sandbox() -> CodeSandbox:
    return CodeSandbox(CodeLimits(cpu_time_s=1, wall_time_s=4, memory_size=512 * 1024**2))


@pytest.mark.parametrize(
    "program",
    [
        "assert 1 + 1 == 2",
        "import collections, decimal, functools, hashlib, heapq, itertools, json, math, random, re, string, typing",
        "print('x' * 10**6)",
        "def größe(x: int) -> int:\n    return x if x < 2 else größe(x - 1) + größe(x - 2)\n\nassert größe(10) == 55",
    ],
)
def test_right_code_passes(sandbox: CodeSandbox, program: str) -> None:
    assert sandbox.run(program).passed


@pytest.mark.parametrize("program", ["assert 1 + 1 == 3", "raise ValueError", "undefined", "1 / 0"])
def test_wrong_code_fails(sandbox: CodeSandbox, program: str) -> None:
    verdict = sandbox.run(program)
    assert (verdict.passed, verdict.reason) == (False, "it raised an exception, or left before its end")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_fails_and_touches_nothing(
    sandbox: CodeSandbox, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    (home / "secret").write_text("secret-of-the-home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TOKEN", "secret-of-the-home")
    program = HOSTILE[name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        values = {"port": server.getsockname()[1], "home": str(home), "outside": str(outside)}
        if "{" in program:
            program = program.format(**values, secret=str(home / "secret"))
        verdict = sandbox.run(program)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert not verdict.passed
    assert verdict.reason
    assert (home / "secret").read_text() == "secret-of-the-home"
    assert not outside.exists()
    assert [p for p in psutil.Process().children(recursive=True) if "bwrap" in p.name()] == []


GRADES_ITSELF = {
    "finds the word on the stack": """
def f(x):
    import os, sys
    frame = sys._getframe()
    while frame is not None:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            for number in range(32) if isinstance(value, bytes) else ():
                try:
                    os.write(number, value)
                except OSError:
                    pass
        frame = frame.f_back
    os._exit(0)
""",
    "finds the word among all objects": """
import gc, os
for value in gc.get_objects():
    for number in range(32) if isinstance(value, bytes) else ():
        try:
            os.write(number, value)
        except OSError:
            pass
def f(x):
    return 0
""",
    "equals everything": """
class Any(int):
    def __eq__(self, other): return True
    def __hash__(self): return 0
def f(x):
    return Any(0)
""",
    "redefines what tests use": "import builtins\nbuiltins.abs = lambda x: 0\ndef abs(x): return 0\ndef f(x): return 9",
    "answers for the tests": 'import os\nos.write(1, b\'{"ready": true}\\n{"value": 3}\\n\')\nos._exit(0)',
    "says that it passed": "import os\nfor n in range(9):\n    try: os.write(n, b'1')\n    except OSError: pass",
    "raises what ends quietly": "def f(x): raise SystemExit(0)",
    "imports the tests": "import sys\nsys.modules['__main__'].judge = lambda *a: None\ndef f(x): return 0",
}


@pytest.mark.parametrize("name", GRADES_ITSELF)
def test_no_program_grades_itself(sandbox: CodeSandbox, name: str) -> None:
    assert not sandbox.run(GRADES_ITSELF[name], "assert abs(f(1) - 2) < 1 and f(1) == 2").passed


VALUES = [
    "None, True, 1, -2.5, 'ä\\n', float('inf'), 10 ** 5000",
    "[1, (2, [3])], {4, 5}, frozenset({6}), {7: {'8': (9,)}, (1, 2): None}",
    "b'x', bytearray(b'y'), 1j, range(3), {1: 2}.keys()",
    "__import__('decimal').Decimal('1.5'), __import__('fractions').Fraction(1, 3)",
    "__import__('collections').Counter('aab'), __import__('collections').OrderedDict(a=1)",
]


@pytest.mark.parametrize("values", VALUES)
def test_tests_get_the_values_that_a_program_returns(sandbox: CodeSandbox, values: str) -> None:
    verdict = sandbox.run("def same(*x): return x", f"given = ({values},)\nassert same(*given) == given, given")
    assert verdict.passed, verdict
    assert not sandbox.run("def same(*x): return x[:-1]", f"given = ({values},)\nassert same(*given) == given").passed


@pytest.mark.parametrize(
    ("program", "test"),
    [
        ("def f(): return (letter for letter in 'ab')", "assert list(f()) == ['a', 'b']"),
        ("def f(x): raise ValueError(x)", "try:\n    f(1)\nexcept ValueError:\n    pass\nelse:\n    assert False"),
        ("def f(n): return [n] * n", "def helper(n): return f(n)\nassert helper(3) == [3, 3, 3]"),
        ("def f(**options): return sorted(options)", "assert f(b=1, a=2) == ['a', 'b']"),
    ],
)
def test_tests_call_as_they_would_in_one_process(sandbox: CodeSandbox, program: str, test: str) -> None:
    assert sandbox.run(program, test).passed


def test_what_is_no_plain_value_equals_nothing(sandbox: CodeSandbox) -> None:
    assert not sandbox.run("class A:\n    def __eq__(s, o): return True\ndef f(): return A()", "assert f() == 1").passed


def test_no_home_no_environment_and_no_more_than_one_process(sandbox: CodeSandbox) -> None:
    program = (
        "import os\nfrom pathlib import Path\n"
        "assert sorted(os.listdir('/dev')) == ['null', 'random', 'urandom', 'zero']\n"
        "assert not any(Path(place).exists() for place in ('/proc', '/home', '/root', '/tmp', '/var', '/sys'))\n"
        "assert set(os.environ) <= {'PATH', 'LD_LIBRARY_PATH', 'LANG', 'LC_CTYPE', 'PYTHONHASHSEED', 'PWD'}\n"
        "assert os.getuid() == 65534 and os.getcwd() == '/'\n"
    )
    assert sandbox.run(program).passed


def test_without_bubblewrap_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BenchmarkFailed, match="apt-get install bubblewrap"):
        CodeSandbox()


def test_a_machine_without_a_filter_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(BenchmarkFailed, match="not known"):
        CodeSandbox()


def fake(folder: Path, script: str) -> None:
    (folder / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bwrap").chmod(0o755)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo bwrap: No permissions to create a new namespace >&2; exit 1", "No permissions"),
        # What runs its program as it is: the probe finds itself in the open.
        ('while [ "$1" != -- ]; do shift; done; shift 2; exec {python} "$@"', "does not hold"),
    ],
)
def test_a_sandbox_that_does_not_hold_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    fake(tmp_path, script.replace("{python}", str(codesandbox._python())))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BenchmarkFailed, match=told):
        CodeSandbox()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_ends_in_a_return(machine: str) -> None:
    steps = list(struct.iter_unpack("=HBBI", syscall_filter(machine)))
    for place, (code, yes, no, _) in enumerate(steps[4:-2], 4):
        assert code in (0x15, 0x35)
        assert steps[place + 1 + yes] == (0x06, 0, 0, 0x00050001)
        assert no == 0
    assert steps[-2] == (0x06, 0, 0, 0x7FFF0000)
