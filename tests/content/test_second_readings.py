"""What is two things to two readers is told, and what is one is not."""

import struct
from pathlib import Path

import pytest

from tests.content.headers.samples import TWO, safetensors
from tests.content.test_detection import tar_behind
from tests.simulators import samples
from weighbridge.content.detection import detect_file
from weighbridge.content.second_readings import second_readings

HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(40)
PNG = b"\x89PNG\r\n\x1a\n"
FOOTER = bytes(40) + struct.pack("<I", 30) + b"PAR1"


@pytest.mark.parametrize(
    ("content", "others"),
    [
        (tar_behind(b"lmgg"), ("ggml",)),
        (tar_behind(PNG), ("image",)),
        (tar_behind(b"%PDF-1.7"), ("pdf",)),
        (tar_behind(b"jartsr='"), ("executable",)),
        (PNG + bytes(504) + HDF5, ("hdf5",)),
        (PNG + bytes(8184) + HDF5, ("hdf5",)),
        (PNG + FOOTER, ("parquet",)),
        (safetensors({"a": TWO}, bytes(8)), ()),
        (samples.tar_of({"ID3 tags.txt": b"x", "MZ.txt": b"y"}), ()),
        (samples.tar_of({"GIF89a": b"x"}), ()),
        (samples.tar_of({"model.h5": HDF5}), ()),
        (b"user block".ljust(512) + HDF5, ()),
        (HDF5 + bytes(600) + HDF5, ()),
        (PNG + b"PAR1", ()),
        (b"a text that ends in PAR1", ()),
        (b"x", ()),
    ],
)
def test_second_readings(tmp_path: Path, content: bytes, others: tuple[str, ...]) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert second_readings(path, detect_file("x", path), len(content)) == others
