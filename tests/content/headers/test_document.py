from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import rules, write
from weighbridge.content.headers.document import parse_json, parse_yaml, read_json, read_toml, read_yaml


def test_plain_documents_are_read(tmp_path: Path) -> None:
    assert read_json(write(tmp_path, b'\xef\xbb\xbf{"a": [1]}')).value == {"a": [1]}
    assert read_yaml(write(tmp_path, b"a: &x [1]\nb: *x\n")).value == {"a": [1], "b": [1]}
    assert read_toml(write(tmp_path, b"[a]\nb = 1\n")).value == {"a": {"b": 1}}


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 150 + b"1" + b"}" * 150]
)
def test_deep_json_is_refused(content: bytes) -> None:
    assert rules(parse_json(content).findings) == ["config.invalid"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"{} {}", b"1" * 10_000, b"'a'", b"\0"])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    found = parse_json(content)
    assert rules(found.findings) == ["config.invalid"]
    assert found.value is None


def test_repeated_keys_are_an_error_and_nan_a_warning() -> None:
    found = parse_json(b'{"a": {"b": 1, "b": 2}, "c": NaN, "d": -Infinity}')
    assert [(finding.rule, finding.level) for finding in found.findings] == [
        ("config.duplicate-key", "error"),
        ("config.not-json", "warning"),
        ("config.not-json", "warning"),
    ]


def test_a_document_above_the_limit_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"a": 1}')
    assert read_json(path, max_size=4).too_large
    assert not read_json(path, max_size=8).too_large


LAUGHS = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"a%d: &a%d [%b]\n" % (level, level, b",".join([b"*a%d" % (level - 1)] * 10)) for level in range(1, 10)
)


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"{a: " * 100_000, b"- " * 10_000, LAUGHS, b"a: &a [*a]", b"a: *nothing", b"a: [", b"\xff", b"\0"],
    ids=["flow", "map", "block", "laughs", "circle", "nothing", "open", "latin", "nul"],
)
def test_yaml_bombs_are_refused(content: bytes) -> None:
    found = parse_yaml(content)
    assert rules(found.findings) == ["config.invalid"]
    assert found.value is None


def test_yaml_that_makes_objects_is_read_as_plain_data() -> None:
    found = parse_yaml(b"a: !!python/object/apply:os.system ['true']")
    assert (rules(found.findings), found.value) == (["config.unsafe-tag"], {"a": ["true"]})
    found = parse_yaml(b"a: !new:torch.nn.Linear {b: 1}")
    assert (rules(found.findings), found.value) == (["config.known-class"], {"a": {"b": 1}})


@pytest.mark.parametrize(
    "content",
    [
        b"a: 2023-99-99",
        b"? [a]\n: 1",
        b"a: " + b"1" * 5000,
        b"a: 0b_",
        b"a: !!timestamp x",
        b"a: !!int ''",
        b"!!set [a]",
        b"a: 1:99:99:99x",
    ],
)
def test_odd_yaml_values_do_not_raise(content: bytes) -> None:
    parse_yaml(content)


@pytest.mark.parametrize("content", [b"a = [" * 5000, b"a", b"\xff", b"a = 1\na = 2"])
def test_bad_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    assert rules(read_toml(write(tmp_path, content)).findings) == ["config.invalid"]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet="[]{}:,&*!|>-?'\"# \na1", max_size=60).map(str.encode))
def test_any_text_never_raises(content: bytes) -> None:
    parse_json(content)
    parse_yaml(content)
