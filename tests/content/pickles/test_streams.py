"""Pickles are looked for where something unpickles them, and everything between and behind them is accounted for."""

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.content.test_detection import tar_behind
from tests.simulators import samples
from weighbridge.content.detection import detect_file
from weighbridge.content.pickles.globals import classify
from weighbridge.content.pickles.streams import Search

EVIL = samples.malicious_pickle(2)
NUMBERS = samples.npy_of(np.arange(6.0))
OBJECTS = samples.malicious_npy()


class Searched:
    """What a search over one file came to."""

    def __init__(self, path: Path) -> None:
        self.format = detect_file(path.name, path)
        search = Search(path, self.format)
        self.streams = list(search)
        self.unread = search.unread
        self.rules = {finding.rule: finding.level for finding in search.findings.all}
        self.harmful = any(classify(found) == "dangerous" for one in self.streams for found in one.walked.imports)
        self.whole = search.covered == path.stat().st_size


@pytest.fixture
def search(tmp_path: Path) -> Callable[[str, bytes], Searched]:
    def run(name: str, content: bytes) -> Searched:
        path = tmp_path / name
        path.write_bytes(content)
        return Searched(path)

    return run


def _jumps_over_a_tar() -> bytes:
    """Return a tar, which is also a pickle: its first member's name is an opcode that goes past all of the archive."""
    archive = tar_behind(b"\x80\x03B" + struct.pack("<I", 9000))
    return archive.ljust(9007, b"\0") + b"0" + samples.malicious_pickle(0)


HIDDEN = {
    "a second array of objects": ("w.npy", NUMBERS + OBJECTS),
    "a pickle after an array": ("w.npy", NUMBERS + EVIL),
    "an array after a pickle": ("w.pkl", pickle.dumps(1) + OBJECTS),
    "a third array": ("w.npy", NUMBERS + NUMBERS + OBJECTS),
    "an array within an archive": ("w.npz", samples.zip_of({"a.npy": NUMBERS + OBJECTS})),
    "a pickle after plain ones without marks": ("w.pkl", pickle.dumps(1, 0) * 2 + samples.malicious_pickle(0)),
    "an unmarked one in a file of any name": ("weights.dat", samples.malicious_pickle(0)),
    "an unmarked one behind the name of a text": ("labels.txt", samples.malicious_pickle(0)),
    "a marked one that breaks": ("labels.txt", EVIL[:-1] + b"\xff"),
    "an unmarked one that breaks": ("pytorch_model.bin", samples.malicious_pickle(0)[:-1] + b"\xff"),
    "far behind plain values": ("model.bin", b"(" + b"N0" * 5000 + samples.malicious_pickle(0)[:-1] + b"\xff"),
    "an extension code": ("m.pkl", b"\x80\x02\x82\x07(X\x02\0\0\0idtR."),
    "an extension code without a mark": ("m.pkl", b"\x82\x07(X\x02\0\0\0idtR."),
    "a renamed member": ("m.zip", samples.zip_of({"weights.png": EVIL})),
    "far behind plain pickles of a member": ("m.zip", samples.zip_of({"x.dat": b"N." * 5000 + EVIL})),
    "a member that is an archive too": ("m.zip", samples.zip_of({"x.tar": _jumps_over_a_tar()})),
    "a member that is no storage": ("m.pt", samples.zip_of({"a/data.pkl": EVIL, "a/data/1": EVIL})),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_it_is_found(search: Callable[[str, bytes], Searched], name: str) -> None:
    found = search(*HIDDEN[name])
    assert found.harmful


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


RAW = {
    "words": ("labels.txt", b"calendar\nemail\nos\nsystem\n"),
    "classes": ("coco.names", b"cat\ncalendar\n"),
    "source": ("model.py", b"class A:\n    pass\n"),
    "ones": ("norm.bin", b"\x80\x3f" * 400),
    "zero points": ("zero.bin", b"\x80" * 400),
    "small numbers": ("embeddings.bin", b"\x94\x1e\x03\x3d" + floats(*[0.1, -0.2] * 100)),
    "an extension code": ("w.bin", b"\x82\x07." + bytes(200)),
    "a whole pickle of nothing": ("w.bin", b"N." + floats(*[0.25] * 50)),
    "the same number": ("w.bin", b"N" * 10_000),
    "no compressed stream": ("w.bin", b"\x78\x9c" + floats(*[0.25] * 50)),
    "no old one either": ("w.bin", b"\x5d\0\0\0\1" + floats(*[0.25] * 50)),
    "word2vec": ("vectors.bin", b"1200000 4\nthe " + floats(0.1, 0.2, 0.3, 0.4) + b"\n"),
    "spaCy": ("model", b"\x81\xa5attrs\xc4\x04" + bytes(40)),
    "arrays": ("w.npz", samples.zip_of({"a.npy": NUMBERS, "b.npy": samples.npy_of(np.zeros(0))})),
    "a structured array": ("w.npy", samples.npy_of(np.zeros(3, dtype=[("a", "<f4"), ("b", "<i8", (2,))]))),
    "two arrays": ("w.npy", NUMBERS * 2),
    "an array of opcodes": ("w.npy", samples.npy_of(np.frombuffer(EVIL, dtype="u1"))),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_raw_numbers_and_texts_are_none(search: Callable[[str, bytes], Searched], name: str) -> None:
    found = search(*RAW[name])
    assert (found.streams, found.unread, found.rules, found.whole) == ([], "", {}, True)
    assert found.format != "pickle"


def test_what_belongs_to_nothing_is_said(search: Callable[[str, bytes], Searched]) -> None:
    assert search("m.pkl", pickle.dumps({"a": 1}) + b"\x01\x02\x03").rules == {"pickle.trailing-data": "warning"}
    assert search("m.npy", NUMBERS + b"\x01\x02\x03").rules == {"pickle.trailing-data": "warning"}
    assert search("m.pkl", pickle.dumps({"a": 1}) + bytes(100)).rules == {}


def test_an_array_that_is_cut_off_is_inconsistent(search: Callable[[str, bytes], Searched]) -> None:
    assert search("m.npy", NUMBERS[:-1]).rules == {"pickle.inconsistent": "error"}
    assert search("m.npz", samples.zip_of({"a.npy": NUMBERS[:-1]})).rules == {"pickle.inconsistent": "error"}


def test_an_array_of_objects_without_its_pickle_is_unread(search: Callable[[str, bytes], Searched]) -> None:
    start = OBJECTS.index(b"\n") + 1
    assert search("m.npy", OBJECTS[:start]).unread
    assert search("m.npy", OBJECTS[:start] + floats(1, 2, 3)).unread


def test_a_name_alone_does_not_make_a_pickle_readable(search: Callable[[str, bytes], Searched]) -> None:
    assert search("m.pkl", b"another compression").unread
    assert not search("m.pkl", pickle.dumps(1, 0)).unread


def test_a_flood_of_plain_pickles_ends(search: Callable[[str, bytes], Searched]) -> None:
    assert "more than" in search("m.bin", b"N." * 20_000).unread
    assert not search("m.txt", b"N." * 20_000).unread


def test_numbers_of_an_array_within_an_archive_are_not_kept(search: Callable[[str, bytes], Searched]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(300_000), b=np.array([1, None], dtype=object))
    found = search("m.npz", buffer.getvalue())
    assert [one.location for one in found.streams] == ["b.npy@128"]
    assert found.whole
