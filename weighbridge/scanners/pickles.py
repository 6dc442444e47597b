"""Pickles: every one in a blob, wherever it hides, before several engines; where they disagree, it says so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import ClassVar

from weighbridge.config.settings import Settings
from weighbridge.content.archives import Limits
from weighbridge.content.pickles import engines
from weighbridge.content.pickles.chain import Stream
from weighbridge.content.pickles.engines import Verdict
from weighbridge.content.pickles.streams import Search
from weighbridge.domain.report import Finding, ScanReport
from weighbridge.scanners.interface import Engine, Scanner, Subject, report, worst

VERSION = "3"
#: Findings kept of one blob; the rest is counted in one more.
MAX_FINDINGS = 200
#: Pickles that the engines are asked about together.
_BATCH = 500


def open_scanner(settings: Settings, stack: ExitStack) -> Scanner:
    """Return the scanner; it needs nothing that could be missing."""
    return PickleScanner()


class PickleScanner:
    """Finds pickles and asks several engines about each; satisfies `Scanner`. Nothing is ever loaded.

    Args:
        limits: what an archive may cost.
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
        """Everything: a file can be a picture to one program and a pickle to another."""
        return True

    def scan(self, subject: Subject) -> ScanReport:
        """Judge every pickle of a blob.

        1. Pickles are found by content, in archives and compressed files too.
        2. Every engine is asked about each; a global that harms is an error, one that nobody knows a warning.
        3. A pickle that breaks off after it imported something, an engine that broke, or content that could not be
           reached makes the report `partial`.
        """
        search = Search(subject.path, subject.format, self._limits)
        findings: list[Finding] = []
        broken = ""
        for batch in _batches(search):
            for stream, verdicts in zip(batch, engines.ask(batch), strict=True):
                findings += _findings(stream, verdicts)
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


def _broken(stream: Stream, verdicts: Iterable[Verdict]) -> str:
    """Return which engine broke on a pickle, if one did: nobody knows what it would have said."""
    for verdict in verdicts:
        if verdict.opinion == "none" and not verdict.skipped:
            return f"{verdict.engine} could not judge {stream.location or 'it'}: {', '.join(verdict.details)}"
    return ""


def _findings(stream: Stream, verdicts: tuple[Verdict, ...]) -> Iterator[Finding]:
    """Yield a finding for what each engine names, and one more when they disagree on whether it harms."""
    for verdict in verdicts:
        named = ", ".join(verdict.details[:8])
        text = f"{verdict.engine} says {verdict.opinion}: {named!r}."
        if verdict.opinion == "dangerous":
            yield Finding("pickle.global", "error", text, stream.location)
        elif verdict.opinion == "suspicious" and verdict.engine == "globals":
            # Our list is the strictest; what the others find suspicious beyond it, such as numpy, is no finding.
            yield Finding("pickle.unknown-global", "warning", text, stream.location)
    if stream.walked.problem:
        text = f"The pickle is malformed: {stream.walked.problem}."
        yield Finding("pickle.malformed", "warning", text, stream.location)
    if len({verdict.opinion for verdict in verdicts}) > 1:
        said = ", ".join(f"{v.engine} {'not asked' if v.skipped else v.opinion}" for v in verdicts)
        yield Finding("pickle.disagreement", "note", f"The engines disagree: {said}.", stream.location)
