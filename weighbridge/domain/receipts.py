"""Receipts as values: how much of which file of a version who got, and from when to when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Receipt:
    """The transfers of one file of a version to one caller at one address.

    Attributes:
        name: the model's name.
        version: the version's number.
        actor: who got it, as the audit log names callers.
        address: where.
        path: of the file.
        first_at: when the first transfer ended; UTC.
        last_at: when the last transfer ended; UTC.
        transfers: how many there were.
        whole: how many of them sent all of the file.
        size: bytes of all of them together.
    """

    name: str
    version: str
    actor: str
    address: str
    path: str
    first_at: datetime
    last_at: datetime
    transfers: int
    whole: int
    size: int

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What tells it from others."""
        return self.name, self.version, self.actor, self.address, self.path

    def plus(self, other: Receipt) -> Receipt:
        """Return both together."""
        return replace(
            self,
            first_at=min(self.first_at, other.first_at),
            last_at=max(self.last_at, other.last_at),
            transfers=self.transfers + other.transfers,
            whole=self.whole + other.whole,
            size=self.size + other.size,
        )


@dataclass(frozen=True)
class Recipient:
    """Who was given files of a version, at one address.

    Attributes:
        actor: as the audit log names callers: `key:NAME`, `issuer:SUBJECT`, `anonymous`.
        address: where; empty where the log does not say it.
        first_at: when they were first given files; ISO 8601, UTC.
        last_at: when they were last known to be given files.
        before_verdict: whether it was handed on before there was a verdict.
        whole: paths of files that they got all of: in one transfer, or in parts that are as many bytes together.
        parts: paths of files that they got a part of.
        paths_known: whether the transfers were recorded; otherwise any file may have been given out.
    """

    actor: str
    address: str
    first_at: str
    last_at: str
    before_verdict: bool = False
    whole: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    paths_known: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**vars(self), "whole": list(self.whole), "parts": list(self.parts)}


def recipients_of(receipts: Iterable[Receipt], sizes: dict[str, int]) -> list[Recipient]:
    """Return who got what by receipts, each caller at each address once, sorted.

    Args:
        receipts: of one version.
        sizes: of its files, by path.
    """
    by_caller: dict[tuple[str, str], list[Receipt]] = {}
    for receipt in receipts:
        by_caller.setdefault((receipt.actor, receipt.address), []).append(receipt)
    return [_recipient(*caller, found, sizes) for caller, found in sorted(by_caller.items())]


def _recipient(actor: str, address: str, receipts: list[Receipt], sizes: dict[str, int]) -> Recipient:
    whole = {one.path for one in receipts if one.whole or one.size >= sizes.get(one.path, one.size + 1)}
    return Recipient(
        actor=actor,
        address=address,
        first_at=_text(min(one.first_at for one in receipts)),
        last_at=_text(max(one.last_at for one in receipts)),
        whole=tuple(sorted(whole)),
        parts=tuple(sorted({one.path for one in receipts} - whole)),
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
