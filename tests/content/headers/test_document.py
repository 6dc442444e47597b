from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import rules, write
from weighbridge.content.headers.document import parse_json, parse_yaml, read_ini, read_json, read_toml, read_yaml
from weighbridge.domain.report import Finding


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


def levels(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.rule, finding.level) for finding in findings]


@pytest.mark.parametrize("content", [b'{"a": 1, }', b"{'a': 1}", b'{"a": 1}\nrest', b"\xff", b"", b"<html></html>"])
def test_a_broken_json_that_no_loader_opens_is_a_warning(content: bytes) -> None:
    assert levels(parse_json(content, opened=False).findings) == [("config.invalid", "warning")]
    assert levels(parse_json(content).findings) == [("config.invalid", "error")]


@pytest.mark.parametrize(
    "content",
    [
        b'{"auto_map": {"a": "b.C"}, }',
        b'{"a": 1, "auto\\u005fmap": {"a": "b.C"}, }',
        b"// JSON5\n{'_target_': 'os.system'}",
        b'{"a": 1, "a\0"',
    ],
)
def test_a_broken_text_that_could_make_a_laxer_reader_act_is_an_error(content: bytes) -> None:
    level = "warning" if b"\0" in content else "error"
    assert levels(parse_json(content, opened=False).findings) == [("config.invalid", level)]


def test_json_lines_are_read_where_no_loader_opens_the_file() -> None:
    content = b'{"prompt": "a"}\n\n{"prompt": "b", "_target_": "os.system"}\n'
    found = parse_json(content, opened=False)
    assert (found.findings, len(found.value)) == ((), 2)
    assert found.value[1]["_target_"] == "os.system"
    assert levels(parse_json(content).findings) == [("config.invalid", "error")]
    assert levels(parse_json(b'{"a": 1}\nnot JSON\n', opened=False).findings) == [("config.invalid", "warning")]


def test_what_a_repeated_key_overwrites_is_kept() -> None:
    found = parse_json(b'{"a": 1, "b": {"a": 2}, "a": 3}', opened=False)
    assert (found.value, found.more) == ({"a": 3, "b": {"a": 2}}, ({"a": 1},))
    assert levels(found.findings) == [("config.duplicate-key", "warning")]
    read = parse_yaml(b"a: [1]\nb: {a: 2}\na: 3\n")
    assert (read.value, read.more) == ({"a": 3, "b": {"a": 2}}, ({"a": [1]},))
    assert levels(read.findings) == [("config.duplicate-key", "warning")]


def test_every_document_of_a_yaml_stream_is_read() -> None:
    found = parse_yaml(b"a: 1\n---\nb: 2\n...\n---\n- c\n")
    assert (found.value, found.more, found.findings) == ({"a": 1}, ({"b": 2}, ["c"]), ())
    assert levels(parse_yaml(b"---\n1\n" * 1001).findings) == [("config.invalid", "warning")]


@pytest.mark.parametrize("content", [b"{% if x %}\na: 1\n{% endif %}\n", b"a: [", b"a: 2023-99-99"])
def test_a_broken_yaml_is_a_warning_unless_it_has_a_loaders_key(content: bytes) -> None:
    assert levels(parse_yaml(content).findings) == [("config.invalid", "warning")]
    assert levels(parse_yaml(content + b"\n# _target_: os.system\n").findings) == [("config.invalid", "error")]


def test_merged_mappings_are_followed() -> None:
    found = parse_yaml(b"a: &a {b: 1}\nc: {<<: *a, b: 2}\n")
    assert (found.value["c"], found.findings) == ({"b": 2}, ())


def test_ini_is_read_by_section_with_json_values(tmp_path: Path) -> None:
    found = read_ini(write(tmp_path, b'[nlp]\nlang = "en"\npipeline = ["a"]\n[x.y]\n@z = some.name.v1\n'))
    assert found.value == {
        ".": {},
        "nlp": {"lang": "en", "pipeline": ["a"]},
        "x.y": {"@z": "some.name.v1"},
    }
    assert read_ini(write(tmp_path, b"option.x = true\n")).value == {".": {"option.x": True}}
    assert levels(read_ini(write(tmp_path, b"[a\n  b {\n")).findings) == [("config.invalid", "note")]
    assert levels(read_ini(write(tmp_path, b"[a\n_target_=x\n")).findings) == [("config.invalid", "error")]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="[]=:;# \t\nab%$\r", max_size=60))
def test_any_ini_never_raises(tmp_path: Path, text: str) -> None:
    read_ini(write(tmp_path, text.encode()))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_texts_are_read_in_the_encodings_that_their_readers_know(encoding: str) -> None:
    assert parse_json('{"a": "\u0451"}'.encode(encoding)).value == {"a": "\u0451"}
    assert parse_yaml("abc: [\u0451]".encode(encoding)).value == {"abc": ["\u0451"]}
