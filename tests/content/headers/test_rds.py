import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import rules, write
from weighbridge.content.headers.rds import RdsHeader, read, walk

NIL = struct.pack(">I", 254)
HEAD = struct.pack(">III", 3, 0x040301, 0x030500) + struct.pack(">I", 5) + b"UTF-8"


def number(value: int) -> bytes:
    return struct.pack(">i", value)


def characters(value: str) -> bytes:
    return number(9 | 1 << 18) + number(len(value)) + value.encode()


def texts(*values: str) -> bytes:
    return number(16) + number(len(values)) + b"".join(map(characters, values))


def symbol(name: str) -> bytes:
    return number(1) + characters(name)


def reals(*values: float, attributes: bytes = b"") -> bytes:
    flags = 14 | (1 << 9 if attributes else 0)
    return number(flags) + number(len(values)) + struct.pack(f">{len(values)}d", *values) + attributes


def pairs(kind: int, head: bytes, tail: bytes, tag: bytes = b"") -> bytes:
    return number(kind | (1 << 10 if tag else 0)) + tag + head + tail


def named(**values: bytes) -> bytes:
    found = NIL
    for name, value in reversed(values.items()):
        found = pairs(2, value, found, symbol(name))
    return found


def listed(*values: bytes, attributes: bytes = b"") -> bytes:
    flags = 19 | (1 << 9 if attributes else 0)
    return number(flags) + number(len(values)) + b"".join(values) + attributes


CALL = pairs(6, symbol("system"), pairs(2, texts("id"), NIL))
PROMISE = pairs(5, NIL, CALL)
#: A data frame of two columns, as saveRDS writes it: names, class and compact row names as attributes.
FRAME = listed(
    reals(1.5, 2.5),
    texts("a", "b"),
    attributes=named(
        names=texts("x", "y"), **{"class": texts("data.frame")}, **{"row.names": number(13) + number(1) + number(2)}
    ),
)
ENVIRONMENT = number(4) + number(0) + number(253) + named(x=PROMISE) + NIL + NIL
COMPACT = number(238) + pairs(2, symbol("compact_intseq"), NIL) + reals(3.0, 1.0, 1.0) + NIL
BYTECODE = (
    number(21) + number(1) + number(13) + number(1) + number(12) + number(3)
    + number(6) + symbol("f") + number(254) + NIL
    + number(244) + number(0) + number(2) + NIL + number(19) + listed() + number(254) + NIL
    + number(16) + texts("a")
    + number(243) + number(0)
)  # fmt: skip


def look(*items: bytes, prefix: bytes = b"X\n") -> RdsHeader:
    content = prefix + HEAD + b"".join(items)
    return walk(io.BytesIO(content), len(content))


@pytest.mark.parametrize(
    "item",
    [
        PROMISE,
        listed(texts("a"), PROMISE),
        pairs(2, PROMISE, NIL, symbol("x")),
        ENVIRONMENT,
        reals(1.0, attributes=named(x=PROMISE)),
    ],
    ids=["alone", "in a list", "in a workspace", "in an environment", "in attributes"],
)
@pytest.mark.parametrize("prefix", [b"X\n", b"RDX3\nX\n"])
def test_a_promise_is_an_error_wherever_it_is(item: bytes, prefix: bytes) -> None:
    found = look(item, prefix=prefix)
    assert found.failure == ""
    assert ("rds.promise", "error") in [(finding.rule, finding.level) for finding in found.findings]


@pytest.mark.parametrize(
    "item", [FRAME, COMPACT, texts("a"), NIL, listed(FRAME, COMPACT, symbol("s"), number(1 << 8 | 255))]
)
def test_data_are_no_findings(item: bytes) -> None:
    found = look(item)
    assert (found.failure, found.findings) == ("", ())
    assert found.items > 0


@pytest.mark.parametrize(
    "item", [CALL, BYTECODE, pairs(3, NIL, CALL), number(8) + number(3) + b"sum", listed(BYTECODE, FRAME)]
)
def test_code_is_a_warning(item: bytes) -> None:
    found = look(item)
    assert found.failure == ""
    assert [(finding.rule, finding.level) for finding in found.findings] == [("rds.code", "warning")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"A\n3\n263169\n", "binary"),
        (b"RDA3\nA\n", "binary"),
        (b"X\n" + number(9) + bytes(8), "version"),
        (b"X\n" + HEAD + FRAME[:-1], "ends"),
        (b"X\n" + HEAD + FRAME + b"x", "follow"),
        (b"X\n" + HEAD + number(99), "type"),
        (b"X\n" + HEAD + number(14) + number(-1) + b"\x7f" + bytes(7), "left"),
    ],
)
def test_what_cannot_be_read_to_its_end_is_a_failure(content: bytes, why: str) -> None:
    assert why in walk(io.BytesIO(content), len(content)).failure


def test_a_promise_counts_though_what_follows_is_broken() -> None:
    found = look(listed(PROMISE, number(99)))
    assert found.failure
    assert "rds.promise" in rules(found.findings)


def test_deep_nesting_costs_no_stack() -> None:
    assert look((number(19) + number(1)) * 200_000 + NIL).failure == ""


def test_the_child_answers_what_the_walk_says(tmp_path: Path) -> None:
    assert read(write(tmp_path, b"X\n" + HEAD + listed(FRAME, PROMISE))) == look(listed(FRAME, PROMISE))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mutated_file_never_raises(data: st.DataObject) -> None:
    content = bytearray(b"X\n" + HEAD + listed(FRAME, ENVIRONMENT, BYTECODE))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    walk(io.BytesIO(bytes(content)), len(content))
