"""Cursors come back as they were given out; anything else is the caller's mistake."""

import base64

import pytest

from weighbridge.web.api.cursors import cursor_of, key_of


def test_a_cursor_holds_its_key() -> None:
    assert key_of(cursor_of(["org/näme", 2**62])) == ["org/näme", 2**62]
    assert key_of("") is None


@pytest.mark.parametrize(
    "content", [b"[" * 3000, b'[{"a":' * 400, b"{}", b"[1.5]", b"[null]", b"[%d]" % 2**64, b"\xff"]
)
def test_what_was_never_given_out_is_no_cursor(content: bytes) -> None:
    with pytest.raises(ValueError, match="take `next` of the part before"):
        key_of(base64.urlsafe_b64encode(content).decode().rstrip("="))
