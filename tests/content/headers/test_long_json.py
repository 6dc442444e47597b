import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import write
from weighbridge.content.headers.config import inspect_file, inspect_other_file
from weighbridge.content.headers.long_json import condensed

WORDS = [f"▁w😀{number}" if number % 3 else f'a"b\\{number}' for number in range(5000)]
RUNS: dict[str, Any] = {
    "vocab": {word: number for number, word in enumerate(WORDS)},
    "merges": [f"{word} b" for word in WORDS],
    "pairs": [[word, "b"] for word in WORDS],
    "scores": [[word, -number / 7] for number, word in enumerate(WORDS)],
    "numbers": list(range(5000)),
}


@pytest.mark.parametrize(
    "style",
    [{}, {"indent": 2}, {"ensure_ascii": False}, {"separators": (",", ":")}],
    ids=["", "wide", "utf-8", "narrow"],
)
def test_of_long_runs_the_beginning_and_the_end_are_left(tmp_path: Path, style: dict[str, Any]) -> None:
    whole = {"first": 1, "model": RUNS, "last": {"auto_map": "a.B"}}
    kept = condensed(write(tmp_path, json.dumps(whole, **style).encode()))
    found = json.loads(bytes(kept.text))
    assert not kept.repeated
    assert found | {"model": None} == whole | {"model": None}
    assert {name: len(run) for name, run in found["model"].items()} == dict.fromkeys(RUNS, 1001)
    assert found["model"]["merges"][-1] == RUNS["merges"][-1]


@pytest.mark.parametrize(
    "inside",
    [
        {"auto_map": "modeling.Mine"},
        {"_target_": "os.system"},
        {"x": [{"auto_map": {"AutoModel": "modeling.Mine"}}]},
        {"chat_template": "{{ x.__class__ }}"},
    ],
    ids=lambda inside: next(iter(inside)),
)
def test_what_makes_a_reader_act_is_found_in_the_middle_of_a_run(tmp_path: Path, inside: dict[str, Any]) -> None:
    numbers = {f"word{number}": number for number in range(3000)}
    for value in ({**numbers, **inside, **{f"more{n}": n for n in range(3000)}}, [*range(3000), inside, *range(3000)]):
        findings = inspect_file(write(tmp_path, json.dumps(value).encode()))["findings"]
        assert any(finding["level"] == "error" for finding in findings)


def test_a_key_that_is_there_twice_is_found(tmp_path: Path) -> None:
    text = json.dumps({"a": {f"w{n}": n for n in range(5000)}, "b": {f"w{n}": n for n in range(5000)}})
    assert inspect_file(write(tmp_path, text.encode()))["findings"] == []
    text = text.replace('"w4000": 4000', '"\\u0077300": 1', 1)
    for inspect, level in ((inspect_file, "error"), (inspect_other_file, "warning")):
        findings = inspect(write(tmp_path, text.encode()))["findings"]
        assert [(finding["rule"], finding["level"]) for finding in findings] == [("config.duplicate-key", level)]


@pytest.mark.parametrize("content", [b'{"a": 1,,}', b"", b'{"a', b"\xff\xff", b'{"a": "\x01"}', b'["a":1,' * 2000])
def test_what_is_no_json_stays_none(tmp_path: Path, content: bytes) -> None:
    assert [found["rule"] for found in inspect_file(write(tmp_path, content))["findings"]] == ["config.invalid"]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_VALUES, st.booleans())
def test_a_short_text_stays_as_it_is(tmp_path: Path, value: Any, escaped: bool) -> None:
    content = json.dumps(value, ensure_ascii=escaped).encode(errors="surrogatepass")
    assert condensed(write(tmp_path, content)).text == content
