"""Pickles assembled by hand, as frameworks write them and as attackers would: opcodes of protocol 2."""

from __future__ import annotations

import struct


def named(module: str, name: str) -> bytes:
    """Return a global."""
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    """Return a text."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    """Return a number."""
    return b"J" + struct.pack("<i", value)


def several(*parts: bytes) -> bytes:
    """Return a tuple."""
    return b"(" + b"".join(parts) + b"t"


def pairs(**values: bytes) -> bytes:
    """Return a dictionary."""
    return b"}(" + b"".join(text(key) + value for key, value in values.items()) + b"u"


def called(module: str, name: str, *arguments: bytes) -> bytes:
    """Return a call of a global."""
    return named(module, name) + several(*arguments) + b"R"


def rebuilt(module: str, name: str, **state: bytes) -> bytes:
    """Return an instance that is made without its constructor and filled."""
    return named(module, name) + b")\x81" + pairs(**state) + b"b"


def whole(*parts: bytes) -> bytes:
    """Return a pickle of the last part."""
    return b"\x80\x02" + b"".join(parts) + b"."
