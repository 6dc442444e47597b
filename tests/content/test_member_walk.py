"""The walk over an archive's members: each is measured and named."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

from backports import zstd

from tests.simulators import samples
from weighbridge.content.archives import walk


def test_members_are_measured_and_named(tmp_path: Path) -> None:
    path = tmp_path / "outer.zip"
    path.write_bytes(samples.zip_of({"inner.tar": samples.tar_of({"a.bin": b"x" * 3_000_000})}))
    found = walk(path)
    sizes = {member.location: member for member in found}
    assert sizes["inner.tar!a.bin"].size == 3_000_000
    assert sizes["inner.tar!a.bin"].depth == 2


def test_streams_after_each_other_are_one(tmp_path: Path) -> None:
    for compress in (gzip.compress, bz2.compress, lzma.compress, zstd.compress):
        path = tmp_path / "two"
        path.write_bytes(compress(b"one") + compress(b"two"))
        found = walk(path)
        assert [b"".join(member.chunks()) for member in found] == [b"onetwo"]
        assert not found.problems
