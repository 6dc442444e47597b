"""What a line of ClamAV's signatures says of itself, as far as another signature may depend on it.

Most signatures match by themselves. These do not, so that a difference has to keep them or cannot be proven:

- a macro pattern (.ndb, offset `$3`) is part of logical signatures that name its group;
- a logical signature with `HandlerType` has files read again as another format;
- signatures of texts (target 7) decide how far the pieces overlap in which clamd reads a normalised text, and one with
  an offset from the end makes clamd read it as a file of its own, which is compared with whole-file digests too.

The grammar is that of libclamav 1.4 (readdb.c). Whatever is in doubt counts as dependent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NDB, _LDB = (".ndb", ".ndu"), (".ldb", ".ldu")
_NAME_FIELD = {".hdb": 2, ".hdu": 2, ".hsb": 2, ".hsu": 2, ".mdb": 2, ".mdu": 2, ".msb": 2, ".msu": 2, ".imp": 2}
_NAME_END = {**dict.fromkeys(_LDB, b";"), ".db": b"="}
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2})+")
_TEXTS = b"7"


@dataclass(frozen=True)
class Dependence:
    """What other signatures' matches may depend on.

    Attributes:
        macro: it is a pattern of a macro group.
        handler: it has a file read as another format.
        text: it is about texts.
        from_end: it is about texts and has an offset from the end.
        certain: libclamav loads it whatever its level, and `shortest` is exact.
        shortest: the bytes that its longest pattern has at least.
        longest: the bytes that its longest pattern has at most.
    """

    macro: bool = False
    handler: bool = False
    text: bool = False
    from_end: bool = False
    certain: bool = False
    shortest: int = 0
    longest: int = 0


def name_of(kind: str, line: bytes) -> bytes:
    """Return a signature's name as the lists of ignored ones know it."""
    if kind in _NAME_FIELD:
        fields = line.split(b":", 3)
        name = fields[2] if len(fields) > 2 else b""
    else:
        name = line.split(_NAME_END.get(kind, b":"), 1)[0]
    return normal_name(name)


def normal_name(name: bytes) -> bytes:
    """Return a name without what libclamav leaves out before it compares: `.{…}`, `.UNOFFICIAL`, blanks at the end."""
    name = name.rstrip()
    if name.endswith(b"}") and b".{" in name:
        name = name[: name.index(b".{")]
    return name.removesuffix(b".UNOFFICIAL").rstrip()


def ignored_names(line: bytes) -> set[bytes]:
    """Return what can be a name in a line of an ignore list: NAME, NAME:MD5 or DB:LINE:NAME."""
    return {name for part in line.split(b":") if (name := normal_name(part))}


def dependence(kind: str, line: bytes) -> Dependence | None:
    """Return how others depend on a line, or None for a signature that only matches by itself."""
    if kind in _NDB:
        return _of_pattern(line)
    if kind in _LDB:
        return _of_logical(line)
    return None


def expression_target(kind: str, line: bytes) -> bytes | None:
    """Return the target of a line that may hold a regular expression, or None.

    Where a target has one, clamd forgets which format the last piece of a file over 100 MB looks like.
    """
    if kind not in _LDB or b"/" not in line:
        return None
    target = re.search(rb"Target:0*([0-9]+)", line)
    return target[1] if target else b""


def _of_pattern(line: bytes) -> Dependence | None:
    fields = line.rstrip().split(b":")
    target, offset, pattern = (*fields, b"", b"", b"", b"")[1:4]
    macro = b"$" in offset
    if target.lstrip(b"0") != _TEXTS:
        return Dependence(macro=True) if macro else None
    certain = len(fields) == 4 and _HEX.fullmatch(pattern) is not None
    return Dependence(
        macro=macro,
        text=True,
        from_end=offset.startswith(b"E"),
        certain=certain and not macro,
        shortest=len(pattern) // 2 if certain else 0,
        longest=len(pattern),
    )


def _of_logical(line: bytes) -> Dependence | None:
    fields = line.rstrip().split(b";")
    attributes = fields[1] if len(fields) > 1 else b""
    text = re.search(rb"(?:^|,)\s*Target:0*7(?![0-9])", attributes) is not None
    handler = b"HandlerType" in attributes
    if not (text or handler):
        return None
    patterns = fields[3:]
    return Dependence(
        handler=handler,
        text=text,
        from_end=text and b"EOF" in line,
        longest=max(map(len, patterns), default=0),
    )
