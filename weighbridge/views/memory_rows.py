"""The memory that a model needs, row by row: each part with its range and its source, and the cards that it fits.

Rows come from an estimate (domain.estimates.requirements) or from the `requirements` of a card, which may be of another
installation: what has no meaning has no row. Not here: how rows are drawn (views.terminal, views.markdown).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.estimates.plausible import LARGEST, text, whole
from weighbridge.domain.estimates.requirements import Requirements
from weighbridge.views.text import count_text

_MOST_ROWS = 20
_ORDER = {"weights": 0, "cache": 1, "overhead": 2}
_FITS = {"yes": "fits", "perhaps": "fits in some engines", "no": "does not fit"}


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One part of the memory, or one card: its name, what it takes, and what that was told from."""

    name: str
    value: str
    source: str


def estimate_rows(needed: Requirements) -> list[MemoryRow]:
    """Return the rows of an estimate: weights, cache for each length, overhead, cards."""
    document = needed.to_json()
    parts = [{**part, "tokens": need["tokens"]} for need in document["needs"] for part in need["parts"]]
    last = document["needs"][-1]["tokens"] if document["needs"] else 0
    kept = [part for part in parts if part["name"] == "cache" or part["tokens"] == last]
    rows = requirement_rows({"parts": kept, "cards": document["cards"]})
    if active := needed.weights.active:
        rows.insert(0, MemoryRow("active parameters", count_text(active), "those that one token uses"))
    return rows


def estimate_lines(needed: Requirements) -> list[str]:
    """Return the rows as plain lines: `weights     16.1 GB    safetensors: …`."""
    rows = estimate_rows(needed)
    names = max((len(row.name) for row in rows), default=0)
    values = max((len(row.value) for row in rows), default=0)
    return [f"{row.name:{names}}  {row.value:{values}}  {row.source}".rstrip() for row in rows]


def requirement_rows(requirements: Mapping[str, Any]) -> list[MemoryRow]:
    """Return the rows of a card's `requirements`: of its `parts` and of its `cards`."""
    parts = sorted(_list(requirements.get("parts")), key=lambda part: _ORDER.get(text(part.get("name")), 0))
    rows = [_part(part) for part in parts]
    rows += [_card(card) for card in _list(requirements.get("cards"))]
    return [row for row in rows if row is not None]


def _list(value: object) -> list[Mapping[str, Any]]:
    entries = value[:_MOST_ROWS] if isinstance(value, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _part(part: Mapping[str, Any]) -> MemoryRow | None:
    name, low, high = text(part.get("name"), 40), part.get("low"), whole(part.get("high"), 2 * LARGEST)
    if not name or high is None:
        return None
    tokens = whole(part.get("tokens"))
    label = f"{name} for {tokens:,} tokens" if name == "cache" and tokens else name
    return MemoryRow(label, _range(whole(low, high) or 0, high), text(part.get("from")))


def _card(card: Mapping[str, Any]) -> MemoryRow | None:
    size, fits = whole(card.get("card_gb"), 10_000), _FITS.get(text(card.get("fits")))
    if size is None or fits is None:
        return None
    least, most = whole(card.get("tokens")) or 0, whole(card.get("most_tokens"))
    room = "" if most is None else f", with {_tokens(least, most)}"
    return MemoryRow(f"{size} GB card", f"{fits}{room}", "")


def _tokens(least: int, most: int) -> str:
    if least == most:
        return f"{most:,} tokens"
    return f"{least:,} to {most:,} tokens" if least else f"up to {most:,} tokens"


def _range(low: int, high: int) -> str:
    shown = [_gigabytes(size) for size in (low, high)]
    return f"{shown[0]} GB" if shown[0] == shown[1] else f"{shown[0]} to {shown[1]} GB"


def _gigabytes(size: int) -> str:
    """Return decimal gigabytes with one digit behind the point, or two for less than one."""
    return f"{size / 1e9:,.1f}" if size >= 1e9 else f"{size / 1e9:.2f}"
