"""Delta reports: a blob that was clean under older signatures was scanned for those that were added (docs/adr/0038).

A delta report is clean, names the report that it builds on, and says when the blob was last scanned with all of them.
Its rules are those of a whole scan with a mark, so that nothing takes the one for the other. Not here: which signatures
were added (clamd.difference), and the scan itself (clamd.delta_scanner).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from weighbridge.domain.policy import Policy
from weighbridge.domain.report import SCANNED_BY, ScanReport

#: The end of the rules of a delta report.
MARK = "+delta"
#: Facts of a delta report's engine: that it is one; the fingerprints of the signatures before, now, and of the added
#: ones; the ids of the report that it builds on and of the last whole one; and the date of that one's signatures.
MODE, BEFORE, AFTER, ADDED = "mode", "database_before", "database_after", "database_delta"
BUILDS_ON, WHOLE_REPORT, WHOLE_DATE = "builds_on", "whole_report", "whole_date"


def is_delta(report: ScanReport) -> bool:
    """Return whether a report is of a delta scan."""
    return report.rules.endswith(MARK)


def whole_rules(report: ScanReport) -> str:
    """Return the rules of a whole scan with the same signatures."""
    return report.rules.removesuffix(MARK)


def refusal(earlier: ScanReport, version: str, rules: str) -> str:
    """Return why no delta report can build on an earlier one, as a sentence, or empty.

    Args:
        earlier: the newest report on the blob.
        version: the engine's version today.
        rules: the rules of a whole scan today.
    """
    if earlier.findings:
        return "The earlier report has findings."
    if not earlier.reusable:
        return "The earlier report does not cover the whole file."
    if earlier.version != version:
        return "The engine is another one."
    if whole_rules(earlier).partition("/")[2] != rules.partition("/")[2]:
        return "The way files are scanned is another one."
    if dict(earlier.engine).get(SCANNED_BY):
        return "The earlier report is of another installation."
    return ""


def delta_report(whole: ScanReport, earlier: ScanReport, fingerprints: tuple[str, str, str], since: str) -> ScanReport:
    """Return a delta report.

    Args:
        whole: what a whole scan would report of a clean blob.
        earlier: the report that it builds on.
        fingerprints: of the signatures before, now, and of those that were added.
        since: the day on which the signatures of the earlier report were there, where it names none.
    """
    before = dict(earlier.engine)
    facts = dict(whole.engine) | dict(zip((BEFORE, AFTER, ADDED), fingerprints, strict=True))
    facts |= {MODE: "delta", BUILDS_ON: earlier.id, WHOLE_REPORT: before.get(WHOLE_REPORT, earlier.id)}
    facts[WHOLE_DATE] = before.get(WHOLE_DATE) or before.get("database_date") or since
    return replace(whole, rules=f"{whole.rules}{MARK}", engine=tuple(sorted(facts.items())))


def whole_scan_due(last: str, policy: Policy, today: date) -> str:
    """Return why a policy asks for a scan with all signatures, as a sentence, or empty.

    Args:
        last: the ISO date of the signatures of the last whole scan; empty when it is not known.
        policy: the policy.
        today: the day of judgement.
    """
    if not policy.delta:
        return "The policy asks for scans with all signatures, and this file was scanned for added ones only."
    limit = policy.whole_every_days
    if limit is None:
        return ""
    try:
        days = (today - date.fromisoformat(last[:10])).days
    except ValueError:
        return "It is not known when this file was scanned with all signatures."
    if days <= limit:
        return ""
    return f"The last scan with all signatures had those of {last[:10]}, {days} days ago; {limit} are allowed."
