"""What a scanner found: findings in SARIF's terms, and a report that says how many bytes were covered.

Facts only: the policy decides whether a finding leads to a rejection.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, Literal

from weighbridge.domain.digest import Digest

Level = Literal["error", "warning", "note"]
Status = Literal["completed", "partial", "skipped", "failed"]
#: The reason of a `partial` report whose every byte was read, in overlapping windows.
WINDOWED = "windowed"
#: Facts of an engine that is another installation's, whose report a bundle brought: who scanned, and when.
SCANNED_BY, SCANNED_AT = "scanned_by", "scanned_at"


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """One observation about a blob (SARIF 2.1.0 `result`).

    Attributes:
        rule: a stable id, `scanner.what`, such as `clamav.signature` or `pickle.global`.
        level: `error` (harmful or invalid), `warning` (could be), `note` (worth knowing).
        message: one sentence for a person; hostile text in it is escaped with `!r`.
        location: where inside the blob: a member path, an opcode offset, a key; or empty.
    """

    rule: str
    level: Level
    message: str
    location: str = ""


@dataclass(frozen=True)
class ScanReport:
    """One scanner's result for one blob: the unit that is cached and never judged in place.

    Attributes:
        digest: the blob's sha256.
        scanner: the scanner's name, such as `clamav`.
        version: the engine's version.
        rules: a digest or version of what it scanned with (signature database, rule set).
        subject: the format the blob was scanned as (`safetensors`, `pickle`, `json`, …); part of the key.
        status: `completed`, `partial`, `skipped` or `failed`.
        reason: why not completed; `windowed` for overlapping windows; empty when completed.
        bytes_covered: bytes the scanner read of the blob, at most `bytes_total`.
        bytes_total: the blob's size.
        findings: sorted.
        engine: facts about the engine that a policy may judge, such as `database: test-only`, `age_days`.
    """

    digest: Digest
    scanner: str
    version: str
    rules: str
    subject: str
    status: Status
    bytes_covered: int
    bytes_total: int
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    engine: tuple[tuple[str, str], ...] = ()

    @cached_property
    def id(self) -> str:
        """A short stable name of this report: of its key and its content."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What makes another scan needless: digest, scanner, version, rules, subject."""
        return (str(self.digest), self.scanner, self.version, self.rules, self.subject)

    @property
    def reusable(self) -> bool:
        """Return whether the same scan would give the same report; a failed or skipped one is repeated."""
        return self.status == "completed" or (self.status == "partial" and self.reason == WINDOWED)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; docs/formats.md."""
        value: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        value["digest"] = str(self.digest)
        value["findings"] = [asdict(finding) for finding in self.findings]
        value["engine"] = dict(self.engine)
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ScanReport:
        """Read what `to_json` wrote."""
        found = dict(value)
        found["digest"] = Digest.parse(found["digest"])
        found["findings"] = tuple(Finding(**finding) for finding in found["findings"])
        found["engine"] = _shared(tuple(sorted(found["engine"].items())))
        found |= {name: sys.intern(found[name]) for name in _FEW}
        return cls(**found)


#: Fields with few distinct values: reports read from the catalog share them, as new ones do, which saves memory.
_FEW = ("scanner", "version", "rules", "subject", "status", "reason")


@lru_cache(maxsize=64)
def _shared(engine: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return one shared object for equal engines."""
    return engine


#: The reason of a `skipped` report whose scanner does not handle such files.
NOT_APPLICABLE = "not applicable"


def engine_text(report: ScanReport) -> str:
    """Return the engine of a report as text: `1.4.6, official database of 2026-11-20`."""
    facts = dict(report.engine)
    where = f", at {facts[SCANNED_BY]}" if facts.get(SCANNED_BY) else ""
    if "database" not in facts:
        return f"{report.version}{where}"
    built = f" of {facts['database_date'][:10]}" if facts.get("database_date") else ""
    return f"{report.version}, {facts['database']} database{built}{where}"


def scanned_with(reports: Iterable[ScanReport]) -> str:
    """Return every scanner with its engine and signatures in one line."""
    engines = {(found.scanner, engine_text(found)) for found in reports if found.reason != NOT_APPLICABLE}
    return "; ".join(f"{scanner} {engine}" for scanner, engine in sorted(engines))
