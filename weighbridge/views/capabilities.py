"""What a model can do to whoever loads it, in plain words for the first screen of a report."""

from __future__ import annotations

from weighbridge.domain.rules import Capability, capabilities
from weighbridge.domain.version import ModelVersion


def capabilities_of(version: ModelVersion) -> tuple[Capability, ...]:
    """Return what the findings above a note let a model do, worst first, each once; waived ones count."""
    found = {finding.rule for report in version.reports for finding in report.findings if finding.level != "note"}
    return capabilities(found | {reason.rule for reason in version.decision.reasons})
