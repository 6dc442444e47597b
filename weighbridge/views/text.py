"""Numbers as a person reads them: sizes, counts and metrics with their units."""

from __future__ import annotations

STATUS_COLOURS = {"PASSED": "green", "FAILED": "red", "SKIPPED": "yellow"}


def bytes_text(size: int | float) -> str:
    """Return bytes for a person: `93.8 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def count_text(number: int) -> str:
    """Return a large count for a person: `134.5 M`."""
    for limit, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return str(number)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s in the plural: `1 file`, `1,200 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def metric_text(value: float, unit: str) -> str:
    """Return a measured number as a person reads it."""
    if unit == "bytes":
        return bytes_text(value)
    if unit == "s" and value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.4g} {unit}".removesuffix(" 1").strip()
