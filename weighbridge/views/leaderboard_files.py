"""Files of a leaderboard's rows, CSV and parquet: the same columns of the same types, however many rows there are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.benchmarks.leaderboard import RankedGroup
from weighbridge.errors import UsageError

if TYPE_CHECKING:
    import pandas

#: Columns and their types; docs/formats.md says what each means.
COLUMNS = {
    "rank": "Int64",
    "rank_best": "Int64",
    "rank_worst": "Int64",
    "name": "string",
    "version": "string",
    "names": "string",
    "architecture": "string",
    "parameter_count": "Int64",
    "licence": "string",
    "benchmark": "string",
    "definition": "string",
    "metric": "string",
    "value": "Float64",
    "unit": "string",
    "low": "Float64",
    "high": "Float64",
    "n": "Int64",
    "reason": "string",
    "noisy": "string",
    "comparable_key": "string",
    "machine": "string",
    "manifest_digest": "string",
    "measured_at": "string",
}
_GREATEST = 2**63 - 1
#: A spreadsheet treats a cell that begins so as a formula, and names and reasons come from strangers' models.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def frame(groups: Iterable[RankedGroup]) -> pandas.DataFrame:
    """Return all rows as a data frame, with every column of `COLUMNS` and no other."""
    import pandas  # It takes longer to import than the rest of a command.

    rows = [row.to_json() for group in groups for row in group.rows]
    columns = {name: pandas.array([_fit(row[name], kind) for row in rows], kind) for name, kind in COLUMNS.items()}
    return pandas.DataFrame(columns)


def write_csv(groups: Iterable[RankedGroup], path: Path) -> None:
    """Write the rows as UTF-8 with a line of names; a text that a spreadsheet would run gets a `'` before it.

    Raises:
        UsageError: the file cannot be written.
    """
    table = frame(groups)
    for name, kind in COLUMNS.items():
        if kind == "string":
            table[name] = table[name].mask(table[name].str.startswith(_FORMULA).fillna(False), "'" + table[name])
    _write(table.to_csv, path)


def write_parquet(groups: Iterable[RankedGroup], path: Path) -> None:
    """Write the rows as parquet.

    Raises:
        UsageError: the file cannot be written.
    """
    _write(frame(groups).to_parquet, path)


def _write(write: Any, path: Path) -> None:
    try:
        write(path, index=False)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}.", "Name a file in a folder that is there."
        ) from error


def _fit(value: Any, kind: str) -> Any:
    """Return a value in the type of its column; a number that does not fit into its column is left out."""
    if kind == "Int64":
        return value if isinstance(value, int) and abs(value) <= _GREATEST else None
    return str(value) if kind == "string" and value is not None else value
