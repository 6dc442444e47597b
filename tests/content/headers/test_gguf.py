import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import gguf, llama, pair, rules, tensor, text, write
from tests.services.models import smollm2  # noqa: F401 (fixture)
from weighbridge.content.headers.gguf import GgufHeader, file_type, read, walk

F32, F16, Q4_0 = 0, 1, 2
OK = gguf(llama(), [tensor("token_embd.weight", (64, 300), F32, 0)], bytes(64 * 300 * 4))
HUGE = 2**40


def look(content: bytes) -> GgufHeader:
    return walk(io.BytesIO(content), len(content))


def test_a_valid_file_says_metadata_lengths_and_weights() -> None:
    header = look(OK)
    assert header.findings == ()
    assert header.valid
    assert header.metadata["general.architecture"] == "llama"
    assert header.lengths["tokenizer.ggml.tokens"] == 300
    assert "tokenizer.ggml.tokens" not in header.metadata
    assert header.parameters == {"F32": 64 * 300}
    assert header.embedding_rows == 300
    assert header.data_size == 64 * 300 * 4


def test_a_big_endian_file_is_read() -> None:
    pairs = [pair("general.architecture", "llama", ">")]
    header = look(gguf(pairs, [tensor("a", (4,), F16, 0, ">")], bytes(8), order=">"))
    assert header.findings == ()
    assert header.parameters == {"F16": 4}


def test_blocks_of_quantized_types_are_measured() -> None:
    assert look(gguf([], [tensor("a", (32, 2), Q4_0, 0)], bytes(36))).parameters == {"Q4_0": 64}
    assert rules(look(gguf([], [tensor("a", (31, 2), Q4_0, 0)], bytes(36))).findings) == ["gguf.shape"]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "gguf.truncated"),
        (b"GGML" + bytes(40), "gguf.magic"),
        (gguf(version=1), "gguf.version"),
        (gguf(version=99), "gguf.version"),
        (gguf(keys=HUGE), "gguf.count"),
        (gguf(count=HUGE), "gguf.count"),
        (gguf(keys=1) + bytes(12), "gguf.count"),
        (gguf([text("a") + struct.pack("<IIQ", 9, 0, HUGE)]), "gguf.count"),
        (gguf([text("a") + struct.pack("<IIQ", 9, 8, HUGE)]), "gguf.count"),
        (gguf([text("a") + struct.pack("<IIQ", 9, 8, 2) + text("x") + struct.pack("<Q", HUGE)]), "gguf.string"),
        (gguf([text("a") + struct.pack("<IIQ", 9, 9, 0)]), "gguf.value-type"),
        (gguf([text("a") + struct.pack("<II", 13, 0)]), "gguf.value-type"),
        (gguf([text("a") + struct.pack("<IBI", 7, 2, 0)]), "gguf.value-type"),
        (gguf([struct.pack("<Q", HUGE) + bytes(16)]), "gguf.string"),
        (gguf([text("a") + struct.pack("<IQ", 8, HUGE)]), "gguf.string"),
        (gguf([pair("a", 1), pair("a", 2)]), "gguf.duplicate-key"),
        (gguf([pair("general.alignment", 33)], [tensor("a", (1,), F32, 0)], bytes(4)), "gguf.alignment"),
        (gguf([pair("general.alignment", 0)], [tensor("a", (1,), F32, 0)], bytes(4)), "gguf.alignment"),
        (gguf([pair("general.alignment", True)]), "gguf.alignment"),
        (gguf([text("general.alignment") + struct.pack("<Ii", 5, 32)]), "gguf.alignment"),
        (gguf([text("general.alignment") + struct.pack("<IQ", 10, 32)]), "gguf.alignment"),
        (gguf([pair("general.alignment", "x")], [tensor("a", (1,), F32, 0)], bytes(4)), "gguf.alignment"),
        (gguf([], [tensor("a", (1,), F32, 0), tensor("a", (1,), F32, 32)], bytes(36)), "gguf.duplicate-tensor"),
        (gguf([], [tensor("a", (8,), F32, 0), tensor("b", (8,), F32, 0)], bytes(32)), "gguf.overlap"),
        (gguf([], [tensor("a", (8,), F32, 0), tensor("b", (8,), F32, 128)], bytes(160)), "gguf.gap"),
        (gguf([], [tensor("a", (8,), F32, 7)], bytes(64)), "gguf.alignment"),
        (gguf([], [tensor("a", (8,), F32, 0)], bytes(31)), "gguf.offset"),
        (gguf([], [tensor("a", (8,), F32, 2**63)], bytes(32)), "gguf.offset"),
        (gguf([], [tensor("a", (8,), 99, 0)], bytes(32)), "gguf.type"),
        (gguf([], [tensor("a", (0,), F32, 0)], bytes(32)), "gguf.shape"),
        (gguf([], [tensor("a", (2**63,), F32, 0)], bytes(32)), "gguf.shape"),
        (gguf([], [tensor("a", (2**32, 2**32), F32, 0)], bytes(32)), "gguf.shape"),
        (gguf([], [tensor("a", (1,) * 5, F32, 0)], bytes(32)), "gguf.shape"),
        (OK[:1000], "gguf.count"),
        (OK[:3500], "gguf.string"),
        (OK[:40], "gguf.count"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_defect_is_an_error_of_its_own(content: bytes, rule: str) -> None:
    header = look(content)
    assert (rule, "error") in [(finding.rule, finding.level) for finding in header.findings]
    assert not header.valid
    assert header.parameters == {}
    assert header.header_size <= len(content)


def test_bytes_after_the_last_tensor_are_a_warning() -> None:
    findings = look(OK + bytes(100)).findings
    assert [(finding.rule, finding.level) for finding in findings] == [("gguf.trailing-bytes", "warning")]


def test_names_that_are_no_text_are_kept_readable() -> None:
    header = look(gguf([text("a") + struct.pack("<I", 8) + text(b"\xff\xfe")]))
    assert rules(header.findings) == ["gguf.text"]
    assert header.metadata["a"] == "\ufffd\ufffd"


def test_numbers_that_are_none_are_left_out() -> None:
    assert look(gguf([pair("a", float("nan")), pair("b", [1.0, float("inf")])])).metadata == {"b": [1.0]}


@pytest.mark.parametrize("field", ["keys", "count"])
def test_43_bytes_that_declare_2_to_the_40_elements_are_answered(tmp_path: Path, field: str) -> None:
    content = (gguf(**{field: HUGE}) + bytes(43))[:43]  # type: ignore[arg-type]
    header = read(write(tmp_path, content))
    assert header.failure == ""
    assert rules(header.findings) == ["gguf.count"]


def test_the_child_answers_what_the_walk_says(tmp_path: Path) -> None:
    assert read(write(tmp_path, OK)) == look(OK)


def test_file_types_have_the_words_that_people_use() -> None:
    assert [file_type(number) for number in (0, 1, 3, 15, 1024, 4, 9999, "x", None)] == (
        ["F32", "F16", "Q4_1", "Q4_K_M", "", "", "", "", ""]
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_mutated_file_never_raises_and_never_reads_past_its_end(data: st.DataObject) -> None:
    small = gguf(llama(**{"tokenizer.ggml.tokens": ["a", "b"]}), [tensor("a", (4, 2), F32, 0)], bytes(32))
    content = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 8))] = data.draw(
            st.binary(max_size=8) | st.integers(0, 2**64 - 1).map(lambda number: struct.pack("<Q", number))
        )
    header = look(bytes(content))
    assert header.header_size <= len(content)
    assert len(header.findings) <= 60


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_after_the_magic_never_raise(content: bytes) -> None:
    look(b"GGUF\3\0\0\0" + content)


def test_a_real_model(smollm2: dict[str, Path]) -> None:  # noqa: F811 (fixture)
    (path,) = [path for name, path in smollm2.items() if name.endswith(".gguf")]
    header = read(path)
    assert header.findings == ()
    assert sum(header.parameters.values()) == 134_515_008
    assert header.metadata["llama.context_length"] == 8192
    assert header.header_size + header.data_size == path.stat().st_size
