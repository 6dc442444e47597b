"""Archives whose members are a model: what comes out, and what is refused."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import random
import stat
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from tests.content.unpacking.archives import FILES, FORMATS, SMALL, WEIGHTS, Unpack, left, refused, tar_with, unpack
from tests.simulators import samples
from weighbridge.content.archives import Limits
from weighbridge.content.unpacking import UNPACKERS
from weighbridge.domain.digest import Digest
from weighbridge.errors import SourceError, SourceMisbehaved, UnsafePath, WeighbridgeError
from weighbridge.sources.installed import ARCHIVES
from weighbridge.store.local import LocalBlobStore

__all__ = ["unpack"]


@pytest.mark.parametrize("kind", FORMATS)
class TestEveryFormat:
    def test_files_below_their_shared_folder(self, unpack: Unpack, store: LocalBlobStore, kind: str) -> None:
        unpacked = unpack(FORMATS[kind](FILES))
        assert [(entry.path, entry.size) for entry in unpacked.files] == [
            ("config.json", 2),
            ("empty", 0),
            ("sub/w.bin", len(WEIGHTS)),
        ]
        for entry in unpacked.files:
            assert entry.digest == Digest.sha256(FILES[f"model/{entry.path}"])
            assert store.path(entry.digest).read_bytes() == FILES[f"model/{entry.path}"]
        assert unpacked.dropped == ()
        assert unpack(FORMATS[kind](FILES)) == unpacked

    def test_litter_is_dropped_by_name(self, unpack: Unpack, store: LocalBlobStore, kind: str) -> None:
        litter = {"model/._config.json": b"x" * 700, "__MACOSX/model/config.json": b"y", "model/.DS_Store": b"z"}
        unpacked = unpack(FORMATS[kind](FILES | litter))
        assert [entry.path for entry in unpacked.files] == ["config.json", "empty", "sub/w.bin"]
        assert [(gone.path, gone.size) for gone in unpacked.dropped] == [
            ("__MACOSX/model/config.json", 1),
            ("model/.DS_Store", 1),
            ("model/._config.json", 700),
        ]
        assert all("left behind" in gone.reason for gone in unpacked.dropped)
        assert not store.has(Digest.sha256(b"x" * 700))

    def test_archives_within_stay_files(self, unpack: Unpack, kind: str) -> None:
        inner = {name: make({"../evil": b"x"}) for name, make in FORMATS.items()}
        unpacked = unpack(FORMATS[kind](inner | {"config.json": b"{}"}))
        assert {entry.path: entry.digest for entry in unpacked.files} == {
            name: Digest.sha256(content) for name, content in (inner | {"config.json": b"{}"}).items()
        }

    def test_a_cut_anywhere_is_refused(self, unpack: Unpack, kind: str) -> None:
        content = FORMATS[kind](FILES)
        whole = len(content.rstrip(b"\0")) if kind == "tar" else len(content)
        for length in (*range(0, whole, whole // 7), whole - 1):
            with pytest.raises(SourceError):
                unpack(content[:length])

    def test_bytes_after_the_end_are_refused(self, unpack: Unpack, kind: str) -> None:
        refused(unpack, FORMATS[kind](FILES) + b"more", "hidden-data")

    def test_nothing_in_it(self, unpack: Unpack, kind: str) -> None:
        for members in ({}, {".DS_Store": b"x"}):
            with pytest.raises(SourceError):
                unpack(FORMATS[kind](members))

    @pytest.mark.parametrize(
        "name", ["../evil", "/etc/passwd", "a/../../evil", "C:\\x", "a\\..\\b", "a//b", "a\nb", "a/./b"]
    )
    def test_names_that_lead_elsewhere(self, unpack: Unpack, store: LocalBlobStore, kind: str, name: str) -> None:
        refused(unpack, FORMATS[kind]([(name, b"evil"), ("config.json", b"{}")]), "unsafe-name")
        assert not store.has(Digest.sha256(b"evil"))

    @pytest.mark.parametrize(
        ("names", "rule"),
        [
            (["a", "a"], "duplicate"),
            (["./a", "a"], "duplicate"),
            (["a", "A", "a"], "duplicate"),
        ],
    )
    def test_names_that_collide(
        self, unpack: Unpack, store: LocalBlobStore, kind: str, names: list[str], rule: str
    ) -> None:
        content = FORMATS[kind]([(name, name.encode() * 2) for name in names])
        assert isinstance(refused(unpack, content, rule), UnsafePath)
        assert not store.has(Digest.sha256(names[-1].encode() * 2)) or len(names) > 2

    @pytest.mark.parametrize(
        "names", [["A", "a"], ["D/A", "d/a"], ["cafe\u0301", "caf\u00e9"], ["C1_or_C2?.json", "a:b"]]
    )
    def test_names_that_only_some_systems_tell_apart(self, unpack: Unpack, kind: str, names: list[str]) -> None:
        unpacked = unpack(FORMATS[kind]([(name, name.encode() * 2) for name in names]))
        assert {entry.path: entry.digest for entry in unpacked.files} == {
            name: Digest.sha256(name.encode() * 2) for name in names
        }

    def test_a_bomb_stops_at_the_limit(self, unpack: Unpack, store: LocalBlobStore, kind: str) -> None:
        limits = Limits(max_size=4 * 1024 * 1024) if kind in ("tar", "zip-stored") else SMALL
        error = refused(unpack, FORMATS[kind]({"zeros": bytes(20 * 1024 * 1024)}), "bomb", limits)
        assert isinstance(error, SourceMisbehaved)
        assert left(store) == []

    def test_too_many_members(self, unpack: Unpack, kind: str) -> None:
        refused(unpack, FORMATS[kind]({f"{number}": b"x" for number in range(60)}), "bomb", SMALL)


@pytest.mark.parametrize("turned", [False, True])
def test_a_file_and_a_folder_of_one_name(unpack: Unpack, turned: bool) -> None:
    members = [("a", b"x", {}), ("a", None, {"type": tarfile.DIRTYPE})]
    refused(unpack, tar_with(*(members[::-1] if turned else members)), "duplicate")  # type: ignore[arg-type]
    names = [("a", b"x"), ("a/", b"")]
    refused(unpack, samples.zip_of(names[::-1] if turned else names), "duplicate")


def test_what_a_source_may_declare_can_be_unpacked() -> None:
    assert UNPACKERS.keys() == ARCHIVES - {""}


class TestRoot:
    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["w"], ["w"]),
            (["a/b/w"], ["w"]),
            (["./config.json", "./sub/w"], ["config.json", "sub/w"]),
            (["a/b/w", "a/c"], ["b/w", "c"]),
            (["ab/w", "a/w"], ["a/w", "ab/w"]),
        ],
    )
    def test_the_longest_shared_folder(self, unpack: Unpack, names: list[str], expected: list[str]) -> None:
        for make in (samples.tar_of, samples.zip_of):
            assert [entry.path for entry in unpack(make(dict.fromkeys(names, b"w"))).files] == expected

    def test_what_gnu_tar_writes(self, unpack: Unpack, tmp_path: Path) -> None:
        (tmp_path / "model" / ("long" * 40)).mkdir(parents=True)
        (tmp_path / "model" / ("long" * 40) / ("name" * 40)).write_bytes(b"1")
        (tmp_path / "model" / "w").write_bytes(WEIGHTS)
        for style in ("gnu", "pax", "ustar"):
            command = ["tar", f"--format={style}", "-cf", str(tmp_path / "x.tar"), "-C", str(tmp_path / "model"), "."]
            subprocess.run(command, check=style != "ustar", capture_output=True)
            assert "w" in [entry.path for entry in unpack((tmp_path / "x.tar").read_bytes()).files]


class TestWhatItIs:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"GGUF\x03\0\0\0" + bytes(100), "no archive"),
            (b"", "no archive"),
            (b"just text", "no archive"),
            (b"7z\xbc\xaf\x27\x1c" + bytes(100), "not unpacked"),
            (b"MZ" + bytes(100) + samples.zip_of({"a": b"1"}), "no archive"),
        ],
        ids=["gguf", "empty", "text", "7z", "program"],
    )
    def test_no_archive(self, unpack: Unpack, content: bytes, words: str) -> None:
        with pytest.raises(SourceError, match=words) as error:
            unpack(content)
        assert error.value.remedy.startswith("Leave out extract=true to take the file as it is. Unpacked are zip, ")

    @pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
    def test_one_compressed_file_is_none(self, unpack: Unpack, compress: Callable[[bytes], bytes]) -> None:
        error = refused(unpack, compress(b"GGUF" + bytes(10_000)), "unsupported")
        assert str(error).startswith(
            "The archive is not unpacked: It holds no tar, but one compressed file (gguf) (archive.unsupported). "
            "Nothing of it was published. Leave out extract=true to take the file as it is. "
        )
        refused(unpack, compress(compress(samples.tar_of(FILES))), "unsupported")

    def test_streams_after_each_other_are_one(self, unpack: Unpack) -> None:
        content = samples.tar_of(FILES)
        for compress in (gzip.compress, bz2.compress, lzma.compress, zstd.compress):
            unpacked = unpack(compress(content[:100_000]) + compress(content[100_000:]))
            assert [entry.path for entry in unpacked.files] == ["config.json", "empty", "sub/w.bin"]


class TestHostileTars:
    @pytest.mark.parametrize(
        ("kind", "rule"),
        [
            (tarfile.SYMTYPE, "link"),
            (tarfile.CHRTYPE, "device"),
            (tarfile.BLKTYPE, "device"),
            (tarfile.FIFOTYPE, "device"),
            (b"V", "unsupported"),
        ],
    )
    def test_what_is_no_file(self, unpack: Unpack, kind: bytes, rule: str) -> None:
        content = tar_with(("w", b"1", {}), ("odd", None, {"type": kind, "linkname": "w"}))
        refused(unpack, content, rule)
        refused(unpack, gzip.compress(content), rule)

    @pytest.mark.parametrize("target", ["later", "odd", "../w", "/etc/passwd", "folder"])
    def test_a_hard_link_to_nothing_before_it(self, unpack: Unpack, target: str) -> None:
        link = ("odd", None, {"type": tarfile.LNKTYPE, "linkname": target})
        folder = ("folder/", None, {"type": tarfile.DIRTYPE})
        refused(unpack, tar_with(("w", b"1", {}), folder, link, ("later", b"2", {})), "link")

    def test_a_hard_link_is_the_file_it_is_linked_to(self, unpack: Unpack) -> None:
        links = [
            ("./b", None, {"type": tarfile.LNKTYPE, "linkname": "./w"}),
            ("c", None, {"type": tarfile.LNKTYPE, "linkname": "b"}),
        ]
        unpacked = unpack(gzip.compress(tar_with(("./w", b"12", {}), *links)))
        assert {entry.path: entry.digest for entry in unpacked.files} == dict.fromkeys("bcw", Digest.sha256(b"12"))

    def test_a_hard_link_to_what_is_left_out(self, unpack: Unpack) -> None:
        link = ("w", None, {"type": tarfile.LNKTYPE, "linkname": "._w"})
        with pytest.raises(UnsafePath, match="left out"):
            unpack(tar_with(("._w", b"1", {}), link, ("a", b"2", {})))

    def test_a_sparse_member(self, unpack: Unpack, store: LocalBlobStore) -> None:
        pax = {"GNU.sparse.map": "0,1,1099511627775,1", "GNU.sparse.size": str(2**40), "GNU.sparse.name": "w"}
        content = tar_with(("w", b"12", {"pax_headers": pax}))
        refused(unpack, content, "sparse")
        refused(unpack, zstd.compress(content), "sparse")
        assert left(store) == []

    def test_a_header_of_many_bytes(self, unpack: Unpack) -> None:
        info = tarfile.TarInfo("header")
        for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
            info.type, info.size = kind, 64 * 1024 * 1024
            refused(unpack, gzip.compress(samples.tar_of({"a": b"1"})[:1024] + info.tobuf() + bytes(info.size)), "bomb")

    def test_many_headers_of_one_member(self, unpack: Unpack) -> None:
        text = b"1000000 comment=" + b"x" * 999_983 + b"\n"
        info = tarfile.TarInfo("header")
        info.type, info.size = tarfile.XHDTYPE, len(text)
        one = info.tobuf() + text + bytes(-len(text) % 512)
        refused(unpack, gzip.compress(one * 8 + samples.tar_of({"a": b"1"})), "bomb")
        # As many bytes for members of their own are no trick.
        unpacked = unpack(
            gzip.compress(b"".join(one + samples.tar_of({f"a{n}": b"1"})[:1024] for n in range(8)) + bytes(1024))
        )
        assert len(unpacked.files) == 8

    @pytest.mark.parametrize("size", [-1, -512, -1024, -(2**40)])
    @pytest.mark.parametrize("kind", [tarfile.REGTYPE, b"V", tarfile.GNUTYPE_SPARSE])
    def test_a_size_below_zero_ends(self, unpack: Unpack, size: int, kind: bytes) -> None:
        header = bytearray(tar_with(("w", None, {"type": kind}), tar_format=tarfile.GNU_FORMAT)[:512])
        header[124:136] = (size % 2**96).to_bytes(12, "big")
        header[124] = 0xFF
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        with pytest.raises(SourceMisbehaved):
            unpack(samples.tar_of({"a": b"1"})[:1024] + bytes(header) + bytes(10240))

    def test_a_broken_header_hides_no_member(self, unpack: Unpack) -> None:
        content = bytearray(samples.tar_of({"a": b"1", "evil": b"2"}))
        content[1024 + 148] ^= 1
        refused(unpack, bytes(content), "hidden-data")

    def test_a_second_tar_behind_the_first(self, unpack: Unpack) -> None:
        refused(unpack, samples.tar_of({"a": b"1"}) + samples.tar_of({"evil": b"2"}), "hidden-data")

    @pytest.mark.parametrize("place", [-5, -20, 3000])
    def test_a_wrong_checksum_of_the_compression(self, unpack: Unpack, store: LocalBlobStore, place: int) -> None:
        for make in (gzip.compress, bz2.compress, lzma.compress):
            content = bytearray(make(samples.tar_of({"w": WEIGHTS[:100_000]})))
            content[place] ^= 0x40
            with pytest.raises(SourceMisbehaved):
                unpack(bytes(content))

    def test_headers_of_many_members_are_not_kept(self, unpack: Unpack) -> None:
        members = [(f"{n}", b"1", {"pax_headers": {"comment": f"{n}" * 200_000}}) for n in range(40)]
        tracemalloc.start()
        assert len(unpack(tar_with(*members)).files) == 40  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
        tracemalloc.stop()


class TestHostileZips:
    @pytest.mark.parametrize(
        ("mode", "rule"),
        [(stat.S_IFLNK, "link"), (stat.S_IFCHR, "device"), (stat.S_IFIFO, "device"), (stat.S_IFSOCK, "device")],
    )
    def test_what_is_no_file(self, unpack: Unpack, mode: int, rule: str) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            info = zipfile.ZipInfo("odd")
            info.external_attr = (mode | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
        refused(unpack, buffer.getvalue(), rule)

    @pytest.mark.parametrize(("flag", "rule"), [(0x1, "encrypted"), (0x40, "encrypted"), (0x20, "unsupported")])
    def test_encrypted_or_patched(self, unpack: Unpack, flag: int, rule: str) -> None:
        content = bytearray(samples.zip_of({"w": b"x" * 100}))
        content[6] |= flag
        content[content.index(b"PK\x01\x02") + 8] |= flag
        refused(unpack, bytes(content), rule)

    def test_members_that_share_their_bytes(self, unpack: Unpack, store: LocalBlobStore) -> None:
        refused(unpack, samples.overlapping_bomb(members=20, size=1024 * 1024), "overlap")
        assert left(store) == []

    def test_a_wrong_checksum_stores_nothing(self, unpack: Unpack, store: LocalBlobStore) -> None:
        content = bytearray(samples.zip_of({"a": b"x" * 1000}))
        content[content.index(b"xxxx") + 3] ^= 1
        refused(unpack, bytes(content), "checksum")
        assert left(store) == []

    def test_bytes_before_it(self, unpack: Unpack) -> None:
        refused(unpack, samples.zip_of({"hidden": b"evil"}) + samples.zip_of({"a": b"1"}), "hidden-data")

    def test_a_header_that_says_something_else(self, unpack: Unpack) -> None:
        content = bytearray(samples.zip_of({"a": b"1" * 100}))
        struct.pack_into("<B", content, 30, ord("b"))
        refused(unpack, bytes(content), "ambiguous")

    def test_a_folder_with_content(self, unpack: Unpack) -> None:
        refused(unpack, samples.zip_of({"a/": b"x"}), "ambiguous")
        assert [entry.path for entry in unpack(samples.zip_of({"a/": b"", "a/w": b"1"})).files] == ["w"]


def test_every_flipped_byte_is_noticed_or_harmless(unpack: Unpack) -> None:
    members = {"config.json": b"{}", "w.bin": bytes(range(256)) * 4}
    for kind, make in FORMATS.items():
        content = make(members)
        whole = unpack(content)
        for place in range(0, len(content), max(1, len(content) // 150)):
            damaged = content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :]
            try:
                unpacked = unpack(damaged)
            except WeighbridgeError:
                continue
            if kind not in ("tar", "tar.zst"):  # A plain tar has no checksums of content.
                assert unpacked.files == whole.files, (kind, place)


def test_noise_breaks_nothing(unpack: Unpack) -> None:
    for make in FORMATS.values():
        content = bytearray(make({"a": b"1" * 600, "b": b"2"}))
        for seed in range(40):
            noise = random.Random(seed)
            damaged = bytearray(content)
            for _ in range(8):
                damaged[noise.randrange(len(damaged))] = noise.randrange(256)
            with contextlib.suppress(WeighbridgeError):
                unpack(bytes(damaged) + os.urandom(seed % 2))
