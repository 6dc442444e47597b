"""Pickles: every one in a blob, wherever it hides, before several engines; where they disagree, it says so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import ClassVar

from weighbridge.archives import ARCHIVES, Limits
from weighbridge.pickles import engines
from weighbridge.pickles.engines import ENGINES, Verdict
from weighbridge.pickles.globals import HARMLESS
from weighbridge.pickles.streams import Search, Stream
from weighbridge.report import Finding, Level, ScanReport
from weighbridge.scanners.interface import Engine, Subject, report

VERSION = "1"
#: Findings kept of one blob; the rest is counted in one more.
MAX_FINDINGS = 200
#: Formats that can hold a pickle. Text is among the unknown: protocol 0 is text.
FORMATS = ARCHIVES | {"pickle", "npy", "unknown", "text", "onnx-data", "sentencepiece"}


class PickleScanner:
    """Finds pickles and asks several engines about each; satisfies `Scanner`. Nothing is ever loaded.

    Args:
        limits: what an archive may cost.
    """

    name: ClassVar[str] = "pickles"

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def engine(self) -> Engine:
        """Return our own version and a digest of the harmless globals, the limits and the engines' versions."""
        rules = repr((sorted(HARMLESS), self._limits, engines.versions()))
        facts = (("engines", engines.versions()),)
        return Engine(VERSION, hashlib.sha256(rules.encode()).hexdigest()[:16], facts)

    def accepts(self, subject: Subject) -> bool:
        """Whether the blob can hold a pickle."""
        return subject.format in FORMATS

    def scan(self, subject: Subject) -> ScanReport:
        """Judge every pickle of a blob.

        1. Pickles are found by content, in archives and compressed files too.
        2. Every engine is asked about each; a global that harms is an error, one that nobody knows a warning.
        3. A pickle that breaks off after it imported something, or content that could not be reached, is `partial`.
        """
        search = Search(subject.path, subject.format, self._limits)
        findings: list[Finding] = []
        unread = ""
        for stream in search:
            verdicts = [ask(stream) for ask in ENGINES.values()]
            findings += _findings(stream, verdicts)
            if all(verdict.opinion == "none" for verdict in verdicts):
                unread = f"no engine could read the pickle {stream.location}"
        unread = unread or search.unread
        if len(findings) > MAX_FINDINGS:
            text = f"{len(findings) - MAX_FINDINGS} more findings are not listed."
            findings = [*sorted(findings, key=_worst_first)[:MAX_FINDINGS], Finding("pickle.more", "warning", text)]
        return report(
            self.name,
            self.engine(),
            subject,
            status="partial" if unread else "completed",
            reason=unread,
            covered=search.covered,
            findings=findings,
        )


def _worst_first(finding: Finding) -> tuple[int, Finding]:
    return (["error", "warning", "note"].index(finding.level), finding)


def _findings(stream: Stream, verdicts: list[Verdict]) -> Iterator[Finding]:
    """Yield a finding for what each engine names, and one more when they disagree on whether it harms."""
    levels: dict[str, Level] = {"dangerous": "error", "suspicious": "warning"}
    for verdict in verdicts:
        if verdict.engine == "fickling" and verdict.opinion == "suspicious":
            continue  # It calls every use of numpy or torch unsafe; its word counts below, in the disagreement.
        rule = "pickle.unknown-global" if verdict.opinion == "suspicious" else "pickle.global"
        if level := levels.get(verdict.opinion):
            named = ", ".join(verdict.details[:8])
            yield Finding(rule, level, f"{verdict.engine} says {verdict.opinion}: {named!r}.", stream.location)
    if stream.walked.problem:
        text = f"The pickle is malformed: {stream.walked.problem}."
        yield Finding("pickle.malformed", "warning", text, stream.location)
    opinions = {verdict.opinion for verdict in verdicts}
    if len(opinions) > 1:
        text = "The engines disagree: " + ", ".join(f"{v.engine} {v.opinion}" for v in verdicts) + "."
        yield Finding("pickle.disagreement", "note", text, stream.location)
