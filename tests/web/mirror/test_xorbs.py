"""The chunks that a reconstruction names are the file, whatever its size and whatever part is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from weighbridge.web.mirror import xorbs
from weighbridge.web.mirror.xorbs import CHUNK, Xorb, XorbBytes, reconstruction, xorb_of

FILE = "a" * 64


class Memory:
    """Bytes that are read, in memory."""

    def __init__(self, content: bytes) -> None:
        self.content, self.size = content, len(content)

    def close(self) -> None:
        pass

    def whole(self) -> Iterator[bytes]:
        yield self.content

    def part(self, start: int, stop: int) -> Iterator[bytes]:
        assert 0 <= start <= stop <= self.size
        yield self.content[start:stop]


def unpacked(xorb: bytes) -> bytes:
    """Return what chunks unpack to, as a client reads them."""
    found = b""
    while xorb:
        size = int.from_bytes(xorb[1:4], "little")
        assert (xorb[0], xorb[4], int.from_bytes(xorb[5:8], "little")) == (0, 0, size)
        assert 0 < size <= CHUNK
        found, xorb = found + xorb[8 : 8 + size], xorb[8 + size :]
    return found


@pytest.fixture(autouse=True)
def _small_xorbs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xorbs, "_SPAN", 3 * CHUNK)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("size", [1, CHUNK, 3 * CHUNK, 3 * CHUNK + 1, 7 * CHUNK - 5])
@pytest.mark.parametrize("part", [(0.0, 1.0), (0.0, 0.1), (0.3, 0.6), (0.99, 1.0)])
def test_a_reconstruction_is_the_file(size: int, part: tuple[float, float], version: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    blob = Memory(content[:size])
    start = int(part[0] * size)
    stop = max(start + 1, int(part[1] * size))
    named: dict[str, Xorb] = {}

    def url_of(xorb: Xorb) -> str:
        named[xorb.name] = xorb
        return xorb.name

    found = reconstruction(FILE, size, start, stop, version, url_of)  # type: ignore[arg-type]
    whole = b""
    for term in found["terms"]:
        place = found["fetch_info" if version == 1 else "xorbs"][term["hash"]][0]
        bytes_ = place["url_range"] if version == 1 else place["ranges"][0]["bytes"]
        view = XorbBytes(blob, named[place["url"]])
        body = unpacked(b"".join(view.part(bytes_["start"], bytes_["end"] + 1)))
        assert len(body) == term["unpacked_length"]
        whole += body
    skipped = found["offset_into_first_range"]
    assert whole[skipped : skipped + stop - start] == content[start:stop]


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 9), (7, CHUNK + 8), (CHUNK + 7, CHUNK + 20)])
def test_any_part_of_a_xorb_is_that_of_all_of_it(start: int, stop: int) -> None:
    xorb = xorb_of(FILE, 2 * CHUNK + 100, 0)
    assert xorb is not None
    view = XorbBytes(Memory(bytes(range(256)) * 1025), xorb)
    whole = b"".join(view.whole())
    assert len(whole) == view.size
    assert b"".join(view.part(start, stop)) == whole[start:stop]


def test_parts_after_the_end_are_none() -> None:
    assert xorb_of(FILE, 3 * CHUNK, 1) is None
