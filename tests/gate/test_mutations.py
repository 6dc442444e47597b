"""Mutated pickles: whatever Python's own unpickler would still run is still rejected.

The oracle is the real unpickler, C and Python, with `find_class` replaced: it records which callables are asked for and
called, and runs none of them.
"""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulators import samples
from weighbridge.content.detection import detect_file
from weighbridge.content.pickles.judgement import judge
from weighbridge.content.pickles.streams import Search

_BASES = (
    *(samples.malicious_pickle(protocol) for protocol in range(5)),
    b"(S'id'\nios\nsystem\n.",
    b"\x80\x02c__builtin__\neval\nX\x01\0\0\x001\x85R.",
    b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    b"\x80\x02cos\nsystem\nq\x00X\x02\0\0\0idq\x01\x85q\x02Rq\x03.",
)
#: Opcodes that change nothing that is called, to be put anywhere between others.
_PADDING = (
    b"N0",
    b"K\x010",
    b"X\x01\0\0\0a0",
    b"]0",
    b"}0",
    b"(1",
    b"\x88\x890" + b"0",
    b"\x95" + struct.pack("<Q", 0),
)


#: What the bases call, by every name that Python 2 and 3 have for it.
_HARM = {("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"), ("__builtin__", "eval")}


class _Called(Exception):
    """Raised in place of a call, so that nothing runs."""


def _runs(content: bytes, kind: type[pickle.Unpickler] | Any) -> bool:
    """Whether an unpickler gets as far as calling what a harmful name stands for."""

    class Recorder(kind):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in _HARM:
                raise ImportError(f"{module}.{name}")  # Another one harms nobody here, or does not exist.

            def call(*_: Any, **__: Any) -> Any:
                raise _Called(f"{module}.{name}")

            return call

    try:
        Recorder(io.BytesIO(content)).load()
    except _Called:
        return True
    except BaseException as error:  # noqa: BLE001 (hostile bytes make an unpickler raise anything)
        return isinstance(error, _Called)
    return False


def _rejected(content: bytes, name: str, path: Path) -> bool:
    path.write_bytes(content)
    search = Search(path, detect_file(name, path))
    judged = [judge(stream.walked) for stream in search]
    return any(found.harmful or found.unknown for found in judged) or bool(search.unread) or bool(search.findings.all)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a harmful pickle with bytes changed, removed, put in or doubled at a few places."""
    content = bytearray(draw(st.sampled_from(_BASES)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["change", "remove", "pad", "double", "cut"]))
        if kind == "pad":
            content[at:at] = draw(st.sampled_from(_PADDING))
        elif kind == "change" and at < len(content):
            content[at] = draw(st.integers(0, 255))
        elif kind == "remove":
            del content[at : at + draw(st.integers(1, 3))]
        elif kind == "double":
            content[at:at] = content[max(0, at - 4) : at]
        elif kind == "cut":
            del content[at + draw(st.integers(0, 8)) :]
    return bytes(content)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations") / "blob"


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=mutated())
def test_what_an_unpickler_would_run_is_rejected(path: Path, content: bytes) -> None:
    if _runs(content, pickle.Unpickler) or _runs(content, pickle._Unpickler):  # type: ignore[attr-defined]
        assert _rejected(content, "model.pkl", path), content


def _zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return buffer.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=mutated(), place=st.sampled_from(["gzip", "zip", "twice", "array"]))
def test_also_where_loaders_find_it_in_other_files(path: Path, content: bytes, place: str) -> None:
    if not _runs(content, pickle.Unpickler):
        return
    wrappers: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
        "gzip": ("model.pkl.gz", gzip.compress),
        "zip": ("model.pt", _zipped),
        "twice": ("model.pkl", lambda inner: pickle.dumps({"a": 1}) + inner),
        "array": ("model.npy", lambda inner: _array() + inner),
    }
    name, wrap = wrappers[place]
    assert _rejected(wrap(content), name, path), (place, content)


def _array() -> bytes:
    import numpy as np

    return samples.npy_of(np.zeros(3))


def test_the_oracle_sees_what_runs_and_what_does_not() -> None:
    assert all(_runs(base, pickle.Unpickler) for base in _BASES)
    assert not _runs(pickle.dumps({"a": [1, 2.0, "x"]}), pickle.Unpickler)
