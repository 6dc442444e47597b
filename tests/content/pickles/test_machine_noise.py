"""The walk over a pickle: noise breaks nothing, and no changed byte hides code that Python still reaches."""

from __future__ import annotations

import collections
import io
import os
import pickle
import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulators import samples
from weighbridge.content.pickles import machine
from weighbridge.content.pickles.globals import classify
from weighbridge.content.pickles.machine import Walked
from weighbridge.content.pickles.symbols import Import


def walked_of(content: bytes) -> Walked:
    return machine.walk(io.BytesIO(content), len(content))


def test_a_long_argument_is_skipped_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.pkl"
    path.write_bytes(pickle.dumps([b"x" * 5_000_000, "y" * 5_000_000], protocol=5))
    walked = walked_of(path.read_bytes())
    assert walked.stopped
    assert walked.end == path.stat().st_size
    assert sum(map(len, walked.copies)) < 100


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=200))
def test_no_bytes_break_the_walk(content: bytes) -> None:
    walked = walked_of(content)
    assert walked.stopped or walked.problem


@settings(max_examples=100, deadline=None)
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
       lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner)),
       protocol=st.integers(0, 5))  # fmt: skip
def test_plain_values_are_walked_to_their_end(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol=protocol)
    walked = walked_of(content)
    assert (walked.stopped, walked.problem, walked.end) == (True, "", len(content))
    assert not walked.imports.keys() - {Import("_codecs", "encode"), Import("__builtin__", "bytes")}
    # Other engines are given copies that mean the same.
    assert pickle.dumps(pickle.loads(b"".join(walked.copies))) == pickle.dumps(pickle.loads(content))


def outcome(content: bytes) -> str:
    """What the audit hooks of a child process would see; here: whether unpickling calls os.system. Runs nothing."""

    class Watched(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            if name == "system" and module in ("os", "posix"):
                raise Reached
            return super().find_class(module, name) if module in ("collections", "builtins") else Inert

    try:
        Watched(io.BytesIO(content)).load()
    except Reached:
        return "reached"
    except Exception:  # noqa: BLE001 (changed pickles break in every way)
        return "broken"
    return "loaded"


class Reached(Exception):
    """Unpickling came to the malicious global."""


class Inert:
    """Stands for every other class."""

    def __init__(self, *arguments: object) -> None:
        pass


def test_no_change_of_one_byte_hides_code_that_still_runs() -> None:
    """Python's own unpickler is the judge: where it still reaches the code, so must the walk."""
    changes = random.Random(7)
    judged = 0
    for protocol in (0, 2, 4):
        evil = pickle.dumps([collections.OrderedDict(a=1), samples.calling(os.system, "true")], protocol=protocol)
        for _ in range(1500):
            content = bytearray(evil)
            content[changes.randrange(len(evil))] = changes.randrange(256)
            if outcome(bytes(content)) == "reached":
                judged += 1
                found = walked_of(bytes(content)).imports
                assert any(classify(one) == "dangerous" for one in found), bytes(content)
    assert judged > 500
