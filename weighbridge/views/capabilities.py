"""What a model can do when it is loaded, for the first screen of a report."""

from __future__ import annotations

from weighbridge.domain.rules import Capability, capabilities
from weighbridge.domain.version import ModelVersion


def capabilities_of(version: ModelVersion) -> tuple[Capability, ...]:
    """Return the capabilities that findings above a note give a model, worst first, each once; waived ones count."""
    found = {finding.rule for report in version.reports for finding in report.findings if finding.level != "note"}
    return capabilities(found | {reason.rule for reason in version.decision.reasons})
