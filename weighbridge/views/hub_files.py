"""Files of models of the Hub, CSV and parquet: the same columns, written in parts, however many models there are.

Not here: the lines of a terminal (views.hub_lines).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, BinaryIO

from weighbridge.domain.estimates.shown import memory_text
from weighbridge.domain.hub_labels import parameters_text_of
from weighbridge.domain.hub_models import HubEntry

#: Columns and their types in parquet; docs/formats.md says what each means.
COLUMNS = {
    "id": "string",
    "author": "string",
    "gated": "string",
    "disabled": "bool",
    "pipeline_tag": "string",
    "library_name": "string",
    "license": "string",
    "parameters": "int64",
    "parameters_from": "string",
    "weights_size": "int64",
    "memory_size": "int64",
    "params": "string",
    "vram": "string",
    "downloads": "int64",
    "downloadsAllTime": "int64",
    "likes": "int64",
    "trendingScore": "double",
    "createdAt": "string",
    "lastModified": "string",
    "sha": "string",
    "base_models": "string",
    "tags": "string",
    "seen_at": "string",
    "vanished_at": "string",
}
_GREATEST = 2**63 - 1
#: A spreadsheet treats a cell that begins so as a formula, and names and tags come from strangers.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def row(entry: HubEntry) -> dict[str, Any]:
    """Return a model as the values of `COLUMNS`; None for what is not known."""
    model = entry.model
    return {
        "id": model.id,
        "author": model.author,
        "gated": str(model.gated),
        "disabled": model.disabled,
        "pipeline_tag": model.pipeline_tag or None,
        "library_name": model.library or None,
        "license": model.licence or None,
        "parameters": model.parameters,
        "parameters_from": model.parameters_from or None,
        "weights_size": model.weights_size,
        "memory_size": model.memory_size,
        "params": parameters_text_of(model) or None,
        "vram": memory_text(model.memory_size) if model.memory_size else None,
        "downloads": model.downloads,
        "downloadsAllTime": model.downloads_all_time,
        "likes": model.likes,
        "trendingScore": model.trending_score,
        "createdAt": model.created_at.isoformat() if model.created_at else None,
        "lastModified": model.last_modified.isoformat() if model.last_modified else None,
        "sha": model.sha or None,
        "base_models": " ".join(model.base_models),
        "tags": " ".join(model.tags),
        "seen_at": entry.seen_at.isoformat(),
        "vanished_at": entry.vanished_at.isoformat() if entry.vanished_at else None,
    }


def write_csv(batches: Iterable[Sequence[HubEntry]], file: IO[str]) -> int:
    """Write models as CSV with a line of names, and return how many."""
    return write_rows((row(entry) for batch in batches for entry in batch), COLUMNS, file)


def write_csv_bytes(batches: Iterable[Sequence[HubEntry]], file: BinaryIO) -> int:
    """Write models as `write_csv` does, in UTF-8, to a file of bytes."""
    text = io.TextIOWrapper(file, "utf-8", "replace", newline="", write_through=True)
    try:
        return write_csv(batches, text)
    finally:
        text.detach()


def write_rows(rows: Iterable[Mapping[str, Any]], columns: Iterable[str], file: IO[str]) -> int:
    """Write rows as CSV with a line of names, and return how many; a text that a spreadsheet would run gets a `'`."""
    writer = csv.DictWriter(file, tuple(columns), lineterminator="\n")
    writer.writeheader()
    count = 0
    for one in rows:
        writer.writerow({name: _cell(value) for name, value in one.items()})
        count += 1
    return count


def write_parquet(batches: Iterable[Sequence[HubEntry]], file: BinaryIO) -> int:
    """Write models as parquet, a row group for each batch, and return how many."""
    import pyarrow  # It takes longer to import than the rest of a command.
    from pyarrow import parquet

    types = {"string": pyarrow.string(), "int64": pyarrow.int64(), "double": pyarrow.float64(), "bool": pyarrow.bool_()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    count = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            rows = [row(entry) for entry in batch]
            columns = [
                pyarrow.array([_fit(one[name], kind) for one in rows], types[kind]) for name, kind in COLUMNS.items()
            ]
            writer.write_table(pyarrow.table(columns, schema=schema))
            count += len(batch)
    return count


def _fit(value: Any, kind: str) -> Any:
    """Return a value for its column; a number or a text that does not fit into it is left out, or replaced."""
    if kind == "int64":
        return value if value is not None and abs(value) <= _GREATEST else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
