"""The artifacts of a rescan: what was looked at and judged, and a table of what could not be looked at."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.artifact_report import MAX_ROWS, outcome_stands
from weighbridge.domain.text import markdown_text, shown
from weighbridge.intake.rescanning import RescanReport
from weighbridge.views.rescan_tables import summary
from weighbridge.views.text import bytes_text


def keep_rescan(done: RescanReport) -> None:
    """Write what a rescan has done to artifacts of the present flow run."""
    rows = [{name: shown(value, 400) for name, value in gap.to_json().items()} for gap in done.gaps[:MAX_ROWS]]
    with outcome_stands("rescan"):
        create_markdown_artifact(_markdown(done), key="rescan", description=shown(summary(done)))
        if rows:
            text = "What could not be looked at; these versions keep their verdicts"
            create_table_artifact(rows, key="rescan-gaps", description=text)


def _markdown(done: RescanReport) -> str:
    rescan = done.rescan
    counts = {
        "blobs looked at": f"{rescan.blobs_done:,} of {rescan.blobs_due:,}",
        "bytes": f"{bytes_text(rescan.bytes_done)} of {bytes_text(rescan.bytes_due)}",
        "versions judged again": f"{rescan.judged:,}",
        "verdicts changed": f"{len(rescan.changed):,}",
        "not looked at": f"{len(done.gaps):,}",
    }
    lines = [f"# Rescan {rescan.number}: {rescan.state}", "", "| | |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in counts.items()]
    lines += ["", "## Versions with another verdict", ""] if rescan.changed else []
    lines += [f"- {markdown_text(one, 200)}" for one in rescan.changed]
    return "\n".join(lines)
