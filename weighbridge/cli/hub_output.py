"""What `hub search` prints of the models that it found: lines, JSON or CSV on stdout, and notes on stderr.

Not here: the search (intake.hub_lookup).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from weighbridge.cli.console import note, out
from weighbridge.domain.clock import utc_now
from weighbridge.intake.hub_answers import HubAnswer, HubFinding
from weighbridge.intake.hub_lookup import HubLookup
from weighbridge.views import hub_files, hub_lines
from weighbridge.views.schemas import named

_COLUMNS = (*hub_files.COLUMNS, "here", "curated")


def print_findings(answers: Iterable[HubAnswer], lookup: HubLookup, *, csv: bool, as_json: bool, icons: bool) -> None:
    """Print the models of answers as they come, each part of a long search after the one before.

    Args:
        answers: parts of one search, at least one.
        lookup: where they come from.
        csv: whether CSV is wanted.
        as_json: whether JSON is wanted.
        icons: whether lines have icons in place of marks.
    """
    last: list[HubAnswer] = []

    def findings() -> Iterator[HubFinding]:
        for answer in answers:
            last[:] = [answer]
            yield from answer.findings

    if as_json:
        count = _print_json(finding.to_json() for finding in findings())
    elif csv:
        count = hub_files.write_rows(map(_row, findings()), _COLUMNS, sys.stdout)
    else:
        count = 0
        for finding in findings():
            out.print(hub_lines.model_line(finding, icons=icons), crop=False, overflow="ignore", soft_wrap=True)
            count += 1
    answer = last[0]
    if answer.note:
        note(answer.note)
    elif not count:
        note("No model fits.")
    if answer.answered_by == "hub":
        note("The Hub itself has answered.")
    else:
        note(hub_lines.age_line(lookup.hub.state(), utc_now()))
    if answer.cursor:
        note(f"There are more: --cursor {answer.cursor}")


def _print_json(items: Iterable[dict[str, Any]]) -> int:
    """Print a JSON list, an object a line, so that a long one needs no memory."""
    count, before = 0, "["
    for item in items:
        sys.stdout.write(f"{before}\n{json.dumps(named('hub-model', item), default=str)}")
        count, before = count + 1, ","
    sys.stdout.write("\n]\n" if count else "[]\n")
    return count


def _row(finding: HubFinding) -> dict[str, Any]:
    return {**hub_files.row(finding.entry), "here": str(finding.here.state), "curated": finding.curated}
