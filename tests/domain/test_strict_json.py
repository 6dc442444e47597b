"""JSON that has one meaning only."""

from __future__ import annotations

import pytest

from weighbridge.domain.strict_json import AmbiguousJson, parse


def test_ordinary_json_is_read() -> None:
    assert parse(b' {"a": [1, 2.5, null, true, "\xc3\xa4"], "b": {"a": {}}} ') == {
        "a": [1, 2.5, None, True, "ä"],
        "b": {"a": {}},
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1, "a": 1}', "the same name twice"),
        (b'{"b": [{"a": 1, "\\u0061": 2}]}', "the same name twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -Infinity}', "not a number"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b'{"a": 1} {"a": 2}', "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"", "not JSON"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 1_000_000, "nested too deeply"),
        (b"[" + b"9" * 100_000 + b"]", "too many digits"),
    ],
)
def test_what_has_two_meanings_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(AmbiguousJson, match=words):
        parse(content)
