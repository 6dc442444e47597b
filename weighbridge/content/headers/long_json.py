"""A long JSON text without what makes it long: the vocabulary, the merges and the numbers of a tokenizer.

Parsed, a tokenizer of 33 MB takes ten times that in memory. Its text is walked from front to back instead, and of a
long run of equal plain things only the beginning is kept: numbers, short texts and pairs of them in an array, keys with
a number in an object. None of them can make a reader act: keys that can are kept, and so is whatever is longer or
another value. Not here: parsing what is left (document), or what it means (config).
"""

from __future__ import annotations

import json
import mmap
import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from weighbridge.content.loading.loader_keys import KEYS

#: Things of a run that are kept.
_KEPT = 1000
#: Things that are left out at once.
_BLOCK = 4096
# A possessive repeat is of one set of bytes only: of a group, Python before 3.11.5 matches too little.
#: Bytes after which what was walked through is given back to the system.
_GIVEN_BACK = 4 * 1024 * 1024
_ESCAPE = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_WIDE = rb"[\xc2-\xf4][\x80-\xbf]{1,3}"
_LETTER = rb'(?:[^"\\\x00-\x1f\x80-\xff]|' + _WIDE + rb"|" + _ESCAPE + rb")"
_PLAIN = rb'(?:[^" \\\x00-\x1f\x80-\xff]|' + _WIDE + rb'|\\["\\/])'
_TEXT = rb'"(?:[^"\\\x00-\x1f\x80-\xff]++|' + _WIDE + rb"|" + _ESCAPE + rb'){0,64}"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
#: Texts that are not searched for a pickle (`loading.inspection`): short, or two short words.
_WORD = rb'"(?:' + _LETTER + rb"{0,15}|" + _PLAIN + rb"{1,40} " + _PLAIN + rb'{1,22})"'
_SCALAR = rb"(?:" + _WORD + rb"|" + _NUMBER + rb")"
_PAIR = rb"\[\s*+" + _SCALAR + rb"\s*+,\s*+" + _SCALAR + rb"\s*+\]"
_ENTRY = _TEXT + rb"\s*+:\s*+" + _NUMBER
_ENTRY_KEY = re.compile(rb"(" + _TEXT + rb")\s*+:\s*+" + _NUMBER)
_TOKEN = re.compile(rb'[\s,\]{}:]++|\[|"|[^\s,\[\]{}:"]++')
#: A part of what is between quotation marks; in parts, as each repeat of a group takes memory.
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.){1,4096}', re.DOTALL)
_LOADER_KEYS = frozenset(json.dumps(name).encode() for name in KEYS)


class _Run:
    """Things of one kind, each with the comma behind it: the beginning of a run, and blocks of the rest."""

    def __init__(self, thing: bytes, first: bytes, after: bytes) -> None:
        self.first, self.after = first, after
        repeated = rb"(?:" + thing + rb"\s*+,\s*+){1,%d}"
        self.head, self.block = re.compile(repeated % _KEPT), re.compile(repeated % _BLOCK)


_ENTRIES = _Run(_ENTRY, b'"', b"{,")
_RUNS = (_ENTRIES, _Run(_WORD, b'"', b"[,"), _Run(_PAIR, b"[", b"[,"), _Run(_NUMBER, b"-0123456789", b"[,"))


@dataclass
class Condensed:
    """What is left of a text.

    Attributes:
        text: it, as valid as the whole was.
        repeated: whether an object had a key twice of which one was left out.
    """

    text: bytearray = field(default_factory=bytearray)
    repeated: bool = False


def condensed(path: Path) -> Condensed:
    """Return a file's JSON without the middle of its long runs; invalid JSON is returned unchanged."""
    kept = Condensed()
    if path.stat().st_size:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            _Walk(text, kept).run()
    return kept


class _Walk:
    """The walk through one text, token by token; a run is one step."""

    def __init__(self, text: mmap.mmap, kept: Condensed) -> None:
        self._text, self._kept = text, kept
        #: The keys of the entries in runs, hashed, of each object that is open.
        self._open: list[array[int]] = [array("q")]

    def run(self) -> None:
        position, size, given_back, before = 0, len(self._text), 0, b"["
        while position < size:
            end = self._skip_run(position, before)
            if end == position:
                found = _TOKEN.match(self._text, position)
                assert found is not None
                end = self._text_end(found.end()) if found.group() == b'"' else found.end()
                token = self._text[position:end]
                self._kept.text += token
                self._nest(token)
                before = token.rstrip()[-1:] or before
            else:
                before = b","
            position = end
            if position - given_back > _GIVEN_BACK and hasattr(self._text, "madvise"):
                given_back = position
                self._text.madvise(mmap.MADV_DONTNEED, 0, position // mmap.PAGESIZE * mmap.PAGESIZE)
        while self._open:
            self._close()

    def _text_end(self, position: int) -> int:
        """Return where the text ends whose inside begins here: behind its quotation mark, or with the whole."""
        while inside := _INSIDE.match(self._text, position):
            position = inside.end()
        return min(position + 1, len(self._text))

    def _skip_run(self, position: int, before: bytes) -> int:
        """Keep the beginning of the run that begins here, and return where it ends; the position where none does."""
        first = self._text[position : position + 1]
        for run in _RUNS:
            if first not in run.first or before not in run.after:
                continue
            if head := run.head.match(self._text, position):
                self._take(run, head.group(), keep=True)
                end = head.end()
                while block := run.block.match(self._text, end):
                    self._take(run, block.group(), keep=False)
                    end = block.end()
                return end
        return position

    def _take(self, run: _Run, part: bytes, *, keep: bool) -> None:
        keys = _ENTRY_KEY.findall(part) if run is _ENTRIES else []
        keys = [json.dumps(json.loads(key)).encode() if b"\\" in key else key for key in keys]
        if keep or not _LOADER_KEYS.isdisjoint(keys):
            self._kept.text += part
        self._open[-1].extend(map(hash, keys))

    def _nest(self, token: bytes) -> None:
        if token[:1] == b'"':
            return
        for letter in token:
            if letter == 0x7B:  # {
                self._open.append(array("q"))
            elif letter == 0x7D and len(self._open) > 1:  # }
                self._close()

    def _close(self) -> None:
        hashes = self._open.pop()
        if len(hashes) > _KEPT:
            ordered = numpy.frombuffer(hashes, dtype="q").copy()
            ordered.sort()
            self._kept.repeated |= bool((ordered[1:] == ordered[:-1]).any())
