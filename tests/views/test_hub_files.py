"""CSV and parquet of the Hub's models: every column of every model, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet

from tests.hub_entries import LARGE, LLAMA, NOW, QWEN, listed
from weighbridge.domain.hub_models import HubEntry, HubModel
from weighbridge.views import hub_files

BATCHES = [
    (HubEntry(LLAMA, NOW), HubEntry(LARGE, NOW)),
    (HubEntry(QWEN, NOW, NOW), HubEntry(HubModel("org/bare"), NOW)),
]


def test_csv_has_every_model() -> None:
    file = io.StringIO()
    assert hub_files.write_csv(BATCHES, file) == 4
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["id"] for row in rows] == [LLAMA.id, LARGE.id, QWEN.id, "org/bare"]
    assert (rows[0]["gated"], rows[0]["vram"], rows[0]["params"]) == ("auto", "16GB", "8B")
    assert rows[2]["vanished_at"] == NOW.isoformat()
    assert rows[3]["parameters"] == ""


def test_what_a_spreadsheet_would_run_is_text() -> None:
    hostile = listed("org/a", tags=("=HYPERLINK(1)",), licence="+1", library="@x", downloads=-5)
    file = io.StringIO()
    hub_files.write_csv([(HubEntry(hostile, NOW),)], file)
    (found,) = csv.DictReader(io.StringIO(file.getvalue()))
    assert (found["tags"], found["license"], found["library_name"]) == ("'=HYPERLINK(1)", "'+1", "'@x")
    assert found["downloads"] == "-5", "a number stays one"


def test_bytes_are_utf_8_whatever_a_name_holds() -> None:
    file = io.BytesIO()
    hub_files.write_csv_bytes([(HubEntry(listed("org/größe", tags=("\ud800",)), NOW),)], file)
    assert "org/größe" in file.getvalue().decode()


def test_parquet_has_the_same_rows_with_types(tmp_path: Path) -> None:
    path = tmp_path / "models.parquet"
    with path.open("wb") as file:
        assert hub_files.write_parquet(BATCHES, file) == 4
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == list(hub_files.COLUMNS)
    assert table.to_pylist()[0]["parameters"] == LLAMA.parameters
    assert table.to_pylist() == [hub_files.row(entry) for batch in BATCHES for entry in batch]
    assert pyarrow.parquet.ParquetFile(path).num_row_groups == 2


def test_a_number_beyond_64_bits_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "models.parquet"
    with path.open("wb") as file:
        hub_files.write_parquet([(HubEntry(listed("org/a", downloads=2**63), NOW),)], file)
    assert pyarrow.parquet.read_table(path).to_pylist()[0]["downloads"] is None
