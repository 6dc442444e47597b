"""A bundle that is opened is one whose every byte counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.content.bundles.packing import compressed, parts, tape, version
from weighbridge.config.settings import Settings
from weighbridge.errors import IntegrityError, UsageError
from weighbridge.intake.opened_bundle import opened_bundle

FILES = {"a.json": b"{}", "b.txt": b"text"}


def read(path: Path) -> None:
    """Read a bundle to its end."""
    with opened_bundle(str(path), Settings(home=path.parent)) as bundle:
        for _, chunks in bundle.reader.blobs():
            list(chunks)
        bundle.reader.finish()


def test_every_byte_of_the_tar_counts(tmp_path: Path) -> None:
    """Whichever byte is another one, the bundle is refused."""
    content = tape(parts(version(files=FILES), files=FILES))
    path = tmp_path / "b.tar.zst"
    path.write_bytes(compressed(content))
    read(path)
    for at in range(0, len(content), 23):
        path.write_bytes(compressed(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]))
        with pytest.raises((IntegrityError, UsageError)):
            read(path)
