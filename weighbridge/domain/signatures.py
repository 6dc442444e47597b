"""Signatures: what a database of ClamAV's is, how old it is, and which one may take the place of another.

Not here: its files (scanners.clamd.database), and what fetches it (intake.signatures).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

#: The action of a row of the audit log that says which signatures are in use now.
UPDATED = "signatures.updated"
DatabaseKind = Literal["official", "custom", "test-only", "unknown"]
#: Days after which an official database counts as old; ClamAV publishes one a day.
OLD_DAYS = 7
_STRENGTH: dict[DatabaseKind, int] = {"test-only": 0, "unknown": 1, "custom": 1, "official": 2}


@dataclass(frozen=True)
class SignatureDatabase:
    """The signatures of a clamd.

    Attributes:
        kind: `official` (ClamAV's own), `custom`, `test-only`, or `unknown` (a foreign clamd that reports none).
        fingerprint: differs for other signatures.
        version: that of the newest official database, or empty.
        built: its ISO date, or empty.
    """

    kind: DatabaseKind
    fingerprint: str
    version: str = ""
    built: str = ""

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return the facts for a policy, as sorted pairs."""
        known = {"database": self.kind, "database_date": self.built, "database_version": self.version}
        return tuple(sorted((name, value) for name, value in known.items() if value))

    def to_json(self) -> dict[str, str]:
        """Return plain JSON types."""
        return {"kind": self.kind, "version": self.version, "date": self.built, "fingerprint": self.fingerprint}

    @property
    def title(self) -> str:
        """Return what a user calls it: `official 27700 of 2026-10-01`."""
        named = " ".join(part for part in (self.kind, self.version) if part)
        return f"{named} of {self.built}" if self.built else named

    @property
    def rank(self) -> tuple[int, int]:
        """Return how much it detects, as far as its kind and version tell; a higher one is newer or stronger."""
        return _STRENGTH[self.kind], int(self.version) if self.version.isdigit() else 0


@dataclass(frozen=True)
class SignatureUpdate:
    """The result of an update.

    Attributes:
        before: the signatures that were in use, or None on a machine without any.
        after: those in use now, which are the same where nothing is new.
        source: where they were asked for, for people: a folder, a mirror, or ClamAV's own servers.
    """

    before: SignatureDatabase | None
    after: SignatureDatabase
    source: str

    @property
    def is_new(self) -> bool:
        """Return whether the signatures changed."""
        return self.before is None or self.before.fingerprint != self.after.fingerprint

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        before = self.before and self.before.to_json()
        return {"new": self.is_new, "before": before, "after": self.after.to_json(), "source": self.source}


@dataclass(frozen=True)
class SignatureStatus:
    """The signatures in use.

    Attributes:
        engine: the version of the engine, such as `1.4.6`.
        database: the signatures.
        where: the folder that they are in, or the address of a foreign clamd.
        age_days: the days since they were built, or None where that is unknown.
    """

    engine: str
    database: SignatureDatabase
    where: str
    age_days: int | None

    @property
    def is_old(self) -> bool:
        """Return whether newer ones are due."""
        return self.age_days is not None and self.age_days > OLD_DAYS

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "engine": self.engine,
            "database": self.database.to_json(),
            "where": self.where,
            "age_days": self.age_days,
            "old": self.is_old,
        }


def age_days(built: str, today: date) -> int | None:
    """Return the days since an ISO date of a database, or None for none; a date in the future is no age."""
    try:
        return max(0, (today - date.fromisoformat(built)).days)
    except ValueError:
        return None


def refusal(found: SignatureDatabase, current: SignatureDatabase | None) -> str:
    """Return why a database must not take the place of the current one, as a sentence, or empty.

    Args:
        found: the database that was brought.
        current: the one in use, or None.
    """
    if found.kind == "test-only":
        return "It holds only Weighbridge's test signatures, which detect nothing but the EICAR test file."
    if current is None or found.rank >= current.rank:
        return ""
    if found.kind == current.kind:
        return f"It is older than the one in use: version {found.version} against {current.version}."
    return f"It is {found.kind} and without ClamAV's own signatures, which the one in use has ({current.title})."
