"""Archives of every format, and what unpacks them into a store."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from tests.simulators import samples
from weighbridge.content.archives import Limits
from weighbridge.content.unpacking.archive import unpack_archive
from weighbridge.content.unpacking.interface import Unpacked
from weighbridge.errors import SourceMisbehaved, UnsafePath, WeighbridgeError
from weighbridge.store.local import LocalBlobStore

Unpack = Callable[..., Unpacked]


WEIGHTS = random.Random(1).randbytes(600_000) + bytes(900_000)


FILES = {"model/config.json": b"{}", "model/sub/w.bin": WEIGHTS, "model/empty": b""}


FORMATS: dict[str, Callable[[samples.Members], bytes]] = {
    "zip": lambda members: samples.zip_of(members, zipfile.ZIP_DEFLATED),
    "zip-stored": samples.zip_of,
    "tar": samples.tar_of,
    "tar.gz": lambda members: samples.tar_of(members, "w:gz"),
    "tar.bz2": lambda members: samples.tar_of(members, "w:bz2"),
    "tar.xz": lambda members: samples.tar_of(members, "w:xz"),
    "tar.zst": lambda members: zstd.compress(samples.tar_of(members)),
}


SMALL = Limits(free_size=1024 * 1024, max_ratio=20, max_members=50)


@pytest.fixture
def unpack(tmp_path: Path, store: LocalBlobStore) -> Unpack:
    def run(content: bytes, limits: Limits | None = None) -> Unpacked:
        path = tmp_path / "archive"
        path.write_bytes(content)
        return unpack_archive(path, store, limits=limits)

    return run


def refused(unpack: Unpack, content: bytes, rule: str, limits: Limits | None = None) -> WeighbridgeError:
    with pytest.raises((SourceMisbehaved, UnsafePath)) as error:
        unpack(content, limits)
    assert error.value.facts["rule"] == f"archive.{rule}", error.value
    assert error.value.remedy
    return error.value


def left(store: LocalBlobStore) -> list[str]:
    """Files of the store that hold bytes."""
    return [path.name for path in store.root.rglob("*") if path.is_file() and path.stat().st_size]


def tar_with(*members: tuple[str, bytes | None, dict[str, object]], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar whose headers have further attributes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for name, content, attributes in members:
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()
