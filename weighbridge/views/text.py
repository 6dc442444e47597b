"""Numbers as text for a person: sizes, counts, metrics and progress with their units."""

from __future__ import annotations

from weighbridge.domain.progress import BYTES
from weighbridge.domain.result import Metric
from weighbridge.domain.tally import Reading
from weighbridge.domain.text import shown

STATUS_COLOURS = {"PASSED": "green", "FAILED": "red", "SKIPPED": "yellow"}


def bytes_text(size: int | float) -> str:
    """Return a number of bytes as text: `93.8 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def count_text(number: int) -> str:
    """Return a large count as text: `134.5 M`."""
    for limit, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return str(number)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s in the plural: `1 file`, `1,200 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def metric_text(value: float, unit: str) -> str:
    """Return a measured number with its unit."""
    if unit == "bytes":
        return bytes_text(value)
    if unit == "s" and value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.4g} {unit}".removesuffix(" 1").strip()


def duration_text(seconds: float) -> str:
    """Return seconds as a clock shows them: `0:07`, `12:30`, `3:05:00`; with `days` for long times."""
    whole = round(seconds)
    if whole >= 100 * 3600:
        return f"{whole // 86400} days"
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


#: A total beside which the number of what is done is too long for a terminal's line.
_VERY_MANY = 100_000


def amount_text(reading: Reading) -> str:
    """Return how much of a step is done: `38.2/88.6 MiB`, `3/22 models`; nothing where nothing is counted.

    Of very many, and of an unknown number, it is what is done alone: `1,234,567 models`.
    """
    done, total = reading.done, reading.total
    if reading.unit != BYTES and (total is None or total >= _VERY_MANY):
        return f"{done:,} {reading.unit}" if done else ""
    if reading.unit != BYTES:
        return f"{done}/{total} {reading.unit}" if total and total > 1 else ""
    if not total:
        return bytes_text(done) if done else ""
    number, unit = bytes_text(total).split(" ")
    factor = 1024 ** ("B", "KiB", "MiB", "GiB", "TiB").index(unit)
    return f"{done / factor:.{0 if unit == 'B' else 1}f}/{number} {unit}"


def progress_text(reading: Reading) -> str:
    """Return a step's progress as a line of a log: `38.2/88.6 MiB at 12.3 MiB/s, 0:04 left, model.gguf`."""
    parts = [amount_text(reading)]
    if reading.speed is not None and reading.unit == BYTES and not reading.finished:
        parts[0] += f" at {bytes_text(reading.speed)}/s"
    if reading.finished:
        parts.append(f"done in {duration_text(reading.passed_s)}")
    elif reading.left_s is not None:
        parts.append(f"{duration_text(reading.left_s)} left")
    else:
        parts.append(f"since {duration_text(reading.passed_s)}")
    return ", ".join(filter(None, [*parts, "" if reading.finished else shown(reading.at)]))


def interval_text(metric: Metric) -> str:
    """Return a metric's interval as text: `98.1 to 101.4`; empty where it has none."""
    if metric.value is None or metric.interval is None:
        return ""
    low, high = (metric_text(bound, metric.unit) for bound in (metric.interval.low, metric.interval.high))
    (least, _, unit), (most, _, other) = low.partition(" "), high.partition(" ")
    return f"{least} to {most}" if unit == other else f"{low} to {high}"
