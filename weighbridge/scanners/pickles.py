"""The scanner `pickles`: finds every pickle in a blob, checks it with several engines, and reports disagreement."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import ClassVar

from weighbridge.config.settings import Settings
from weighbridge.content.archives import Limits
from weighbridge.content.findings import quoted
from weighbridge.content.pickles import engines
from weighbridge.content.pickles.chain import Stream
from weighbridge.content.pickles.engines import EngineVerdict
from weighbridge.content.pickles.judgement import Judgement, judge
from weighbridge.content.pickles.streams import Search
from weighbridge.domain.report import Finding, ScanReport
from weighbridge.scanners.interface import Engine, Scanner, Subject, report, worst

VERSION = "5"
#: The most findings of one blob; one more counts the rest.
MAX_FINDINGS = 200
#: The most globals, and classes, that one finding names.
_NAMED, _FEW = 8, 4
#: The number of pickles that the engines check together.
_BATCH = 500


def open_scanner(settings: Settings, stack: ExitStack) -> Scanner:
    """Return the scanner; it has no requirements."""
    return PickleScanner()


class PickleScanner:
    """Finds pickles and checks each with several engines; satisfies `Scanner`. Nothing is ever loaded.

    Args:
        limits: the limits for archives.
    """

    name: ClassVar[str] = "pickles"

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def engine(self) -> Engine:
        """Return our own version and a digest of the lists of globals, the limits and the engines' versions."""
        rules = repr((self._limits, engines.versions()))
        facts = (("engines", engines.versions()),)
        return Engine(VERSION, hashlib.sha256(rules.encode()).hexdigest()[:16], facts)

    def accepts(self, subject: Subject) -> bool:
        """Return True: a file can be a picture to one program and a pickle to another."""
        return True

    def scan(self, subject: Subject) -> ScanReport:
        """Return a report on every pickle of a blob.

        1. Pickles are found by content, also in archives and compressed files.
        2. Every engine checks each. Our own list decides: a harmful global is an error, and so is one that is not on
           the list, or not used as the list allows.
        3. An alarm of an engine on a pickle whose globals are all listed, or its failure, is a warning: the other
           engines check only names.
        4. A pickle that ends early after an import, an engine that failed on one that we could not read either, or
           unreadable content makes the report `partial`.
        """
        search = Search(subject.path, subject.format, self._limits)
        findings: list[Finding] = []
        broken = ""
        for batch in _batches(search):
            for stream, verdicts in zip(batch, engines.ask(batch), strict=True):
                findings += _findings(stream, verdicts, str(subject.digest))
                broken = broken or _broken(stream, verdicts)
            findings = worst(findings, MAX_FINDINGS, "pickle.more")
        findings = worst([*findings, *search.findings.all], MAX_FINDINGS, "pickle.more")
        unread = search.unread or broken
        return report(
            self.name,
            self.engine(),
            subject,
            status="partial" if unread else "completed",
            reason=unread,
            covered=search.covered,
            findings=findings,
        )


def _batches(search: Iterable[Stream]) -> Iterator[list[Stream]]:
    batch: list[Stream] = []
    size = 0
    for stream in search:
        batch.append(stream)
        size += sum(map(len, stream.walked.copies))
        if len(batch) >= _BATCH or size > engines.MAX_COPIES_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _broken(stream: Stream, verdicts: Iterable[EngineVerdict]) -> str:
    """Return which engine failed on a pickle that we could not read to its end either, so that it is unknown."""
    if _is_read(stream):
        return ""
    for verdict in verdicts:
        if verdict.opinion == "none" and not verdict.skipped:
            return f"{verdict.engine} could not judge {stream.location or 'it'}: {', '.join(verdict.details)}"
    return ""


def _is_read(stream: Stream) -> bool:
    """Return whether our own walk reached the end of a pickle, so that all of its globals are known."""
    return stream.walked.stopped and not stream.walked.problem


def _findings(stream: Stream, verdicts: tuple[EngineVerdict, ...], digest: str) -> Iterator[Finding]:
    """Yield the findings of our own list, those of the other engines, and their disagreement."""
    judged = judge(stream.walked)
    yield from _of_list(judged, stream.location, digest)
    known = judged.harmless and _is_read(stream)
    for verdict in verdicts:
        named = quoted(", ".join(verdict.details[:_NAMED]))
        if verdict.engine == "globals" or verdict.skipped:
            continue
        if verdict.opinion == "dangerous":
            text = f"{verdict.engine} says dangerous: {named}"
            if known:
                yield Finding("pickle.engine", "warning", f"{text}; our list knows all of it.", stream.location)
            else:
                yield Finding("pickle.global", "error", f"{text}.", stream.location)
        elif verdict.opinion == "none":
            text = f"{verdict.engine} could not judge the pickle: {named}."
            yield Finding("pickle.engine", "warning", text, stream.location)
    for text in dict.fromkeys(stream.walked.sizes.problems):
        yield Finding("pickle.inconsistent", "error", text, stream.location)
    if stream.walked.problem:
        text = f"The pickle is malformed: {stream.walked.problem}."
        yield Finding("pickle.malformed", "warning", text, stream.location)
    if len({verdict.opinion for verdict in verdicts}) > 1:
        said = ", ".join(f"{v.engine} {'not asked' if v.skipped else v.opinion}" for v in verdicts)
        yield Finding("pickle.disagreement", "note", f"The engines disagree: {said}.", stream.location)


def _of_list(judged: Judgement, location: str, digest: str) -> Iterator[Finding]:
    """Yield the findings of our own list, with the waiver for a pickle with unknown globals."""
    if judged.harmful:
        yield Finding("pickle.global", "error", f"globals says dangerous: {_named(judged.harmful)}.", location)
    if judged.unknown:
        waiver = f"{{rule: pickle.unknown-global, files: {digest!r}, reason: …, by: …, until: …}}"
        text = (
            f"The pickle names what is not on the list of harmless globals, or not as listed: {_named(judged.unknown)}."
        )
        text += f" If you trust who wrote it, add to `waivers` of the policy: {waiver}"
        yield Finding("pickle.unknown-global", "error", text, location)
    if judged.objects:
        text = f"The pickle rebuilds objects beyond tensors and plain values: {_named(judged.objects, _FEW)}."
        yield Finding("pickle.objects", "note", text, location)


def _named(names: tuple[str, ...], most: int = _NAMED) -> str:
    """Return names for a message, only the first ones when there are too many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(quoted(name) for name in names[:most]) + more
