import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import write
from weighbridge.content.headers.tflite import read


def model(*custom: str) -> bytes:
    """Return a model with an operator code for each name, and one that is built in."""
    head = struct.pack("<I4s", 16, b"TFL3") + bytes(8)
    # The root's list of fields is at 8: two of them, the second at 4 bytes into the table.
    head = head[:8] + struct.pack("<HHHH", 8, 8, 0, 4)
    out = bytearray(head + struct.pack("<iI", 8, 4))
    vector = len(out)
    names = [*custom, ""]
    out += struct.pack("<I", len(names)) + bytes(4 * len(names))
    for index, name in enumerate(names):
        fields = len(out)
        out += struct.pack("<HHHH", 8, 8, 0, 4 if name else 0)
        table = len(out)
        out += struct.pack("<iI", table - fields, 4) + struct.pack("<I", len(name)) + name.encode() + b"\0"
        out += bytes(-len(out) % 4)
        slot = vector + 4 + 4 * index
        out[slot : slot + 4] = struct.pack("<I", table - slot)
    return bytes(out)


@pytest.mark.parametrize(
    ("name", "rule", "level"),
    [
        ("FlexWriteFile", "tflite.operator", "error"),
        ("FlexReadFile", "tflite.operator", "error"),
        ("FlexEagerPyFunc", "tflite.operator", "error"),
        ("FlexErf", "tflite.custom-operator", "note"),
        ("TFLite_Detection_PostProcess", "tflite.custom-operator", "note"),
        ("AcmeOperator", "tflite.custom-operator", "warning"),
    ],
)
def test_operators_that_are_not_built_in_are_named(tmp_path: Path, name: str, rule: str, level: str) -> None:
    found = read(write(tmp_path, model(name)))
    assert found.failure == ""
    assert [(finding.rule, finding.level) for finding in found.findings] == [(rule, level)]


def test_operators_that_are_built_in_are_no_findings(tmp_path: Path) -> None:
    found = read(write(tmp_path, model()))
    assert (found.failure, found.findings) == ("", ())


@pytest.mark.parametrize(
    "content", [b"\x1c\0\0\0TFL3", b"\xff\xff\xff\xffTFL3" + bytes(40), model("x")[:30], bytes(64)]
)
def test_what_leads_out_of_the_file_is_a_failure(tmp_path: Path, content: bytes) -> None:
    assert read(write(tmp_path, content)).failure


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mutated_file_never_raises(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(model("FlexErf", "Acme"))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    read(write(tmp_path, bytes(content)))
