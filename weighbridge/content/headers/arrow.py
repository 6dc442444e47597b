"""Arrow's and parquet's metadata: types and texts that readers of tables unpickle or open.

pyarrow up to 14.0.0 unpickles the metadata of a column of the type `arrow.py_extension_type` (CVE-2023-47248), and Ray
whole columns. Only footers and schemas are read, never a column; no schema is built, as a text in one is found without.
Not here: Thrift (thrift), what a pickle would do (pickles.embedded).
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers import config, thrift
from weighbridge.content.headers.outside import leaves_model
from weighbridge.content.pickles import embedded
from weighbridge.domain.report import Finding

#: Bytes of a footer or a schema; those of tables with ten thousand columns have a tenth of it.
MAX_METADATA_SIZE = 64 * 1024 * 1024
#: Names of types whose metadata or values their readers unpickle, by what they do.
_PICKLED = {
    b"arrow.py_extension_type": "which pyarrow unpickles when it reads the schema (CVE-2023-47248)",
    b"ray.data.arrow_pickled_object": "whose values Ray unpickles",
}
#: Fields of parquet's FileMetaData: key_value_metadata = 5 (key = 1, value = 2); row_groups = 4, columns = 1,
#: file_path = 1.
_PAIRS, _KEY, _VALUE, _ROW_GROUPS, _COLUMNS, _FILE = 5, 1, 2, 4, 1, 1
_MAX_TEXT_IN_SCHEMA = 16 * 1024 * 1024


@dataclass(frozen=True)
class ArrowHeader:
    """What a table's metadata leads to.

    Attributes:
        bytes_read: of metadata.
        findings: `table.*`, `pickle.embedded` and those of configurations.
        failure: why the metadata could not be read to its end, or empty.
    """

    bytes_read: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""


class _Broken(ValueError):
    """The metadata cannot be read; the text says why."""


def read_parquet(path: Path) -> ArrowHeader:
    """Read a parquet file's footer: its length and its mark are the last eight bytes."""
    findings = Findings()
    try:
        with open(path, "rb") as file:
            footer = _footer(file, path.stat().st_size, b"PAR1", 4)
        _inspect_footer(footer, findings)
    except (_Broken, thrift.MalformedThrift) as error:
        return ArrowHeader(findings=findings.all, failure=f"its footer cannot be read: {error}")
    return ArrowHeader(len(footer), findings.all)


def read_arrow(path: Path) -> ArrowHeader:
    """Read the schemas of an Arrow or Feather file: that of the footer, and that of the first message."""
    findings = Findings()
    try:
        with open(path, "rb") as file:
            schemas = list(_schemas(file, path.stat().st_size))
    except _Broken as error:
        return ArrowHeader(failure=f"its schema cannot be read: {error}")
    for schema in schemas:
        _inspect_schema(schema, findings)
    return ArrowHeader(sum(map(len, schemas)), findings.all)


def _footer(file: BinaryIO, size: int, mark: bytes, before: int) -> bytes:
    """Return the metadata at a file's end: content, its length in four bytes, and a mark."""
    if size < before + 4 + len(mark):
        raise _Broken("the file is too short")
    file.seek(-4 - len(mark), os.SEEK_END)
    tail = file.read()
    if tail[4:] == b"PARE":
        raise _Broken("it is encrypted")
    if tail[4:] != mark:
        raise _Broken("the file does not end with its mark")
    length = int.from_bytes(tail[:4], "little")
    if length > min(size - before - len(tail), MAX_METADATA_SIZE):
        raise _Broken(f"it declares {length:,} bytes")
    file.seek(-len(tail) - length, os.SEEK_END)
    return file.read(length)


def _schemas(file: BinaryIO, size: int) -> list[bytes]:
    head = file.read(8)
    if head[:4] == b"FEA1":
        return [_footer(file, size, b"FEA1", 4)]
    if head[:6] != b"ARROW1":
        return [_message(file, 0, size)]
    footer = _footer(file, size, b"ARROW1", 8)
    return [footer, _message(file, 8, size)]


def _message(file: BinaryIO, at: int, size: int) -> bytes:
    """Return the first message's metadata: a mark that older versions leave out, its length, its bytes."""
    file.seek(at)
    head = file.read(8)
    marked = head[:4] == b"\xff\xff\xff\xff"
    length = int.from_bytes(head[4:] if marked else head[:4], "little")
    start = at + (8 if marked else 4)
    if len(head) < 8 or not 0 < length <= min(size - start, MAX_METADATA_SIZE):
        raise _Broken("the first message is none")
    file.seek(start)
    return file.read(length)


def _inspect_footer(footer: bytes, findings: Findings) -> None:
    keys: dict[int, bytes] = {}
    for place, text in thrift.texts(footer):
        if len(place) == 3 and place[0] == _PAIRS:
            if place[2] == _KEY:
                keys[place[1]] = text
            elif place[2] == _VALUE:
                _inspect_value(keys.get(place[1], b"").decode(errors="backslashreplace"), text, findings)
        elif len(place) == 5 and (place[0], place[2], place[4]) == (_ROW_GROUPS, _COLUMNS, _FILE):
            _inspect_file(text.decode(errors="backslashreplace"), findings)


def _inspect_value(key: str, value: bytes, findings: Findings) -> None:
    if key == "ARROW:schema":
        try:
            schema = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise _Broken("its schema is no base64") from None
        _inspect_schema(schema, findings)
        return
    findings.extend(embedded.inspect(value, quoted(key)))
    findings.extend(config.inspect_text(value.decode(errors="replace"), quoted(key)))


def _inspect_file(name: str, findings: Findings) -> None:
    if name:
        level, where = ("error", "outside of the model") if leaves_model(name) else ("warning", "beside it")
        text = f"One of its columns is in another file {where}, {quoted(name)}."
        findings.add("table.external", level, text)  # type: ignore[arg-type]


def _inspect_schema(schema: bytes, findings: Findings) -> None:
    """Find types that are unpickled, and pickles among a schema's texts.

    FlatBuffers keep a text in one piece: four bytes of length at a multiple of four, the text, a zero.
    """
    for name, what in _PICKLED.items():
        if name in schema:
            text = f"It has a column of the type {name.decode()}, {what}."
            findings.add("table.pickled-type", "error", text)
    for at in range(0, len(schema) - 8, 4):
        length = int.from_bytes(schema[at : at + 4], "little")
        end = at + 4 + length
        if 6 <= length <= _MAX_TEXT_IN_SCHEMA and end < len(schema) and schema[end] == 0:
            findings.extend(embedded.inspect(schema[at + 4 : end], f"schema@{at}"))
