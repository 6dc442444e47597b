"""What is taken of an archive, and archives as the programs of other systems write them."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.content.unpacking.test_archive import Unpack, refused, tar_with
from tests.simulators import samples
from weighbridge.content.archives import Limits
from weighbridge.content.unpacking.archive import unpack_archive
from weighbridge.content.unpacking.interface import Unpacked
from weighbridge.domain.selection import Selection
from weighbridge.errors import ModelNotFound, SourceMisbehaved, UnsafePath
from weighbridge.store.local import LocalBlobStore


@pytest.fixture
def unpack(tmp_path: Path, store: LocalBlobStore) -> Unpack:
    def run(content: bytes, limits: Limits | None = None) -> Unpacked:
        path = tmp_path / "archive"
        path.write_bytes(content)
        return unpack_archive(path, store, limits=limits)

    return run


class TestSelecting:
    @pytest.mark.parametrize("form", ["gnu", "oldgnu", "--sparse-version=0.0", "--sparse-version=0.1", "posix"])
    def test_a_sparse_member_can_be_excluded(self, tmp_path: Path, store: LocalBlobStore, form: str) -> None:
        folder = tmp_path / "m"
        folder.mkdir()
        (folder / "config.json").write_bytes(b"{}")
        with open(folder / "w.bin", "wb") as file:
            file.write(b"1")
            file.truncate(1 << 20)
        path = tmp_path / "archive"
        options = [f"--format={form}"] if "=" not in form else ["--format=posix", form]
        subprocess.run(["tar", "--sparse", *options, "-cf", path, "m"], cwd=tmp_path, check=True)
        with pytest.raises(
            SourceMisbehaved, match=r"sparse member at m/w\.bin \(archive\.sparse\)\. .*exclude.*--sparse"
        ):
            unpack_archive(path, store)
        unpacked = unpack_archive(path, store, None, Selection(exclude=("w.bin",)))
        assert [entry.path for entry in unpacked.files] == ["config.json"]

    def test_what_is_excluded_is_dropped_whatever_it_is(self, tmp_path: Path, store: LocalBlobStore) -> None:
        link = ("m/latest", None, {"type": tarfile.SYMTYPE, "linkname": "/etc"})
        path = tmp_path / "a.tar"
        path.write_bytes(tar_with(("m/w", b"1", {}), link, ("m/docs/a", b"2", {}), ("m/b", b"3", {})))
        with pytest.raises(UnsafePath, match="exclude"):
            unpack_archive(path, store)
        unpacked = unpack_archive(path, store, None, Selection(exclude=("latest", "docs/")))
        assert [entry.path for entry in unpacked.files] == ["b", "w"]
        assert [(one.path, one.reason) for one in unpacked.dropped] == [("m/docs/a", "excluded")]
        unpacked = unpack_archive(path, store, None, Selection(files=("w",), exclude=("latest",)))
        assert [entry.path for entry in unpacked.files] == ["w"]
        with pytest.raises(ModelNotFound, match="has no file “x”"):
            unpack_archive(path, store, None, Selection(files=("x",), exclude=("latest",)))


class TestZipsOfOtherPrograms:
    def test_names_of_unix_are_utf_8_whatever_the_flag_says(self, unpack: Unpack) -> None:
        name = "mod\u00e8le-\u6a21\u578b.gguf"
        made = samples.zip_of({name: b"GGUF"})
        assert [entry.path for entry in unpack(_without_flag(made, system=3)).files] == [name]
        assert [entry.path for entry in unpack(_without_flag(made, system=0)).files] != [name]

    def test_names_of_unix_that_are_no_utf_8(self, unpack: Unpack) -> None:
        made = samples.zip_of({"caf\u00e9": b"x"}).replace("caf\u00e9".encode(), b"caf\x82\x82")
        assert [entry.path for entry in unpack(_without_flag(made, system=3)).files] == ["caf\u00e9\u00e9"]

    def test_backslashes_of_dot_net(self, unpack: Unpack) -> None:
        made = samples.zip_of({"m/sub/w": b"1", "m/config.json": b"{}", "m/sub/": b""})
        windows = _without_flag(made.replace(b"m/sub/", b"m\\sub\\").replace(b"m/config", b"m\\config"), system=0)
        assert [entry.path for entry in unpack(windows).files] == ["config.json", "sub/w"]
        with pytest.raises(UnsafePath):
            unpack(_without_flag(made.replace(b"m/sub/", b"..\\\\x\\").replace(b"m/config", b"m\\config"), system=0))

    @pytest.mark.parametrize(("content", "fits"), [(b"", True), (b"x", False)])
    def test_folders_of_java_are_compressed(self, unpack: Unpack, content: bytes, fits: bool) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            folder = zipfile.ZipInfo("m/")
            folder.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(folder, "w") as stream:
                stream.write(content)
            archive.writestr("m/config.json", "{}")
        if fits:
            assert [entry.path for entry in unpack(buffer.getvalue()).files] == ["config.json"]
        else:
            refused(unpack, buffer.getvalue(), "ambiguous")


def _without_flag(content: bytes, system: int) -> bytes:
    """Return a zip whose names are said to be CP437, made on another system."""
    changed = bytearray(content)
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := content.find(magic, start + 1)) >= 0:
            changed[start + flags + 1] &= ~0x08
            if magic == b"PK\x01\x02":
                changed[start + 5] = system
    return bytes(changed)
