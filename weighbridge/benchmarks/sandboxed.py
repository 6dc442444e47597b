"""What runs inside the sandbox: a program that a model wrote, and in another process the tests that judge it.

The program's process answers calls of its functions. The tests' process never runs any of its code: it sends arguments
and gets plain values back, of which it judges, and alone knows the word that says "passed". So a program can lie about
its values only, not about the verdict. This file is handed over as text, so it uses Python's standard library alone.
Not here: how the two are shut in and started (codesandbox).
"""

from __future__ import annotations

import builtins
import collections.abc
import decimal
import fractions
import itertools
import json
import os
import resource
import sys
from typing import Any

#: Items of an iterator that a function returns that are handed over.
_MOST_ITEMS = 10**6
#: Kinds of values by the name that stands for them, each with what makes one of its parts; the first that fits counts.
_CONTAINERS: dict[str, tuple[type, Any]] = {
    "list": (list, list),
    "tuple": (tuple, tuple),
    "set": (set, set),
    "frozenset": (frozenset, frozenset),
    "keys": (collections.abc.KeysView, lambda items: dict.fromkeys(items).keys()),
    "iterator": (collections.abc.Iterator, iter),
    "values": (collections.abc.ValuesView, iter),
    "items": (collections.abc.ItemsView, iter),
}
_TEXTS: dict[str, tuple[type, Any, Any]] = {
    "complex": (complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    "range": (range, lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
    "bytes": (bytes, list, bytes),
    "bytearray": (bytearray, list, bytearray),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "fraction": (fractions.Fraction, str, fractions.Fraction),
}


def encode(value: Any) -> Any:
    """Return a value as JSON has it; what is no plain value becomes `opaque`, which equals nothing."""
    if value is None or isinstance(value, bool):
        return value
    for plain in (int, float, str):
        if isinstance(value, plain):
            return plain(value)
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    for name, (kind, _) in _CONTAINERS.items():
        if isinstance(value, kind):
            items: Any = value
            return {name: [encode(item) for item in itertools.islice(items, _MOST_ITEMS)]}
    for name, (kind, parts, _) in _TEXTS.items():
        if isinstance(value, kind):
            return {name: parts(value)}
    return {"opaque": type(value).__name__}


def decode(value: Any) -> Any:
    """Return the value that `encode` wrote down."""
    if not isinstance(value, dict):
        return value
    ((name, content),) = value.items()
    if name == "dict":
        return {decode(key): decode(item) for key, item in content}
    if name in _CONTAINERS:
        return _CONTAINERS[name][1]([decode(item) for item in content])
    return _TEXTS[name][2](content) if name in _TEXTS else object()


class _Names(dict[str, Any]):
    """The names of the tests; one that neither they nor Python have is a function of the program's."""

    def __init__(self, call: Any) -> None:
        super().__init__(__name__="tests")
        self._call = call

    def __missing__(self, name: str) -> Any:
        if name.startswith("__") or hasattr(builtins, name):
            raise KeyError(name)
        return lambda *arguments, **options: self._call(name, arguments, options)


def serve(scope: dict[str, Any], calls: Any, results: Any) -> None:
    """Answer calls of a program's functions, a line each, until there are no more."""
    for line in calls:
        name, arguments, options = decode(json.loads(line))
        try:
            reply = {"value": encode(scope[name](*arguments, **options))}
        except BaseException as error:  # noqa: BLE001 (whatever a program raises is its answer)
            reply = {"raised": type(error).__name__}
        results.write(json.dumps(reply).encode() + b"\n")
        results.flush()


def judge(test: str, calls: Any, results: Any) -> None:
    """Run tests whose unknown names are a program's functions. Raises what they raise."""

    def call(name: str, arguments: Any, options: Any) -> Any:
        calls.write(json.dumps(encode([name, list(arguments), dict(options)])).encode() + b"\n")
        calls.flush()
        reply = json.loads(results.readline())
        if "raised" in reply:
            kind = getattr(builtins, str(reply["raised"]), RuntimeError)
            raised = kind if isinstance(kind, type) and issubclass(kind, Exception) else RuntimeError
            raise raised(f"{name} raised {reply['raised']}")
        return decode(reply["value"])

    if json.loads(results.readline()) != {"ready": True}:
        raise RuntimeError("the program did not come to its end")
    exec(compile(test, "<tests>", "exec"), _Names(call))  # noqa: S102 (inside the sandbox)


def limited(cpu_time_s: int, memory_size: int) -> None:
    """Take limits upon this process that nothing in it can lift, and give away its standard streams."""
    sys.set_int_max_str_digits(0)
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    limits = {"CORE": 0, "FSIZE": 0, "NOFILE": 32, "CPU": cpu_time_s, "STACK": 16 * 2**20, "AS": memory_size}
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def main(role: str, cpu_time_s: str, memory_size: str, size: str, *channels: str) -> None:
    """Be the program, or its tests; the text of either comes on stdin, as many bytes as `size` says.

    The program answers calls that follow on stdin, on stdout. The tests call on the first of `channels`, read from the
    second, and write the word that comes before their text to stdout when they pass.
    """
    if role == "program":
        text, calls, results = sys.stdin.buffer.read(int(size)), os.dup(0), os.dup(1)
        limited(int(cpu_time_s), int(memory_size))
        scope: dict[str, Any] = {"__name__": "completion"}
        exec(compile(text, "<completion>", "exec"), scope)  # noqa: S102 (inside the sandbox)
        with os.fdopen(calls, "rb") as asked, os.fdopen(results, "wb") as answers:
            answers.write(b'{"ready": true}\n')
            answers.flush()
            serve(scope, asked, answers)
    else:
        word, text = sys.stdin.buffer.read(int(size)).split(b"\n", 1)
        answer = os.dup(1)
        limited(int(cpu_time_s), int(memory_size))
        to, from_ = map(int, channels)
        with os.fdopen(to, "wb") as asked, os.fdopen(from_, "rb") as answers:
            judge(text.decode(errors="surrogatepass"), asked, answers)
        os.write(answer, word)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
