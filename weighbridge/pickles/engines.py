"""Several engines over one pickle: our own list of harmless globals, picklescan, and fickling in its own process."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Literal

from weighbridge.headers import sandbox
from weighbridge.pickles.globals import HARMLESS, classify
from weighbridge.pickles.streams import Stream

Opinion = Literal["clean", "suspicious", "dangerous", "none"]
#: Bytes of a pickle above which fickling, which builds a syntax tree of it, is not asked.
MAX_FICKLING_SIZE = 8 * 1024 * 1024
_FICKLING_LIMITS = sandbox.Limits(wall_time_s=60, cpu_time_s=30)


@dataclass(frozen=True)
class Verdict:
    """What one engine says of one pickle.

    Attributes:
        engine: its name.
        opinion: `none` when it could not say.
        details: what it names, each a short text.
    """

    engine: str
    opinion: Opinion
    details: tuple[str, ...] = ()


def ask_globals(stream: Stream) -> Verdict:
    """Judge a pickle by the globals it would import: anything beyond what tensors need is at least suspicious."""
    found = {found: classify(found) for found in stream.walked.imports}
    dangerous = tuple(sorted({str(f) for f, kind in found.items() if kind == "dangerous"}))
    if dangerous:
        return Verdict("globals", "dangerous", dangerous)
    unknown = tuple(sorted({str(f) for f, kind in found.items() if kind == "unknown"}))
    return Verdict("globals", "suspicious", unknown) if unknown else Verdict("globals", "clean")


def ask_picklescan(stream: Stream) -> Verdict:
    """Ask picklescan (https://github.com/mmaitre314/picklescan)."""
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes

    logging.getLogger("picklescan").setLevel(logging.CRITICAL)  # Its findings are reported here, not logged.
    with open(stream.path, "rb") as file:
        try:
            result = scan_pickle_bytes(_Slice(file, stream.start, stream.walked.end), stream.location, False)
        except Exception as error:  # noqa: BLE001 (hostile input may break it in any way; it then has no opinion)
            return Verdict("picklescan", "none", (type(error).__name__,))
    if result.scan_err:
        return Verdict("picklescan", "none", ("it could not read it",))
    by_level: dict[Any, set[str]] = {}
    for found in result.globals:
        by_level.setdefault(found.safety, set()).add(f"{found.module}.{found.name}")
    if dangerous := by_level.get(SafetyLevel.Dangerous):
        return Verdict("picklescan", "dangerous", tuple(sorted(dangerous)))
    if suspicious := by_level.get(SafetyLevel.Suspicious):
        return Verdict("picklescan", "suspicious", tuple(sorted(suspicious)))
    return Verdict("picklescan", "clean")


def ask_fickling(stream: Stream) -> Verdict:
    """Ask fickling (https://github.com/trailofbits/fickling), with limits on time and memory."""
    size = stream.walked.end - stream.start
    if size > MAX_FICKLING_SIZE:
        return Verdict("fickling", "none", ("too large",))
    with open(stream.path, "rb") as file:
        file.seek(stream.start)
        content = file.read(size)
    with tempfile.NamedTemporaryFile(prefix="weighbridge-pickle-") as file:
        file.write(content)
        file.flush()
        reading = sandbox.read("fickling", Path(file.name), _FICKLING_LIMITS)
    if reading.answer is None:
        return Verdict("fickling", "none", (reading.reason,))
    opinion: Opinion = reading.answer["opinion"]
    return Verdict("fickling", opinion, tuple(reading.answer["details"]))


def judge_with_fickling(path: Path) -> dict[str, Any]:
    """Be the child process: return fickling's severity for the pickle in a file as plain JSON."""
    from fickling.analysis import Severity, check_safety
    from fickling.fickle import Pickled

    with open(path, "rb") as file:
        result = check_safety(Pickled.load(file))
    if result.severity >= Severity.LIKELY_OVERTLY_MALICIOUS:
        opinion = "dangerous"
    else:
        opinion = "clean" if result.severity == Severity.LIKELY_SAFE else "suspicious"
    return {"opinion": opinion, "details": [str(result.severity.name)]}


ENGINES: dict[str, Callable[[Stream], Verdict]] = {
    "globals": ask_globals,
    "picklescan": ask_picklescan,
    "fickling": ask_fickling,
}


@cache
def versions() -> str:
    """Return the engines and their versions in one line; another line means: scan again."""
    own = len(HARMLESS)
    return f"globals {own}, picklescan {version('picklescan')}, fickling {version('fickling')}"


class _Slice(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self._file, self._start, self._end = file, start, end
        file.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: self._start, 1: self._file.tell(), 2: self._end}[whence]
        return self._file.seek(max(self._start, base + offset)) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._end - self._file.tell())
        return self._file.read(left if size is None or size < 0 else min(size, left))

    def readline(self, size: int | None = -1) -> bytes:
        left = max(0, self._end - self._file.tell())
        return self._file.readline(left if size is None or size < 0 else min(size, left))
