"""Several engines over the pickles of one blob: our own list of globals, picklescan, and fickling in its own process.

The other engines are given copies without frames, long strings and array bytes (machine), so their memory is bounded
and joblib's files mean something to them. Not here: what their opinions lead to (scanners.pickles).
"""

from __future__ import annotations

import io
import logging
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from weighbridge.content import sandbox
from weighbridge.content.pickles.chain import Stream
from weighbridge.content.pickles.globals import classify, fingerprint
from weighbridge.content.pickles.judgement import judge
from weighbridge.content.pickles.symbols import Import

Opinion = Literal["clean", "suspicious", "dangerous", "none"]
#: The most bytes of all copies of one blob for the other engines.
MAX_COPIES_SIZE = 32 * 1024 * 1024
_FICKLING_LIMITS = sandbox.ReadingLimits(wall_time_s=120, cpu_time_s=60)
_WORST: tuple[Opinion, ...] = ("dangerous", "none", "suspicious", "clean")


@dataclass(frozen=True)
class EngineVerdict:
    """What one engine says of one pickle.

    Attributes:
        engine: its name.
        opinion: `none` when it could not say.
        details: what it names, each a short text; why it could not say.
        skipped: whether it did not run, because the pickle is larger than its limit.
    """

    engine: str
    opinion: Opinion
    details: tuple[str, ...] = ()
    skipped: bool = False


def ask_globals(streams: Sequence[Stream]) -> list[EngineVerdict]:
    """Return verdicts of the closed list: a global that is not on it, or not used as allowed, is suspicious."""
    return [_judge_globals(stream) for stream in streams]


def _judge_globals(stream: Stream) -> EngineVerdict:
    judged = judge(stream.walked)
    if judged.harmful:
        return EngineVerdict("globals", "dangerous", judged.harmful)
    return (
        EngineVerdict("globals", "suspicious", judged.unknown) if judged.unknown else EngineVerdict("globals", "clean")
    )


def ask_picklescan(streams: Sequence[Stream]) -> list[EngineVerdict]:
    """Return the verdicts of picklescan (https://github.com/mmaitre314/picklescan)."""
    return [_worst("picklescan", [_ask_picklescan(copy) for copy in copies]) for copies in _copies(streams)]


def _ask_picklescan(copy: bytes) -> EngineVerdict:
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes

    logging.getLogger("picklescan").setLevel(logging.CRITICAL)  # Its findings are reported here, not logged.
    try:
        result = scan_pickle_bytes(io.BytesIO(copy), "", False)
    except Exception as error:  # noqa: BLE001 (hostile input may break it in any way; it then has no opinion)
        return EngineVerdict("picklescan", "none", (f"it broke: {type(error).__name__}",))
    opinions: dict[Any, Opinion] = {SafetyLevel.Dangerous: "dangerous", SafetyLevel.Suspicious: "suspicious"}
    named: dict[Opinion, set[str]] = {}
    for found in result.globals:
        named.setdefault(opinions.get(found.safety, "clean"), set()).add(f"{found.module}.{found.name}")
    if result.scan_err and "dangerous" not in named:
        return EngineVerdict("picklescan", "none", ("it could not read it",))
    return _named("picklescan", named)


def ask_fickling(streams: Sequence[Stream]) -> list[EngineVerdict]:
    """Return the verdicts of fickling (https://github.com/trailofbits/fickling), run once within limits for all."""
    copies = _copies(streams)
    with tempfile.TemporaryDirectory(prefix="weighbridge-pickles-") as folder:
        for number, parts in enumerate(copies):
            for place, copy in enumerate(parts):
                Path(folder, f"{number}-{place}").write_bytes(copy)
        asked = any(copies)
        reading = sandbox.read("fickling", Path(folder), _FICKLING_LIMITS) if asked else sandbox.HeaderReading({})
    if reading.answer is None:
        reason = reading.reason.replace("reading its header", "judging it").replace("its header", "it")
        return [_worst("fickling", [EngineVerdict("fickling", "none", (reason,)) for _ in parts]) for parts in copies]
    answers: dict[str, Any] = reading.answer
    return [
        _worst("fickling", [_fickling_verdict(answers.get(f"{number}-{place}")) for place in range(len(parts))])
        for number, parts in enumerate(copies)
    ]


def _fickling_verdict(answer: dict[str, Any] | None) -> EngineVerdict:
    if answer is None:
        return EngineVerdict("fickling", "none", ("it gave no answer",))
    opinion: Opinion = answer["opinion"]
    return EngineVerdict("fickling", opinion, (str(answer["detail"]),))


def judge_with_fickling(folder: Path) -> dict[str, Any]:
    """Be the child process: return fickling's severity for each pickle in a folder as plain JSON."""
    return {path.name: _severity(path) for path in sorted(folder.iterdir())}


def _severity(path: Path) -> dict[str, str]:
    from fickling.analysis import Severity, check_safety
    from fickling.fickle import Pickled

    try:
        with open(path, "rb") as file:
            results = check_safety(Pickled.load(file)).results
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (hostile input may break it in any way; it then has no opinion)
        return {"opinion": "none", "detail": f"it broke: {type(error).__name__}: {str(error)[:80]}"}
    worst = max((result.severity for result in results), default=Severity.LIKELY_SAFE)
    overt = [str(result.trigger) for result in results if result.severity >= Severity.LIKELY_OVERTLY_MALICIOUS]
    if named := sorted({trigger for trigger in overt if not _imports_harmless(trigger)}):
        return {"opinion": "dangerous", "detail": f"{worst.name}: {'; '.join(named)[:200]}"}
    return {"opinion": "clean" if worst == Severity.LIKELY_SAFE else "suspicious", "detail": worst.name}


def _imports_harmless(trigger: str) -> bool:
    """Return whether fickling's alarm is about a harmless import: it flags every module with `pickle` in its name."""
    found = re.fullmatch(r"from (\S+) import (\S+)", trigger)
    return found is not None and classify(Import(*found.groups())) == "harmless"


#: Each gives one verdict for each stream.
ENGINES: dict[str, Callable[[Sequence[Stream]], list[EngineVerdict]]] = {
    "globals": ask_globals,
    "picklescan": ask_picklescan,
    "fickling": ask_fickling,
}


def ask(streams: Sequence[Stream]) -> list[tuple[EngineVerdict, ...]]:
    """Return what every engine says of each pickle."""
    return list(zip(*(engine(streams) for engine in ENGINES.values()), strict=True))


@cache
def versions() -> str:
    """Return the engines and their versions in one line; another line means: scan again."""
    return f"globals {fingerprint()}, picklescan {version('picklescan')}, fickling {version('fickling')}"


def _copies(streams: Sequence[Stream]) -> list[list[bytes]]:
    """Return each stream's copies, none for those beyond what one blob's may have together."""
    left, kept = MAX_COPIES_SIZE, []
    for stream in streams:
        size = sum(map(len, stream.walked.copies))
        kept.append(stream.walked.copies if size <= left else [])
        left -= size if kept[-1] else 0
    return kept


def _named(engine: str, by_opinion: dict[Opinion, set[str]]) -> EngineVerdict:
    """Return the worst opinion with the globals it is about."""
    for opinion in _WORST:
        if opinion != "clean" and opinion in by_opinion:
            return EngineVerdict(engine, opinion, tuple(sorted(by_opinion[opinion])))
    return EngineVerdict(engine, "clean")


def _worst(engine: str, verdicts: list[EngineVerdict]) -> EngineVerdict:
    if not verdicts:
        return EngineVerdict(engine, "none", ("it is too large for it",), skipped=True)
    return min(verdicts, key=lambda verdict: _WORST.index(verdict.opinion))
