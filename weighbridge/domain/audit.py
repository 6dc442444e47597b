"""The audit log as values: its rows, the chain of their hashes, and the proof that it is whole.

A row's hash is the sha256 of the row as JSON with the hash of the row before it, so that a changed, removed or inserted
row does not fit its neighbours. Not here: how rows are stored (catalog.audit).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from weighbridge.domain.text import shown
from weighbridge.errors import UsageError

#: The action of a row that says who is given files of a version; it is the one that changes nothing.
SERVED = "version.served"
#: The action of a row that says who was given files before a verdict, and the verdict was bad, or there was none.
EXPOSED = "version.exposed"
#: Flaws after which a log is not examined further.
MAX_FLAWS = 100


@dataclass(frozen=True)
class Head:
    """The newest row of a log: the log up to it cannot be another one.

    Attributes:
        number: of the row, which is how many there are; 0 for an empty log.
        hash: of the row.
    """

    number: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read what `str` writes, `NUMBER:HASH`. Raises UsageError."""
        number, _, hash_ = text.strip().partition(":")
        if not (number.isascii() and number.isdigit() and re.fullmatch("[0-9a-f]{64}", hash_)):
            raise UsageError(
                f"“{shown(text, 80)}” is not a number and a hash of the audit log.",
                "Write NUMBER:HASH, as `weighbridge audit verify` prints it.",
            )
        return cls(int(number), hash_)

    def __str__(self) -> str:
        """Return `NUMBER:HASH`."""
        return f"{self.number}:{self.hash}"


#: The head of an empty log.
EMPTY = Head(0, "0" * 64)


@dataclass(frozen=True)
class AuditRow:
    """One change of the catalog.

    Attributes:
        number: counts the rows from 1, in the order in which they were committed.
        at: when it happened; UTC.
        actor: whose change it is: `cli:USER`, `flow:NAME`, `key:NAME`, `issuer:SUBJECT`, `bundle:NAME` for what an
            installation said whose key is trusted by that name, or `unknown`.
        action: `noun.verb`, such as `version.settled`.
        object: what was changed: a model, `name@version`, `key:NAME`, `ingest:7`, a digest.
        before: the values before the change, plain JSON, never a secret; None where nothing was there.
        after: the values after it, in the same way.
        hash: binds the row to all rows before it.
    """

    number: int
    at: datetime
    actor: str
    action: str
    object: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    hash: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**vars(self), "at": self.at.astimezone(UTC).isoformat()}

    def hash_after(self, previous: str) -> str:
        """Return the hash that the row has after a row with the hash `previous`."""
        content = {**self.to_json(), "hash": previous}
        return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class AuditProof:
    """What the examination of a log found.

    Attributes:
        rows: how many were examined.
        head: the newest one; worth keeping elsewhere, as whoever can write to the database can make all hashes anew.
        flaws: what is wrong, a sentence each; none where nothing was changed, removed or inserted.
    """

    rows: int
    head: Head
    flaws: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"rows": self.rows, "newest": vars(self.head), "flaws": list(self.flaws)}


def prove(rows: Iterable[AuditRow], head: Head, kept: Iterable[Head] = ()) -> AuditProof:
    """Return what is wrong with a log.

    1. Each row's number is that of the row before it and one, and its hash is the one that it has after that row.
    2. The newest row is the one that `head` names; otherwise the newest ones were removed, or others were added.
    3. Each row of which number and hash were kept elsewhere is still the same: also after all hashes were made anew.

    Args:
        rows: of the log, in the order of their numbers.
        head: the newest row as the log has it beside the rows.
        kept: heads of earlier times.
    """
    flaws: list[str] = []
    wanted = {one.number: one.hash for one in kept}
    last, count = EMPTY, 0
    for row in rows:
        if len(flaws) >= MAX_FLAWS:
            flaws.append(f"Rows from {row.number} on were not examined, as there are so many flaws before them.")
            return AuditProof(count, last, tuple(flaws))
        count += 1
        if row.number != last.number + 1:
            flaws.append(f"{_rows(last.number + 1, row.number - 1)} missing.")
        elif row.hash != row.hash_after(last.hash):
            flaws.append(
                f"Row {row.number} ({row.action} of {row.object}) does not fit the row before it: one of them was "
                "changed, or another row was there."
            )
        if wanted.pop(row.number, row.hash) != row.hash:
            flaws.append(
                f"Row {row.number} does not have the hash that was kept: the log was written anew from it or an "
                "earlier row on."
            )
        last = Head(row.number, row.hash)
    flaws += _at_the_end(last, head)
    flaws += [f"Row {number}, whose hash was kept, is missing." for number in sorted(wanted)]
    return AuditProof(count, last, tuple(flaws))


def _at_the_end(last: Head, head: Head) -> list[str]:
    if last.number < head.number:
        return [f"{_rows(last.number + 1, head.number)} missing: the newest rows were removed."]
    if last.number > head.number:
        return [f"{_rows(head.number + 1, last.number)} not in the log's count: they were inserted."]
    return [] if last == head else [f"The newest row, {last.number}, is not the one that was written last."]


def _rows(first: int, last: int) -> str:
    return f"Row {first} is" if first == last else f"Rows {first} to {last} are"
