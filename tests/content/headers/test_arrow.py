import io
import os
import pickle
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import rules, write
from weighbridge.content.headers.arrow import ArrowHeader, read_arrow, read_parquet

SYSTEM = b"cos\nsystem\n(S'id'\ntR."
FORMATS = ["parquet", "file", "stream", "feather"]


def made(kind: str, field: dict[bytes, bytes] | None = None, table: dict[bytes, bytes] | None = None) -> bytes:
    columns = [pyarrow.field("x", pyarrow.int64(), metadata=field), pyarrow.field("words", pyarrow.string())]
    data: Any = pyarrow.table(
        [pyarrow.array([1, 2]), pyarrow.array(["a", "b"])], schema=pyarrow.schema(columns, metadata=table)
    )
    out = io.BytesIO()
    if kind == "parquet":
        pyarrow.parquet.write_table(data, out)
    elif kind == "feather":
        pyarrow.feather.write_feather(data, out)
    else:
        writer = pyarrow.ipc.new_file if kind == "file" else pyarrow.ipc.new_stream
        with writer(out, data.schema) as stream:
            stream.write_table(data)
    return out.getvalue()


def look(folder: Path, kind: str, content: bytes) -> ArrowHeader:
    path = write(folder, content, kind)
    return read_parquet(path) if kind == "parquet" else read_arrow(path)


def extension(name: bytes, metadata: bytes) -> dict[bytes, bytes]:
    return {b"ARROW:extension:name": name, b"ARROW:extension:metadata": metadata}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", [b"arrow.py_extension_type", b"ray.data.arrow_pickled_object"])
def test_types_that_are_unpickled_are_errors(tmp_path: Path, kind: str, name: bytes) -> None:
    found = look(tmp_path, kind, made(kind, extension(name, b"")))
    assert found.failure == ""
    assert [(finding.rule, finding.level) for finding in found.findings] == [("table.pickled-type", "error")]


@pytest.mark.parametrize("kind", FORMATS)
def test_pickles_among_the_metadata_are_found(tmp_path: Path, kind: str) -> None:
    for content in (made(kind, {b"any": SYSTEM}), made(kind, None, {b"any": SYSTEM})):
        found = look(tmp_path, kind, content)
        assert set(rules(found.findings)) == {"pickle.embedded"}
        assert "os.system" in found.findings[0].message


@pytest.mark.parametrize("kind", FORMATS)
def test_tables_that_people_publish_are_no_findings(tmp_path: Path, kind: str) -> None:
    said = {b"huggingface": b'{"info": {"features": {"x": {"dtype": "int64", "_type": "Value"}}}}', b"pandas": b"{}"}
    found = look(tmp_path, kind, made(kind, extension(b"arrow.json", b""), said))
    assert (found.failure, found.findings) == ("", ())
    assert found.bytes_read > 0


def test_a_column_in_another_file_is_found(tmp_path: Path) -> None:
    for name, level in (("/etc/passwd", "error"), ("part-0.parquet", "warning")):
        metadata = pyarrow.parquet.read_metadata(io.BytesIO(made("parquet")))
        metadata.set_file_path(name)
        sink = io.BytesIO()
        metadata.write_metadata_file(sink)
        found = look(tmp_path, "parquet", sink.getvalue())
        assert {(finding.rule, finding.level) for finding in found.findings} == {("table.external", level)}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("cut", [6, 40, -9])
def test_what_is_cut_off_is_a_failure(tmp_path: Path, kind: str, cut: int) -> None:
    if kind != "stream" or cut == 6 or cut == 40:
        assert look(tmp_path, kind, made(kind)[:cut]).failure


def test_an_encrypted_footer_and_impossible_lengths_are_failures(tmp_path: Path) -> None:
    content = made("parquet")
    assert "encrypted" in look(tmp_path, "parquet", content[:-4] + b"PARE").failure
    assert "declares" in look(tmp_path, "parquet", content[:-8] + b"\xff\xff\xff\x7f" + b"PAR1").failure
    assert look(tmp_path, "file", b"ARROW1\0\0" + os.urandom(4)).failure


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mutated_file_never_raises(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(FORMATS))
    content = bytearray(SAMPLES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    look(tmp_path, kind, bytes(content))


SAMPLES = {kind: made(kind, extension(b"x", pickle.dumps(1))) for kind in FORMATS}
