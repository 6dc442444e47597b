"""Pickles within the values of other formats: raw, as base64 or as hexadecimal digits, compressed or not.

JSON, YAML, HDF5's attributes, Arrow's and parquet's metadata and MessagePack's extensions carry them, and their readers
unpickle them (PyTables, pandas, pyarrow, stable-baselines3). Readers of such formats hand each value to `inspect`.
Not here: pickles that are files or members of archives (streams), and the judgement of their globals (judgement).
"""

from __future__ import annotations

import base64
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from weighbridge.content.findings import quoted
from weighbridge.content.pickles import machine
from weighbridge.content.pickles.judgement import judge
from weighbridge.content.pickles.machine import Walked
from weighbridge.content.pickles.opcodes import TABLE
from weighbridge.content.pickles.recognition import MARK, is_pickle
from weighbridge.content.pickles.symbols import Import
from weighbridge.domain.report import Finding, Level

#: The most characters of a searched value, and the most bytes of a decompressed one.
MAX_LENGTH = 64 * 1024 * 1024
_MAX_INFLATED = 16 * 1024 * 1024
#: Opcodes that a walk over one value may read.
_MAX_OPCODES = 1_000_000
#: The shortest pickle that imports has a module, a name and STOP.
_MIN_LENGTH = 6
_DATA_URI = re.compile(r"data:[\w.+/;=-]{0,200},", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}", re.ASCII)
_HEXADECIMAL = re.compile(r"([0-9a-fA-F]{2})+", re.ASCII)
#: Beginnings of zlib and gzip streams.
_DEFLATED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
#: STACK_GLOBAL and the extension codes: what a pickle that imports has, unless it has the two lines of a GLOBAL.
_IMPORTS = re.compile(rb"[\x93\x82\x83\x84]")
#: Opcodes that can be the first one, as they take nothing from the stack, and compressed streams.
_FIRST = frozenset(code[0] for code, row in TABLE.items() if not row.pops and not row.to_mark) | {0x78, 0x1F}


@dataclass(frozen=True)
class Embedded:
    """A pickle that a value holds.

    Attributes:
        written: its encoding, such as `base64`; `bytes` for none.
        imports: the globals that it would import.
        harmless: whether all of them are on the list, and used as it allows.
    """

    written: str
    imports: tuple[Import, ...]
    harmless: bool


def inspect(value: bytes | str, location: str = "") -> tuple[Finding, ...]:
    """Return a finding for each pickle that a value holds: an error unless all that it imports is harmless.

    Args:
        value: a value of another format; a text is also searched after decoding.
        location: where the value is, such as its key.
    """
    return tuple(_finding(found, location) for found in embedded_pickles(value))


def embedded_pickles(value: bytes | str) -> tuple[Embedded, ...]:
    """Return the pickles that a value holds: those that import something, from the value's first byte."""
    if not _MIN_LENGTH <= len(value) <= MAX_LENGTH:
        return ()
    found: dict[tuple[Import, ...], Embedded] = {}
    for written, content in _readings(value):
        if walked := _walked(content):
            imports = tuple(walked.imports)
            # Pickles inside such a pickle are not searched.
            harmless = judge(walked).harmless and not walked.files
            found.setdefault(imports, Embedded(written, imports, harmless))
    return tuple(found.values())


def _finding(found: Embedded, location: str) -> Finding:
    level: Level = "note" if found.harmless else "error"
    named = ", ".join(sorted(map(str, found.imports))[:8])
    text = f"A value is a pickle ({found.written}), which its readers may load; it imports {quoted(named)}."
    return Finding("pickle.embedded", level, text, location)


def _readings(value: bytes | str) -> Iterator[tuple[str, bytes]]:
    """Yield what a value may mean, with the way it is written."""
    if isinstance(value, str):
        raw = _latin(value)
        text = value
    else:
        raw = value
        text = value.decode("latin-1") if value[:64].isascii() else ""
    for written, content in (("bytes", raw), *_decoded(text)):
        yield written, content
        if _DEFLATED.match(content):
            yield f"compressed {written}", _inflated(content)


def _latin(text: str) -> bytes:
    """Return a text as bytes, one for each letter where it can be so, as JSON holds bytes now and then."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _decoded(text: str) -> Iterator[tuple[str, bytes]]:
    """Yield what a text encodes."""
    text = text.strip().strip("\0")
    if prefix := _DATA_URI.match(text):
        text = text[prefix.end() :]
    if any(space in text[:200] for space in " \r\n\t"):
        text = "".join(text.split())
    if len(text) >= 2 * _MIN_LENGTH and _HEXADECIMAL.fullmatch(text):
        yield "hexadecimal", bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        padded = text.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
        if len(padded) % 4 != 1 and base64.b64decode(padded[:4])[0] in _FIRST:
            yield "base64", base64.b64decode(padded + "=" * (-len(padded) % 4))


def _inflated(content: bytes) -> bytes:
    """Return what a compressed value holds, as far as it can be read and up to a limit."""
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(content, _MAX_INFLATED)
    except zlib.error:
        return b""


def _walked(content: bytes) -> Walked | None:
    """Return a walk over bytes if they are a pickle that imports something."""
    if len(content) < _MIN_LENGTH or content[0] not in _FIRST:
        return None
    if not (content.count(b"\n") > 1 or _IMPORTS.search(content)):
        return None
    walked = machine.walk(io.BytesIO(content), len(content), budget=machine.Budget(_MAX_OPCODES))
    marked = MARK.match(content) is not None
    ends = not content[walked.end :].strip(b"\0\n ")
    counts = walked.imports and is_pickle(walked, marked=marked, opened=False, ends=ends)
    return walked if counts else None
