"""A bundle is read as it was written, in bounded memory; whatever else a file may hold is refused in one paragraph."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from tests.content.bundles.packing import (
    FILES,
    Part,
    compressed,
    documents,
    index_of,
    packed,
    part,
    parts,
    read,
    signature_part,
    tape,
    version,
)
from weighbridge.content.bundles.documents import read_version
from weighbridge.content.bundles.layout import END, INDEX, MAX_INDEX, header, size_in
from weighbridge.content.bundles.reading import BundleReader
from weighbridge.domain.bundle import Signature, canonical
from weighbridge.errors import IntegrityError, UsageError, WeighbridgeError
from weighbridge.store.local import LocalBlobStore

TWO = (version(), version("org/name", "1.1.0", {name: FILES[name] for name in ("config.json", "model.safetensors")}))


def refused(content: bytes, *words: str, kind: type[WeighbridgeError] = IntegrityError) -> None:
    with pytest.raises(kind) as caught:
        read(content)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert caught.value.remedy
    assert "b.tar.zst" in str(caught.value)
    assert "\n" not in str(caught.value)


class TestRound:
    def test_what_was_written_is_read(self, tmp_path: Path, store: LocalBlobStore) -> None:
        path = packed(tmp_path / "b.tar.zst", store, *TWO)
        reader, found = read(path.read_bytes())
        assert [read_version(content, "b") for content in found[:2]] == list(TWO)
        assert sorted(found[2:]) == sorted(FILES.values())  # Each once, though two versions have it.
        assert reader.index == index_of(TWO, documents(*TWO))
        assert reader.signature is None

    def test_equal_content_has_equal_bytes(self, tmp_path: Path, store: LocalBlobStore) -> None:
        one, other = (packed(tmp_path / name, store, *TWO).read_bytes() for name in ("one", "other"))
        assert one == other
        assert zstd.decompress(one) == tape(parts(*TWO))

    def test_a_signature_is_read(self, tmp_path: Path, store: LocalBlobStore) -> None:
        signature = Signature("ed25519:abc", b"\0" * 64)
        path = packed(tmp_path / "b", store, version(), signature=signature)
        assert read(path.read_bytes())[0].signature == signature

    def test_tar_reads_it(self, tmp_path: Path, store: LocalBlobStore) -> None:
        path = packed(tmp_path / "b", store, *TWO)
        ran = subprocess.run(["tar", "--zstd", "-tf", path], capture_output=True, text=True, check=True)
        assert ran.stdout.split()[:3] == [INDEX, "versions/0001.json", "versions/0002.json"]
        assert ran.stderr == ""
        with tarfile.open(fileobj=io.BytesIO(zstd.decompress(path.read_bytes()))) as archive:
            names = [member.name for member in archive]
        assert names == ran.stdout.split()

    def test_a_blob_beyond_8_gib_has_a_header_that_tar_reads(self) -> None:
        block = header("blobs/sha256/" + "a" * 64, 50 * 1024**3)
        assert len(block) == 512
        assert tarfile.TarInfo.frombuf(block, "utf-8", "strict").size == 50 * 1024**3
        assert size_in(block) == -1  # Only index and signature are read by what their header says.


class TestMemory:
    def test_a_large_blob_is_never_held(self, tmp_path: Path) -> None:
        """It unpacks to 64 MiB of zeros, and is read in pieces."""
        size = 64 * 1024**2
        files = {"a.bin": bytes(size)}
        content = compressed(tape(parts(version(files=files), files=files)))
        tracemalloc.start()
        reader = BundleReader(io.BytesIO(content), "b.tar.zst")
        reader.read()
        total = sum(len(chunk) for _, chunks in reader.blobs() for chunk in chunks)
        reader.finish()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == size
        assert peak < 16 * 1024**2

    @pytest.mark.parametrize("head", [header(INDEX, MAX_INDEX + 1), header(INDEX, 0), header(INDEX, 2**40)])
    def test_an_index_that_claims_too_much_is_not_read(self, head: bytes) -> None:
        refused(compressed(head + bytes(4096)), "a header of weighbridge-bundle.json")

    def test_more_after_the_end_is_not_unpacked(self) -> None:
        bomb = compressed(tape(parts(version())) + bytes(256 * 1024**2))
        assert len(bomb) < 100_000
        tracemalloc.start()
        refused(bomb, "goes on after its end")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * 1024**2

    def test_a_frame_that_needs_a_large_window(self) -> None:
        window = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
        compressor = zstd.ZstdCompressor(options=window)
        content = compressor.compress(tape(parts(version()))) + compressor.flush()
        refused(content, "is damaged")


def _link(kind: bytes, target: str) -> bytes:
    member = tarfile.TarInfo("blobs/sha256/" + "a" * 64)
    member.type, member.linkname = kind, target
    return member.tobuf(tarfile.GNU_FORMAT)


def _named(name: str, content: bytes = b"x") -> Part:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member.tobuf(tarfile.PAX_FORMAT), content


STRANGE: dict[str, Part] = {
    "a link": (_link(tarfile.SYMTYPE, "/etc/passwd"), b""),
    "a hard link": (_link(tarfile.LNKTYPE, INDEX), b""),
    "a device": (_link(tarfile.CHRTYPE, ""), b""),
    "a pipe": (_link(tarfile.FIFOTYPE, ""), b""),
    "a folder": (_link(tarfile.DIRTYPE, ""), b""),
    "a name that climbs": _named("../../etc/cron.d/x"),
    "an absolute name": _named("/etc/passwd"),
    "a name as long as pax has them": _named("a" * 300),
    "a second index": part(INDEX, b"{}"),
    "a blob that the index does not name": part("blobs/sha256/" + "b" * 64, b"x"),
    "a sparse file": (header("x", 512)[:156] + b"S" + header("x", 512)[157:], bytes(512)),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("at", [1, 2, -1])
def test_files_that_no_bundle_has(strange: Part, at: int) -> None:
    found = parts(version())
    found.insert(at if at > 0 else len(found), strange)
    refused(compressed(tape(found)), "its index")


def _changed(change: Callable[[list[Part]], None]) -> bytes:
    found = parts(version())
    change(found)
    return compressed(tape(found))


def _swap(found: list[Part]) -> None:
    found[2], found[3] = found[3], found[2]


def _double(found: list[Part]) -> None:
    found.insert(3, found[2])


def _flip(found: list[Part]) -> None:
    at, (head, content) = max(enumerate(found), key=lambda one: len(one[1][1]))
    found[at] = head, bytes([content[0] ^ 1]) + content[1:]


def _shorten(found: list[Part]) -> None:
    at, (head, content) = max(enumerate(found), key=lambda one: len(one[1][1]))
    found[at] = header(head[:100].split(b"\0")[0].decode(), len(content) - 1), content[:-1]


def _rename(found: list[Part]) -> None:
    head, content = found[2]
    found[2] = b"." + head[:99] + head[100:], content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.pop(), "has its end where its index promises"),
        (lambda found: found.pop(1), "where its index promises versions/0001.json"),
        (_swap, "where its index promises"),
        (_double, "where its index promises"),
        (_flip, "has other bytes in blobs/sha256/"),
        (_shorten, "where its index promises"),
        (_rename, "where its index promises"),
    ],
)
def test_other_files_than_the_index_names(change: Callable[[list[Part]], None], words: str) -> None:
    refused(_changed(change), words)


class TestEnds:
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
    def test_a_file_that_was_cut(self, tmp_path: Path, store: LocalBlobStore, share: float) -> None:
        content = packed(tmp_path / "b", store, version()).read_bytes()
        refused(content[: max(5, int(len(content) * share))], "ends too early")

    @pytest.mark.parametrize("at", [0.1, 0.5, 0.95])
    def test_a_byte_that_was_changed(self, tmp_path: Path, store: LocalBlobStore, at: float) -> None:
        content = bytearray(packed(tmp_path / "b", store, version()).read_bytes())
        content[int(len(content) * at)] ^= 0xFF
        with pytest.raises((IntegrityError, UsageError), match=r"Copy the file again|reads weighbridge"):
            read(bytes(content))

    def test_a_tar_that_was_cut(self) -> None:
        refused(compressed(tape(parts(version()))[:-1024]), "ends too early")
        refused(compressed(tape(parts(version()))[:-1]), "ends too early")

    @pytest.mark.parametrize("more", [b"x", b"garbage" * 1000, compressed(b"x")])
    def test_a_file_that_goes_on(self, more: bytes) -> None:
        refused(compressed(tape(parts(version()))) + more, "goes on after its end")

    def test_bytes_between_files(self) -> None:
        found = parts(version())
        content = tape(found[:2], b"")
        assert content.endswith((b"}\0", b"\0\0"))
        refused(compressed(content[:-1] + b"x" + tape(found[2:])), "bytes after the end of")


class TestOthers:
    """Files that people take for bundles."""

    @pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08" + bytes(100), b"PK\x03\x04", tape(parts(version()))])
    def test_not_compressed_with_zstandard(self, content: bytes) -> None:
        refused(content, "is not a bundle", kind=UsageError)

    def test_a_bundle_that_was_packed_anew(self, tmp_path: Path, store: LocalBlobStore) -> None:
        """As oras-project/oras-go#851: `tar` puts other names and times into the headers."""
        path = packed(tmp_path / "b", store, version())
        (tmp_path / "out").mkdir()
        subprocess.run(["tar", "--zstd", "-xf", path, "-C", tmp_path / "out"], check=True)
        subprocess.run(["tar", "--zstd", "-cf", tmp_path / "again", "-C", tmp_path / "out", "."], check=True)
        refused((tmp_path / "again").read_bytes(), "packed anew", kind=UsageError)

    def test_another_archive(self) -> None:
        content = compressed(tape([part("oci-layout", b"{}"), part("index.json", b"{}")]))
        refused(content, "its first file is 'oci-layout'", kind=UsageError)

    @pytest.mark.parametrize("said", ["weighbridge.bundle/0", "weighbridge.bundle/2", None, 7, "x" * 5000])
    def test_another_format(self, said: object) -> None:
        refused(
            compressed(tape([part(INDEX, canonical({"format": said, "new": []}))])),
            "this Weighbridge reads weighbridge.bundle/1",
            kind=UsageError,
        )


def _index(**changes: Any) -> bytes:
    found = parts(version())
    content = json.loads(found[0][1])
    found[0] = part(INDEX, canonical(content | changes))
    return compressed(tape(found))


def _members(change: Callable[[list[dict[str, Any]]], object]) -> bytes:
    members = json.loads(parts(version())[0][1])["members"]
    change(members)
    return _index(members=members)


VERSION = {"name": "org/name", "version": "1.0.0", "document": "versions/0001.json"}


def _wrong_indexes() -> Iterator[tuple[str, bytes]]:
    yield "no JSON", compressed(tape([part(INDEX, b"{")]))
    yield "no UTF-8", compressed(tape([part(INDEX, b'{"format": "\xff"}')]))
    yield "deep", compressed(tape([part(INDEX, b"[" * 100_000)]))
    spaced = json.dumps(json.loads(parts(version())[0][1])).encode()
    yield "spaces", compressed(tape([part(INDEX, spaced), *parts(version())[1:]]))
    twice = parts(version())[0][1].replace(b'{"format"', b'{"format":"weighbridge.bundle/1","format"')
    yield "a key twice", compressed(tape([part(INDEX, twice), *parts(version())[1:]]))
    yield "a list", compressed(tape([part(INDEX, b"[]")]))
    yield "no versions", _index(versions=[])
    yield "a further field", _index(more=1)
    yield "a name that climbs", _index(versions=[VERSION | {"name": "../x"}])
    yield "a name of an option", _index(versions=[VERSION | {"name": "--json"}])
    yield "no number", _index(versions=[VERSION | {"version": "latest"}])
    yield "another document", _index(versions=[VERSION | {"document": "blobs/sha256/" + "a" * 64}])
    yield "a version twice", _index(versions=[VERSION, VERSION | {"document": "versions/0002.json"}])
    yield "a path that climbs", _members(lambda found: found[1].update(path="../../x"))
    yield "a path of another digest", _members(lambda found: found[1].update(sha256="a" * 64))
    yield "a blob twice", _members(lambda found: found.append(found[-1]))
    yield "blobs in another order", _members(lambda found: found.__setitem__(slice(1, None), found[:0:-1]))
    yield "a negative size", _members(lambda found: found[1].update(size=-1))
    yield "a size beyond all", _members(lambda found: found[1].update(size=2**80))
    yield "a size as text", _members(lambda found: found[1].update(size="7"))
    yield "a document too large", _members(lambda found: found[0].update(size=2**40))
    yield "a digest in capitals", _members(lambda found: found[1].update(sha256=found[1]["sha256"].upper()))


WRONG = dict(_wrong_indexes())


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_indexes_that_nobody_writes(content: bytes) -> None:
    with pytest.raises((IntegrityError, UsageError)) as caught:
        read(content)
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def _described(**changes: Any) -> bytes:
    return canonical(version().to_json() | changes)


FIRST = version().to_json()
WRONG_VERSIONS: dict[str, bytes] = {
    "no JSON": b"nothing",
    "a path that climbs": _described(files=[FIRST["files"][0] | {"path": "../x"}]),
    "other files": _described(files=FIRST["files"][:1]),
    "no files": _described(files=[]),
    "a file without a digest": _described(files=[FIRST["files"][0] | {"digest": None}]),
    "a rejected version": _described(decision=FIRST["decision"] | {"verdict": "FAILED"}),
    "a report on another file": _described(reports=[FIRST["reports"][0] | {"digest": "sha256:" + "a" * 64}]),
    "a report on fewer bytes": _described(reports=[FIRST["reports"][0] | {"bytes_total": 1}]),
    "a finding that is a number": _described(reports=[FIRST["reports"][0] | {"findings": [7]}]),
    "a status of its own": _described(reports=[FIRST["reports"][0] | {"status": "fine"}]),
    "an odd time": _described(decided_at="yesterday"),
    "a reference of no kind": _described(ref=FIRST["ref"] | {"kind": "../x"}),
    "a number of parameters as text": _described(declared={"parameter_count": "many"}),
    "a declaration of something else": _described(declared={"status": "PASSED"}),
    "a further field": _described(more=1),
}


@pytest.mark.parametrize("content", WRONG_VERSIONS.values(), ids=WRONG_VERSIONS)
def test_versions_that_nobody_writes(content: bytes) -> None:
    with pytest.raises(IntegrityError, match="is not one that Weighbridge writes") as caught:
        read_version(content, "b.tar.zst")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "content",
    [b"{}", b'{"format":"weighbridge.bundle-signature/1"}', b"x", canonical({"format": "x"}), b"x" * 5000],
)
def test_signatures_that_nobody_writes(content: bytes) -> None:
    found = parts(version())
    found.insert(1, part("weighbridge-bundle.sig", content))
    with pytest.raises((IntegrityError, UsageError)):
        read(compressed(tape(found)))


def test_a_signature_that_comes_late() -> None:
    found = parts(version())
    found.insert(2, signature_part(Signature("ed25519:a", b"x")))
    refused(compressed(tape(found)), "where its index promises")


def test_the_end_is_what_tar_wants() -> None:
    assert bytes(1024) == END
