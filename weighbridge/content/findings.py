"""Findings while they are collected: a list that hostile content cannot make grow without bound.

Not here: what a finding is (domain.report) or which rules there are (content.headers).
"""

from __future__ import annotations

from collections.abc import Iterable

from weighbridge.domain.report import Finding, Level

#: Findings of one file that are kept one by one; the others are counted.
MAX_FINDINGS = 50
#: Characters of hostile text that one message quotes.
MAX_QUOTED = 120


class Findings:
    """Collects the findings of one file; `kept` of them one by one, the rest as a number."""

    def __init__(self) -> None:
        self._kept: dict[Finding, None] = {}
        self._dropped: dict[tuple[str, Level], int] = {}

    def add(self, rule: str, level: Level, message: str, location: str = "") -> None:
        """Add a finding; the same one again is ignored."""
        harmless = location.isascii() and location.isprintable()
        finding = Finding(rule, level, message, location if harmless else quoted(location))
        if finding in self._kept:
            return
        if len(self._kept) < MAX_FINDINGS:
            self._kept[finding] = None
        else:
            self._dropped[rule, level] = self._dropped.get((rule, level), 0) + 1

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add findings that were made elsewhere."""
        for finding in findings:
            self.add(finding.rule, finding.level, finding.message, finding.location)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def all(self) -> tuple[Finding, ...]:
        """What was found, sorted; of each rule and level whose findings were too many, one says how many more."""
        more = [
            Finding(rule, level, f"{count} more findings of this kind.")
            for (rule, level), count in self._dropped.items()
        ]
        return tuple(sorted([*self._kept, *more]))

    @property
    def errors(self) -> bool:
        """Return whether one of them is an error."""
        return any(finding.level == "error" for finding in self._kept)


def quoted(text: object) -> str:
    """Return hostile text in a form that is safe in a message: ASCII, in quotes, at most `MAX_QUOTED` characters."""
    shown = ascii(text[: MAX_QUOTED + 1] if isinstance(text, str | bytes) else text)
    return shown if len(shown) <= MAX_QUOTED else shown[:MAX_QUOTED] + "..."


def plain(text: str, limit: int = 500) -> str:
    """Return hostile text for a card: printable characters only, white space as single spaces, at most `limit` long."""
    words = "".join(character if character.isprintable() else " " for character in text[: limit * 4]).split()
    joined = " ".join(words)
    return joined if len(joined) <= limit else joined[: limit - 1].rstrip() + "…"
