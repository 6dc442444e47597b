"""The source `s3` against a real server; what it refuses and what it survives is in test_s3_failures."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

from tests.services.seaweedfs import ADMIN, READER, S3Server
from tests.simulators.wire import Wire
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import IntegrityError, ModelNotFound, SourceError, SourceMisbehaved, UnsafePath
from weighbridge.intake.fetching import fetch, known_blob
from weighbridge.net.parallel_ranges import WINDOW, Windows
from weighbridge.net.settings import SourceSettings
from weighbridge.sources import s3, s3_listing
from weighbridge.sources.s3 import S3Source
from weighbridge.store.local import LocalBlobStore

pytestmark = pytest.mark.xdist_group("s3")
CONTENT = b"GGUF" + bytes(range(256)) * 400
LARGE = os.urandom(6 * WINDOW + 12_345)


@pytest.fixture
def source(s3_server: S3Server) -> S3Source:
    return S3Source(SourceSettings(auth=READER, endpoint=s3_server.endpoint, timeout_s=20))


@pytest.fixture
def admin(s3_server: S3Server) -> S3Source:
    return S3Source(SourceSettings(auth=ADMIN, endpoint=s3_server.endpoint, timeout_s=20))


def resolve(source: S3Source, place: str, options: str = "") -> Manifest:
    return source.resolve(ModelRef.parse(f"s3://{place}{options}"))


def read(source: S3Source, manifest: Manifest, path: str = "model.gguf", offset: int = 0) -> bytes:
    with source.open(manifest.ref, manifest.by_path[path], offset) as stream:
        assert stream.offset == offset
        assert stream.size == manifest.by_path[path].size
        return b"".join(stream.chunks)


class TestListing:
    def test_a_prefix_is_a_folder(self, s3_server: S3Server, source: S3Source) -> None:
        place = s3_server.fill({"config.json": b"{}", "sub/model.gguf": CONTENT, "sub/": b"", "": b""})
        s3_server.fill({"-other/config.json": b"of another model"})
        s3_server.client.put_object(Bucket="models", Key=f"{place.partition('/')[2]}-2/config.json", Body=b"no")
        manifest = resolve(source, place)
        assert [(entry.path, entry.size) for entry in manifest.files] == [
            ("config.json", 2),
            ("sub/model.gguf", len(CONTENT)),
        ]
        assert resolve(source, f"{place}/").ref == manifest.ref

    def test_a_whole_bucket_is_a_model_too(self, s3_server: S3Server, admin: S3Source) -> None:
        s3_server.client.create_bucket(Bucket="whole")
        s3_server.client.put_object(Bucket="whole", Key="sub/model.gguf", Body=CONTENT)
        manifest = resolve(admin, "whole")
        assert read(admin, manifest, "sub/model.gguf") == CONTENT

    def test_one_object_is_a_model_of_one_file(self, s3_server: S3Server, source: S3Source) -> None:
        place = s3_server.fill({"a/model.gguf": CONTENT, "a/model.gguf2": b"another"})
        manifest = resolve(source, f"{place}/a/model.gguf")
        assert [entry.path for entry in manifest.files] == ["model.gguf"]
        assert read(source, manifest) == CONTENT
        locked = FileEntry.from_json(manifest.files[0].to_json())
        with source.open(ModelRef.parse(manifest.ref.uri), locked) as stream:
            assert b"".join(stream.chunks) == CONTENT

    def test_more_than_one_page(self, s3_server: S3Server, source: S3Source, monkeypatch: pytest.MonkeyPatch) -> None:
        names = [f"part-{number:05}.bin" for number in range(1_100)]
        place = s3_server.fill(dict.fromkeys(names, b"x"))
        monkeypatch.setattr(s3_listing, "MAX_ASKED", 3)
        with Wire(s3_server.port) as wire:
            wired = S3Source(SourceSettings(auth=READER, endpoint=wire.url))
            assert [entry.path for entry in resolve(wired, place).files] == names
            assert len([head for head in wire.asked("GET") if "list-type=2" in head]) == 2
            assert len(wire.asked("HEAD")) == 3

    @pytest.mark.parametrize(
        "name", ["ünï cödé 模型.bin", "a b.bin", " b.bin", "50%.bin", "50%25.bin", "a+b.bin", "x#y=&.bin"]
    )
    def test_unusual_names(self, s3_server: S3Server, source: S3Source, name: str) -> None:
        place = s3_server.fill({f"{name} dir/{name}": CONTENT, name: b"other"})
        manifest = resolve(source, place)
        assert read(source, manifest, f"{name} dir/{name}") == CONTENT
        assert read(source, resolve(source, str(ModelRef("s3", f"{place}/{name} dir"))[5:]), name) == CONTENT

    @pytest.mark.parametrize("name", ["a\nb"])
    def test_unsafe_names(self, s3_server: S3Server, source: S3Source, name: str) -> None:
        with pytest.raises(UnsafePath):
            resolve(source, s3_server.fill({name: CONTENT}))

    def test_nothing_below_the_prefix(self, s3_server: S3Server, source: S3Source) -> None:
        place = s3_server.fill({"sub/": b"", "": b""})
        for missing in (place, f"{place}/sub", "models/no/such/prefix"):
            with pytest.raises(ModelNotFound, match="There is no object at") as error:
                resolve(source, missing)
            assert error.value.remedy

    def test_deleted_objects_are_no_part(self, s3_server: S3Server, admin: S3Source) -> None:
        place = s3_server.fill({"model.gguf": CONTENT, "old.bin": CONTENT}, "versioned")
        s3_server.client.delete_object(Bucket="versioned", Key=f"{place.partition('/')[2]}/old.bin")
        assert resolve(admin, place).by_path.keys() == {"model.gguf"}

    def test_limits(self, s3_server: S3Server) -> None:
        place = s3_server.fill({"a.bin": CONTENT, "b.bin": CONTENT, "c.bin": CONTENT})
        for limit in ({"max_files": 2}, {"max_size": 2 * len(CONTENT)}):
            with pytest.raises(SourceError, match="ore than"):
                resolve(S3Source(SourceSettings(auth=READER, endpoint=s3_server.endpoint, **limit)), place)  # type: ignore[arg-type]


class TestPins:
    def test_the_revision_follows_names_and_content(self, s3_server: S3Server, source: S3Source) -> None:
        place = s3_server.fill({"model.gguf": CONTENT})
        first = resolve(source, place)
        assert resolve(source, place).ref == first.ref
        s3_server.client.put_object(Bucket="models", Key=f"{place[7:]}/model.gguf", Body=CONTENT[::-1])
        second = resolve(source, place)
        assert second.ref.revision != first.ref.revision
        assert second.fingerprint != first.fingerprint

    def test_a_version_is_read_although_it_was_replaced(self, s3_server: S3Server, admin: S3Source) -> None:
        place = s3_server.fill({"model.gguf": LARGE}, "versioned")
        manifest = resolve(admin, place)
        s3_server.client.put_object(Bucket="versioned", Key=f"{place[10:]}/model.gguf", Body=LARGE[::-1])
        assert read(admin, manifest) == LARGE
        assert read(admin, resolve(admin, place)) == LARGE[::-1]

    def test_an_object_that_was_replaced_is_refused(self, s3_server: S3Server, source: S3Source) -> None:
        place = s3_server.fill({"model.gguf": CONTENT})
        manifest = resolve(source, place)
        s3_server.client.put_object(Bucket="models", Key=f"{place[7:]}/model.gguf", Body=CONTENT[::-1])
        with pytest.raises(SourceMisbehaved, match="no longer the object"):
            read(source, manifest)

    @pytest.mark.parametrize("locked", [False, True])
    def test_an_object_that_is_replaced_while_it_is_read_is_never_spliced(
        self, s3_server: S3Server, source: S3Source, locked: bool
    ) -> None:
        place = s3_server.fill({"model.gguf": LARGE})
        manifest = resolve(source, place)
        entry = FileEntry("model.gguf", len(LARGE)) if locked else manifest.files[0]
        received = bytearray()
        with source.open(manifest.ref, entry) as stream:
            received += next(stream.chunks)
            s3_server.client.put_object(Bucket="models", Key=f"{place[7:]}/model.gguf", Body=bytes(len(LARGE)))
            with pytest.raises(SourceMisbehaved, match="no longer the object"):
                received.extend(b for chunk in stream.chunks for b in chunk)
        assert LARGE.startswith(received)

    def test_an_object_that_was_removed_is_not_found(self, s3_server: S3Server, source: S3Source) -> None:
        place = s3_server.fill({"model.gguf": CONTENT})
        manifest = resolve(source, place)
        s3_server.client.delete_object(Bucket="models", Key=f"{place[7:]}/model.gguf")
        for entry in (manifest.files[0], FileEntry("model.gguf", len(CONTENT))):
            with pytest.raises((ModelNotFound, SourceMisbehaved)), source.open(manifest.ref, entry) as stream:
                b"".join(stream.chunks)

    def test_the_same_etag_elsewhere_is_another_identity(
        self, s3_server: S3Server, source: S3Source, store: LocalBlobStore
    ) -> None:
        place = s3_server.fill({"model.gguf": CONTENT})
        manifest = resolve(source, place)
        fetch(source, manifest.ref, manifest.files[0], store)
        assert known_blob(manifest.ref, manifest.files[0], store) == Digest.sha256(CONTENT)
        with Wire(s3_server.port) as wire:
            elsewhere = resolve(S3Source(SourceSettings(auth=READER, endpoint=wire.url)), place)
            assert elsewhere.ref.id == manifest.ref.id
            assert known_blob(elsewhere.ref, elsewhere.files[0], store) is None


class TestChecksums:
    def test_the_servers_sha256_is_a_promise(self, s3_server: S3Server, source: S3Source) -> None:
        manifest = resolve(source, s3_server.fill({"model.gguf": CONTENT}, ChecksumAlgorithm="SHA256"))
        assert manifest.files[0].digest == Digest.sha256(CONTENT)

    def test_neither_etag_nor_other_sums_nor_metadata_are(self, s3_server: S3Server, source: S3Source) -> None:
        place = s3_server.fill({"model.gguf": CONTENT}, Metadata={"sha256": "0" * 64}, ChecksumAlgorithm="CRC32")
        assert resolve(source, place).files[0].digest is None

    def test_the_sum_of_parts_is_no_promise_about_the_whole(self, s3_server: S3Server, source: S3Source) -> None:
        client, key = s3_server.client, f"{s3_server.fill({})[7:]}/model.gguf"
        place = {"Bucket": "models", "Key": key}
        upload = client.create_multipart_upload(**place, ChecksumAlgorithm="SHA256")["UploadId"]
        parts = []
        for number, part in ((1, LARGE[: 5 * 1024**2]), (2, CONTENT)):
            digest = base64.b64encode(hashlib.sha256(part).digest()).decode()
            sent = client.upload_part(
                **place, UploadId=upload, PartNumber=number, Body=part, ChecksumAlgorithm="SHA256"
            )
            parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": digest})
        client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
        assert "ChecksumSHA256" in client.head_object(**place, ChecksumMode="ENABLED")
        manifest = resolve(source, f"models/{key}")
        assert manifest.files[0].digest is None
        assert read(source, manifest) == LARGE[: 5 * 1024**2] + CONTENT

    @pytest.mark.parametrize(
        "content",
        [CONTENT + b"the needle", LARGE[:WINDOW] + b"the needle" + LARGE],
        ids=["whole", "ranges"],
    )
    def test_bytes_that_are_altered_on_the_way_are_found(
        self, s3_server: S3Server, store: LocalBlobStore, content: bytes
    ) -> None:
        place = s3_server.fill({"model.gguf": content}, ChecksumAlgorithm="SHA256")
        with Wire(s3_server.port) as wire:
            source = S3Source(SourceSettings(auth=READER, endpoint=wire.url))
            manifest = resolve(source, place)
            wire.replace = (b"the needle", b"the poodle")
            with pytest.raises(IntegrityError) as error:
                fetch(source, manifest.ref, manifest.files[0], store)
            assert error.value.facts["expected"] == str(Digest.sha256(content))
            assert list(store.digests()) == []
            wire.replace = None
            assert fetch(source, manifest.ref, manifest.files[0], store).digest == Digest.sha256(content)


class TestReading:
    @pytest.mark.parametrize("size", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, len(LARGE)])
    def test_every_size_and_offset(self, s3_server: S3Server, source: S3Source, size: int) -> None:
        manifest = resolve(source, s3_server.fill({"model.gguf": LARGE[:size]}))
        for offset in {0, size // 2, max(0, size - 1), size}:
            assert read(source, manifest, offset=offset) == LARGE[offset:size]

    def test_an_offset_behind_the_end_is_another_object(self, s3_server: S3Server, source: S3Source) -> None:
        manifest = resolve(source, s3_server.fill({"model.gguf": CONTENT}))
        with pytest.raises(SourceMisbehaved):
            read(source, manifest, offset=len(CONTENT) + 1)

    @pytest.mark.parametrize("enough", [0.0, float("inf")])
    def test_large_objects_are_read_in_ranges_under_one_pin(
        self, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, enough: float
    ) -> None:
        monkeypatch.setattr(s3, "Windows", lambda **given: Windows(enough=enough, **given))
        place = s3_server.fill({"model.gguf": LARGE})
        with Wire(s3_server.port) as wire:
            source = S3Source(SourceSettings(auth=READER, endpoint=wire.url))
            manifest = resolve(source, place)
            before = len(wire.requests)
            assert read(source, manifest) == LARGE
            asked = [head.lower() for head in wire.requests[before:]]
        etag = hashlib.md5(LARGE).hexdigest()  # SeaweedFS's, of a single part
        assert all(f'if-match: "{etag}"' in head and "range: bytes=" in head for head in asked)
        assert len(asked) == (7 if enough else 2)

    @pytest.mark.parametrize("enough", [0.0, float("inf")])
    def test_a_cut_resumes_where_it_stopped(
        self, s3_server: S3Server, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, enough: float
    ) -> None:
        monkeypatch.setattr(s3, "Windows", lambda **given: Windows(enough=enough, **given))
        place = s3_server.fill({"model.gguf": LARGE})
        with Wire(s3_server.port) as wire:
            source = S3Source(SourceSettings(auth=READER, endpoint=wire.url))
            manifest = resolve(source, place)
            wire.cut_after = len(LARGE) // 2
            assert fetch(source, manifest.ref, manifest.files[0], store).digest == Digest.sha256(LARGE)
            assert wire.cut_after is None
            starts = [int(head.lower().split("range: bytes=")[1].split("-")[0]) for head in wire.asked("GET")[2:]]
        assert starts.count(0) == 1

    def test_leaving_early_ends_the_other_reads(self, s3_server: S3Server, source: S3Source) -> None:
        manifest = resolve(source, s3_server.fill({"model.gguf": LARGE}))
        for _ in range(3):
            with source.open(manifest.ref, manifest.files[0]) as stream:
                assert LARGE.startswith(next(stream.chunks))
        assert read(source, manifest) == LARGE

    def test_it_comes_into_the_store(self, s3_server: S3Server, source: S3Source, store: LocalBlobStore) -> None:
        manifest = resolve(source, s3_server.fill({"model.gguf": LARGE, "config.json": b"{}"}))
        computed = [fetch(source, manifest.ref, entry, store) for entry in manifest.files]
        assert [entry.digest for entry in computed] == [Digest.sha256(b"{}"), Digest.sha256(LARGE)]
        assert Path(store.path(Digest.sha256(LARGE))).read_bytes() == LARGE
