"""The fetch engine over a real HTTP server with faults."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.simulators.web import Page, WebServer
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.tally import Tally
from weighbridge.errors import IntegrityError, ModelNotFound, SourceMisbehaved, SourceUnavailable
from weighbridge.intake.fetching import fetch
from weighbridge.net.settings import SourceSettings
from weighbridge.sources import SOURCES
from weighbridge.sources.interface import Source
from weighbridge.store.local import LocalBlobStore

BODY = bytes(range(256)) * 20_000
DIGEST = Digest.sha256(BODY)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture
def source() -> Source:
    return SOURCES["url"](SourceSettings(timeout_s=2))


def declared(source: Source, url: str) -> Manifest:
    return source.resolve(ModelRef.parse(url))


def test_bytes_arrive_once(web: WebServer, source: Source, store: LocalBlobStore) -> None:
    manifest = declared(source, web.put("/model.bin", BODY))
    first = fetch(source, manifest.ref, manifest.files[0], store)
    asked = len(web.requests)
    second = fetch(source, manifest.ref, manifest.files[0], store)
    assert first == second == FileEntry("model.bin", len(BODY), DIGEST)
    assert len(web.requests) == asked


def test_the_same_bytes_from_elsewhere_are_stored_once(web: WebServer, source: Source, store: LocalBlobStore) -> None:
    for path in ("/a/model.bin", "/b/other.bin"):
        manifest = declared(source, web.put(path, BODY))
        fetch(source, manifest.ref, manifest.files[0], store)
    assert list(store.digests()) == [DIGEST]


def test_a_cut_body_is_resumed(web: WebServer, source: Source, store: LocalBlobStore) -> None:
    url = web.put("/model.bin", BODY)
    manifest = declared(source, url)
    web.pages["/model.bin"] = Page(BODY, cut_after=3_000_000, next=Page(BODY))
    assert fetch(source, manifest.ref, manifest.files[0], store).digest == DIGEST
    ranges = [request.headers.get("range") for request in web.requests if request.method == "GET"]
    assert ranges[-1] is not None
    assert ranges[-1].startswith("bytes=")
    assert ranges[-1] != "bytes=0-"


def test_a_server_without_ranges_starts_again(web: WebServer, source: Source, store: LocalBlobStore) -> None:
    manifest = declared(source, web.put("/model.bin", BODY, ranges=False))
    web.pages["/model.bin"] = Page(BODY, cut_after=1000, ranges=False, next=Page(BODY, ranges=False))
    assert fetch(source, manifest.ref, manifest.files[0], store).digest == DIGEST


@pytest.mark.parametrize("ranges", [True, False])
def test_progress_of_a_cut_body_is_that_of_one_body(
    web: WebServer, source: Source, store: LocalBlobStore, ranges: bool
) -> None:
    """Neither the total nor what is done grows with each attempt (huggingface_hub#3234, #4208)."""
    manifest = declared(source, web.put("/model.bin", BODY, ranges=ranges))
    again = Page(BODY, cut_after=2_000_000, ranges=ranges, next=Page(BODY, ranges=ranges))
    web.pages["/model.bin"] = Page(BODY, cut_after=3_000_000, ranges=ranges, next=again)
    tally = Tally()
    tally.expect("fetch", manifest.files[0].size or 0)
    fetch(source, manifest.ref, manifest.files[0], store, tally)
    (reading,) = tally.readings()
    assert (reading.done, reading.total, reading.finished) == (len(BODY), len(BODY), True)


def test_progress_of_a_body_without_a_promised_size_ends_at_its_own(
    web: WebServer, source: Source, store: LocalBlobStore
) -> None:
    manifest = declared(source, web.put("/model.bin", BODY))
    tally = Tally()
    fetch(source, manifest.ref, replace(manifest.files[0], size=None, version=""), store, tally)
    (reading,) = tally.readings()
    assert (reading.done, reading.total) == (len(BODY), len(BODY))


def test_a_source_that_stays_cut_is_given_up_and_resumed_later(
    web: WebServer, source: Source, store: LocalBlobStore
) -> None:
    manifest = declared(source, web.put("/model.bin", BODY))
    web.pages["/model.bin"] = Page(BODY, cut_after=0)
    with pytest.raises(SourceUnavailable, match="resumes"):
        fetch(source, manifest.ref, manifest.files[0], store)
    web.pages["/model.bin"] = Page(BODY)
    assert fetch(source, manifest.ref, manifest.files[0], store).digest == DIGEST


@pytest.mark.parametrize("length", [len(BODY) - 5, len(BODY) + 5])
def test_a_body_that_lies_about_its_length_is_refused(
    web: WebServer, source: Source, store: LocalBlobStore, length: int
) -> None:
    manifest = declared(source, web.put("/model.bin", BODY))
    web.pages["/model.bin"].length = length
    with pytest.raises((SourceMisbehaved, SourceUnavailable)):
        fetch(source, manifest.ref, manifest.files[0], store)
    assert not list(store.digests())


def test_same_length_wrong_bytes_are_refused(web: WebServer, source: Source, store: LocalBlobStore) -> None:
    url = web.put("/model.bin", b"\0" * len(BODY)) + f"#sha256={DIGEST.hex}"
    manifest = declared(source, url)
    with pytest.raises(IntegrityError) as error:
        fetch(source, manifest.ref, manifest.files[0], store)
    assert error.value.facts["expected"] == str(DIGEST)
    assert error.value.facts["actual"] == str(Digest.sha256(b"\0" * len(BODY)))
    assert not list(store.digests())


def test_a_broken_remainder_is_fetched_from_the_start(web: WebServer, source: Source, store: LocalBlobStore) -> None:
    manifest = declared(source, web.put("/model.bin", BODY) + f"#sha256={DIGEST.hex}")
    entry = manifest.files[0]
    with store.receive(str(DIGEST)) as incoming:
        incoming.write(b"not what was promised")
    assert fetch(source, manifest.ref, entry, store).digest == DIGEST


def test_a_file_that_is_gone_is_not_asked_again(web: WebServer, source: Source, store: LocalBlobStore) -> None:
    manifest = declared(source, web.put("/model.bin", BODY))
    del web.pages["/model.bin"]
    asked = len(web.requests)
    with pytest.raises(ModelNotFound):
        fetch(source, manifest.ref, manifest.files[0], store)
    assert len(web.requests) == asked + 1


def test_two_threads_fetch_one_body(web: WebServer, source: Source, store: LocalBlobStore) -> None:
    manifest = declared(source, web.put("/model.bin", BODY) + f"#sha256={DIGEST.hex}")
    found: list[FileEntry] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(source, manifest.ref, manifest.files[0], store)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert sum(request.method == "GET" for request in web.requests) == 1


@pytest.mark.parametrize("broken", [False, True])
def test_a_git_digest_is_compared_although_the_size_comes_with_the_bytes(
    web: WebServer, source: Source, store: LocalBlobStore, broken: bool
) -> None:
    url = web.put("/model.bin", BODY, cut_after=2_000_000, next=Page(BODY))
    promised = hashlib.sha1(b"blob %d\0%s" % (len(BODY), b"x" if broken else BODY)).hexdigest()
    manifest = declared(source, url)
    entry = replace(manifest.files[0], size=None, digest=Digest("git-sha1", promised))
    if broken:
        with pytest.raises(IntegrityError, match=f"git-sha1:{promised} was promised"):
            fetch(source, manifest.ref, entry, store)
    else:
        assert fetch(source, manifest.ref, entry, store) == FileEntry("model.bin", len(BODY), DIGEST)
        assert "range" in web.requests[-1].headers


def test_an_empty_file_needs_no_request(web: WebServer, source: Source, store: LocalBlobStore) -> None:
    ref = ModelRef.parse(web.url("/empty"))
    assert fetch(source, ref, FileEntry("empty", 0), store).digest == Digest.sha256(b"")
    assert web.requests == []
