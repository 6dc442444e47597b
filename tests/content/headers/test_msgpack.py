import pickle
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import rules, write
from weighbridge.content.headers.msgpack import MsgpackHeader, read

SYSTEM = b"cos\nsystem\n(S'id'\ntR."


def packed(value: object) -> bytes:
    """Return a value as MessagePack, in the longest form of each kind."""
    if isinstance(value, bool) or value is None:
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str | bytes):
        content = value.encode() if isinstance(value, str) else value
        return (b"\xdb" if isinstance(value, str) else b"\xc6") + struct.pack(">I", len(content)) + content
    if isinstance(value, dict):
        entries = [packed(part) for pair in value.items() for part in pair]
        return b"\xdf" + struct.pack(">I", len(value)) + b"".join(entries)
    assert isinstance(value, list)
    return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(packed, value))


def look(folder: Path, content: bytes) -> MsgpackHeader:
    return read(write(folder, content))


@pytest.mark.parametrize(
    "content",
    [
        packed({b"nd": True, b"type": "|O", b"kind": b"O", b"shape": [1], b"data": SYSTEM}),
        packed([1, [{"a": {"b": SYSTEM}}], 2]),
        packed("x") + packed(SYSTEM),
        b"\xc7" + bytes([len(SYSTEM), 42]) + SYSTEM,
        b"\x81\xa1d" + b"\xb5" + SYSTEM,
    ],
    ids=["msgpack-numpy", "deep", "second value", "extension", "short forms"],
)
def test_pickles_are_found_wherever_they_are(tmp_path: Path, content: bytes) -> None:
    found = look(tmp_path, content)
    assert found.failure == ""
    assert [(finding.rule, finding.level) for finding in found.findings] == [("pickle.embedded", "error")]


def test_weights_and_words_are_no_findings(tmp_path: Path) -> None:
    weights = {"params": {"dense": {"kernel": [[2, 2], "float32", bytes(range(16))]}}, "step": 1, "lr": 0.5, "on": True}
    for content in (packed(weights), packed([None, "a", -1, pickle.dumps([1, "a"])]), b"\x93\x01\xa3abc\xc4\x01\x80"):
        found = look(tmp_path, content)
        assert (found.failure, found.findings, found.bytes_read) == ("", (), len(content))


@pytest.mark.parametrize(
    "content", [b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xc6\0\0\0\x09abc", b"\x92\x01", b"\x91" * 500 + b"\0"]
)
def test_what_cannot_be_read_to_its_end_is_a_failure(tmp_path: Path, content: bytes) -> None:
    assert look(tmp_path, content).failure


def test_a_pickle_counts_though_what_follows_is_broken(tmp_path: Path) -> None:
    found = look(tmp_path, packed(SYSTEM) + b"\xc1")
    assert found.failure
    assert rules(found.findings) == ["pickle.embedded"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_never_raise(tmp_path: Path, content: bytes) -> None:
    look(tmp_path, content or b"\0")
