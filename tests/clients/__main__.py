"""Tries every client in every situation and prints a table: `make test-clients`, or `python -m tests.clients curl`.

Ends with 1 where a client does something wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.clients.environments import make
from tests.clients.situations import SITUATIONS
from tests.clients.stage import Stage, stage
from tests.clients.table import CLIENTS, Client
from tests.clients.trial import Outcome, Trial

_SIGNS = {True: "right", False: "WRONG", None: "no such thing"}


def main() -> int:
    """Try the clients and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("words", nargs="*", help="only clients with one of these words in their name")
    parser.add_argument("--situation", action="append", choices=list(SITUATIONS), help="cold and these only")
    parser.add_argument("--markdown", type=Path, help="file for the table")
    options = parser.parse_args()
    chosen = [one for one in CLIENTS if not options.words or any(word in one.name for word in options.words)]
    situations = [name for name in SITUATIONS if name == "cold" or not options.situation or name in options.situation]
    rows: dict[str, dict[str, Outcome]] = {}
    with tempfile.TemporaryDirectory(prefix="weighbridge-clients-") as folder, stage(Path(folder)) as ready:
        for client in chosen:
            rows[client.name] = tried(client, situations, ready)
            if options.markdown:  # After each client, as all of them take an hour.
                options.markdown.write_text(markdown(rows, situations))
    print(markdown(rows, situations))
    return int(any(outcome.right is False for row in rows.values() for outcome in row.values()))


def tried(client: Client, situations: list[str], ready: Stage) -> dict[str, Outcome]:
    """Return what came of a client in each situation; nothing where its environment cannot be made."""
    began = time.monotonic()
    made = make(client.environment)
    if made.failure:
        print(f"{client.name}: its environment could not be made: {made.failure}", file=sys.stderr)
        return {}
    trial, row = Trial(client, made, ready), {}
    for name in situations:
        row[name] = outcome = SITUATIONS[name](trial)
        if outcome.note:
            print(f"{client.name}, {name}: {_SIGNS[outcome.right]}: {outcome.note}", file=sys.stderr, flush=True)
    print(f"{client.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return row


def markdown(rows: dict[str, dict[str, Outcome]], situations: list[str]) -> str:
    """Return the table: a client a line."""
    lines = [f"| client | {' | '.join(situations)} |", f"|---|{'---|' * len(situations)}"]
    for name, row in rows.items():
        cells = [_cell(row.get(situation)) for situation in situations]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not tried"
    note = outcome.note if outcome.right and len(outcome.note) < 20 else ""
    return f"{_SIGNS[outcome.right]}{f', {note}' if note else ''}"


if __name__ == "__main__":
    sys.exit(main())
