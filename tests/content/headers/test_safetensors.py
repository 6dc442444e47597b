import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from tests.content.headers.samples import TWO, rules, safetensors, weights, write
from weighbridge.content.headers.safetensors import BITS, MAX_HEADER_SIZE, read

OK = safetensors({"a": TWO}, bytes(8))


def test_a_valid_file_says_types_shapes_and_metadata(tmp_path: Path) -> None:
    import numpy

    content = save({"a": numpy.zeros((3, 4), "float16"), "b": numpy.zeros(5, "float32")}, {"format": "pt"})
    header = read(write(tmp_path, content))
    assert header.findings == ()
    assert header.parameters == {"F16": 12, "F32": 5}
    assert header.metadata == {"format": "pt"}
    assert header.header_size + header.data_size == len(content)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "safetensors.header-length"),
        (b"abc", "safetensors.header-length"),
        (safetensors({}, length=1000), "safetensors.header-length"),
        (safetensors({}, length=2**63), "safetensors.header-length"),
        (safetensors(b"[]"), "safetensors.json"),
        (safetensors(b"\xff\xff"), "safetensors.json"),
        (safetensors(b'{"a":NaN}'), "safetensors.json"),
        (safetensors(b'{"__metadata__":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "safetensors.json"),
        (safetensors(b'{"a":' + b"1" * 10_000 + b"}"), "safetensors.json"),
        (safetensors({"a": TWO, "b": TWO | {"data_offsets": [4, 12]}}, bytes(12)), "safetensors.overlap"),
        (safetensors({"a": TWO, "b": TWO | {"data_offsets": [12, 20]}}, bytes(20)), "safetensors.gap"),
        (safetensors({"a": TWO}, bytes(9)), "safetensors.trailing-bytes"),
        (safetensors({"a": TWO}, bytes(7)), "safetensors.offsets"),
        (safetensors({"a": TWO | {"data_offsets": [8, 0]}}, bytes(8)), "safetensors.offsets"),
        (safetensors({"a": TWO | {"data_offsets": [0]}}, bytes(8)), "safetensors.offsets"),
        (safetensors({"a": TWO | {"data_offsets": [-8, 0]}}, bytes(8)), "safetensors.offsets"),
        (safetensors({"a": TWO | {"shape": [-2]}}, bytes(8)), "safetensors.shape"),
        (safetensors({"a": TWO | {"shape": [-2, -1]}}, bytes(8)), "safetensors.shape"),
        (safetensors({"a": TWO | {"shape": [2.0]}}, bytes(8)), "safetensors.shape"),
        (safetensors({"a": TWO | {"shape": [True, 2]}}, bytes(8)), "safetensors.shape"),
        (safetensors({"a": TWO | {"shape": [1] * 65}}, bytes(8)), "safetensors.shape"),
        (safetensors({"a": TWO | {"shape": [3]}}, bytes(8)), "safetensors.size"),
        (safetensors({"a": TWO | {"shape": [2**40, 2**40]}}, bytes(8)), "safetensors.size"),
        (safetensors({"a": TWO | {"dtype": "F4", "shape": [3]}}, bytes(8)), "safetensors.size"),
        (safetensors({"a": TWO | {"dtype": "X9"}}, bytes(8)), "safetensors.dtype"),
        (safetensors({"a": TWO | {"dtype": None}}, bytes(8)), "safetensors.dtype"),
        (safetensors({"a": 1}), "safetensors.tensor"),
        (safetensors({"__metadata__": {"a": 1}}), "safetensors.metadata"),
        (safetensors({"__metadata__": "a"}), "safetensors.metadata"),
        (safetensors(b'{"a":%b,"a":%b}' % ((json.dumps(TWO).encode(),) * 2), bytes(8)), "safetensors.duplicate-key"),
        (safetensors(b'{"__metadata__":{"x":"1","x":"2"}}'), "safetensors.duplicate-key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_defect_is_an_error_of_its_own(tmp_path: Path, content: bytes, rule: str) -> None:
    header = read(write(tmp_path, content))
    assert rule in rules(header.findings)
    assert header.findings[0].level == "error"
    assert header.parameters == {}
    assert header.header_size <= len(content)


def test_a_header_longer_than_the_limit_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, struct.pack("<Q", MAX_HEADER_SIZE + 1))
    with open(path, "r+b") as file:
        file.truncate(MAX_HEADER_SIZE + 100)
    header = read(path)
    assert rules(header.findings) == ["safetensors.header-length"]
    assert header.header_size == 8


def test_an_unknown_key_of_a_tensor_is_a_warning(tmp_path: Path) -> None:
    header = read(write(tmp_path, safetensors({"a": TWO | {"code": "x"}}, bytes(8))))
    assert [finding.level for finding in header.findings] == ["warning"]
    assert header.parameters == {"F32": 2}


def test_hostile_names_are_escaped_and_findings_are_bounded(tmp_path: Path) -> None:
    bad = {f"\x1b[31m{number}\u202e": TWO | {"dtype": "X"} for number in range(1000)}
    findings = read(write(tmp_path, safetensors(bad))).findings
    assert len(findings) < 60
    assert all(part.isascii() and part.isprintable() for found in findings for part in (found.message, found.location))
    assert any("950 more" in finding.message for finding in findings)


@pytest.mark.parametrize("dtype", sorted(BITS))
def test_every_type_of_the_table_has_the_width_that_the_library_takes(tmp_path: Path, dtype: str) -> None:
    size = BITS[dtype]
    entry = {"dtype": dtype, "shape": [8], "data_offsets": [0, size]}
    assert read(write(tmp_path, safetensors({"a": entry}, bytes(size)))).findings == ()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mutated_file_never_raises_and_what_is_accepted_adds_up(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(weights({"a": ("F16", 2, (2, 3)), "b": ("F32", 4, (5,))}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    header = read(write(tmp_path, bytes(content)))
    if not any(finding.level == "error" for finding in header.findings):
        assert sum(count * BITS[dtype] for dtype, count in header.parameters.items()) == header.data_size * 8


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["F32", "U8", "x"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets"]), inner)
            ),
            max_leaves=10,
        ),
        max_size=3,
    )
)
def test_any_json_never_raises(tmp_path: Path, header: dict[str, object]) -> None:
    read(write(tmp_path, safetensors(header, bytes(8))))


def test_a_long_header_is_read_in_a_child_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {
        f"layers.{number}.qweight": {"dtype": "I32", "shape": [0], "data_offsets": [0, 0]} for number in range(99)
    }
    path = write(tmp_path, safetensors({"a": TWO, "a.scales": TWO | {"data_offsets": [8, 16]}, **entries}, bytes(16)))
    here = read(path)
    assert (here.parameters, here.packed, here.overhead) == ({"F32": 4, "I32": 0}, {"I32": 0}, {"F32": 2})
    monkeypatch.setattr("weighbridge.content.headers.safetensors._SMALL_HEADER", 10)
    assert read(path) == here


def test_a_header_that_would_take_much_memory_is_a_failure(tmp_path: Path) -> None:
    header = read(write(tmp_path, safetensors(b'{"__metadata__":[' + b"[]," * 2_500_000 + b"[]]}")))
    assert "needs more than" in header.failure
