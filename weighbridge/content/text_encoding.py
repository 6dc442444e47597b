"""The encoding of a text, from its first bytes, as readers of JSON, YAML and XML detect it.

UTF-8 is the rule. UTF-16 and UTF-32 hold a zero in every letter of ASCII, so that who knows UTF-8 only sees no text in
what those readers take. Not here: what the text says.
"""

from __future__ import annotations

import json

#: Bytes that may be missing from a cut text's last letter.
_CUT = 3


def decode(content: bytes, errors: str = "strict") -> str:
    """Return a text without its byte order mark.

    Raises:
        UnicodeDecodeError: it is invalid in that encoding, and `errors` is `strict`.
    """
    return content.decode(json.detect_encoding(content), errors).removeprefix("\ufeff")


def is_text(head: bytes, *, cut: bool) -> bool:
    """Return whether bytes are a text; with `cut` they may end within a character."""
    encoding = json.detect_encoding(head)
    if not encoding.startswith("utf-8"):
        return _is_wide_text(head, encoding, cut=cut)
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return cut and error.start >= len(head) - _CUT
    return True


def _is_wide_text(head: bytes, encoding: str, *, cut: bool) -> bool:
    """Return whether characters of two or four bytes are a text: numbers of that width are unusual characters."""
    whole = len(head) - (len(head) % 4 if cut else 0)
    try:
        text = head[:whole].decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if not (cut and error.start >= whole - _CUT):
            return False
        text = head[: error.start].decode(encoding).removeprefix("\ufeff")
    return bool(text) and all(letter.isprintable() or letter.isspace() for letter in text)
