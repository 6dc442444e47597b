"""Text from a model made harmless, wherever a person reads it: a terminal, a page, a message, a label.

A card, a licence, a file name or a message of a scanner may hold control characters, terminal escapes, characters
that turn the reading direction, and markup. `shown` makes text that is only read; `markdown_text` text that a
renderer of markdown shows as it is. Not here: quoting in findings (content.findings).
"""

from __future__ import annotations

import re
import unicodedata

#: Of Unicode's categories: control, format (bidirectional marks, zero width, tags), surrogate, private use, unassigned,
#: and the separators of lines and paragraphs.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: White space that is a character of text, and becomes one space.
_SPACES = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
#: Characters with a meaning in HTML, which some renderers of markdown let through.
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
#: Characters with a meaning in markdown, at a line's beginning or anywhere.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$@]|:(?=\S)|^[-=]|(?<=www)\.)", re.IGNORECASE)
_ORDERED = re.compile(r"^(\s*\d+)([.)])(?=\s|$)")


def shown(value: object, limit: int = 0) -> str:
    """Return text as one line of visible characters: invisible and terminal control characters become their codes.

    Args:
        value: anything that comes from a model.
        limit: characters after which it is cut, with `…`; 0 for none.
    """
    text = visible(_SPACES.sub(" ", str(value)))
    return text if not limit or len(text) <= limit else text[: limit - 1].rstrip() + "…"


def visible(text: str) -> str:
    """Return text in which invisible and terminal control characters are replaced by their codes; lines stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def markdown_text(value: object, limit: int = 0) -> str:
    """Return text as one line of markdown that shows exactly the characters of `shown`: no link, picture or HTML."""
    escaped = _MARKUP.sub(r"\\\1", shown(value, limit)).translate(_ENTITIES)
    return _ORDERED.sub(r"\1\\\2", escaped)


def _visible(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in _UNSEEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
