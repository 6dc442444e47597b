"""What is two things to two readers is told, and what is one is not."""

import struct
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.content.headers.samples import TWO, safetensors
from tests.content.test_detection import tar_behind
from tests.simulators import samples
from weighbridge.content.detection import HEAD_SIZE, detect_file
from weighbridge.content.second_readings import Excerpts, second_readings

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


@given(
    place=st.sampled_from([511, 512, 1024, 2048, 4096, 8192]),
    size=st.integers(0, 9000),
    cuts=st.lists(
        st.one_of(st.integers(0, 9000), st.sampled_from([511, 515, 1030, 4096, 8191, 8193, 8199])), max_size=6
    ),
    footer=st.booleans(),
)
def test_content_that_streams_by_reads_as_the_file(
    tmp_path_factory: pytest.TempPathFactory, place: int, size: int, cuts: list[int], footer: bool
) -> None:
    content = ((PNG.ljust(place, b"\0") + HDF5)[:size] + FOOTER * footer).ljust(size, b"\0")
    path = tmp_path_factory.getbasetemp() / "streamed"
    path.write_bytes(content)
    excerpts = Excerpts(content[:HEAD_SIZE])
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    for start, end in pairwise(edges):
        excerpts.add(content[start:end])
    kind = detect_file("x", path)
    assert excerpts.second_readings(kind) == second_readings(path, kind, len(content))
