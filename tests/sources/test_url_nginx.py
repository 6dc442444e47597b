"""The source `url` against a real nginx, through fetching: ranges, codings, refusals, redirects, cut lines."""

from __future__ import annotations

import gzip
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest

from bench.cutting import CutWire
from tests.services.nginx import BASIC, MAX_HOPS, PASSWORD, USERNAME, Nginx
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    ModelNotFound,
    SourceMisbehaved,
    SourceUnavailable,
    WeighbridgeError,
)
from weighbridge.intake.fetching import fetch
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.auth import Auth
from weighbridge.net.retrying import Retrying
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.url import UrlSource
from weighbridge.store.local import LocalBlobStore

CONTENT = b"GGUF" + random.Random(7).randbytes(2_000_000)
DIGEST = Digest.sha256(CONTENT)
#: Large enough that what is on its way when the line is cut is less than a hundredth.
LARGE = CONTENT * 20
#: What may come again after a cut at nine tenths.
MAX_AGAIN = 0.11
CUT_AT = 0.9


@pytest.fixture
def name(nginx: Nginx, request: pytest.FixtureRequest) -> str:
    """A file of this test's own on the server."""
    name = f"{crc32(request.node.nodeid.encode()):08x}.gguf"
    nginx.put(name, LARGE if request.cls is TestResuming else CONTENT)
    return name


@pytest.fixture
def got(store: LocalBlobStore) -> Callable[..., FileEntry]:
    def run(url: str, **settings: object) -> FileEntry:
        source = UrlSource(SourceSettings(**({"timeout_s": 10} | settings)))  # type: ignore[arg-type]
        manifest = source.resolve(ModelRef.parse(url))
        return fetch(source, manifest.ref, manifest.files[0], store)

    return run


Got = Callable[..., FileEntry]


@pytest.mark.parametrize("place", ["files", "weak", "whole", "coding"])
def test_bytes_come_as_they_lie_there(nginx: Nginx, name: str, got: Got, place: str) -> None:
    assert got(nginx.url(f"/{place}/{name}")).digest == DIGEST
    assert [served.status for served in nginx.requests(f"/{place}/{name}", 2)] == [200, 200]


def test_bytes_that_come_coded_are_refused(nginx: Nginx, name: str, got: Got, store: LocalBlobStore) -> None:
    nginx.put(f"{name}.gz", gzip.compress(CONTENT[:100_000]))
    with pytest.raises(SourceMisbehaved, match="gzip-coded"):
        got(nginx.url(f"/coded/{name}"))
    assert list(store.digests()) == []


class TestResuming:
    def test_what_was_here_does_not_come_again(self, nginx: Nginx, name: str, got: Got) -> None:
        with CutWire(nginx.port, int(len(LARGE) * CUT_AT)) as wire:
            assert got(nginx.url(f"/files/{name}", port=wire.port)).digest == Digest.sha256(LARGE)
            assert wire.cut.is_set()
            assert wire.after_cut <= MAX_AGAIN * len(LARGE)
        *_, last = nginx.requests(f"/files/{name}", 3)
        assert last.status == 206
        assert last.if_range

    def test_also_not_for_another_process(self, nginx: Nginx, name: str, store: LocalBlobStore, got: Got) -> None:
        child = f"""
import os, signal, sys
from pathlib import Path
from weighbridge.intake import fetching
from weighbridge.store.incoming import Incoming
from weighbridge.store.local import LocalBlobStore
from weighbridge.domain.ref import ModelRef
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.url import UrlSource
write = Incoming.write
def dying(self, chunk):
    write(self, chunk)
    if self.offset > {int(len(LARGE) * CUT_AT)}:
        os.kill(os.getpid(), signal.SIGKILL)
Incoming.write = dying
source = UrlSource(SourceSettings())
manifest = source.resolve(ModelRef.parse(sys.argv[1]))
fetching.fetch(source, manifest.ref, manifest.files[0], LocalBlobStore(Path(sys.argv[2])))
"""
        url = nginx.url(f"/files/{name}")
        killed = subprocess.run([sys.executable, "-c", child, url, str(store.root)], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert got(url).digest == Digest.sha256(LARGE)
        again = [served for served in nginx.requests(f"/files/{name}", 4) if served.range]
        assert [served.status for served in again] == [206]
        assert sum(served.sent for served in again) <= MAX_AGAIN * len(LARGE)

    def test_a_promise_resumes_where_an_etag_cannot(self, nginx: Nginx, name: str, got: Got) -> None:
        with CutWire(nginx.port, int(len(LARGE) * CUT_AT)) as wire:
            url = nginx.url(f"/weak/{name}#sha256={Digest.sha256(LARGE).hex}", port=wire.port)
            assert got(url).digest == Digest.sha256(LARGE)
            assert wire.after_cut <= MAX_AGAIN * len(LARGE)


class TestCuts:
    @pytest.mark.parametrize("place", ["weak", "whole"])
    def test_without_an_identity_or_ranges_all_of_it_comes_again(
        self, nginx: Nginx, name: str, got: Got, place: str
    ) -> None:
        with CutWire(nginx.port, int(len(CONTENT) * CUT_AT)) as wire:
            assert got(nginx.url(f"/{place}/{name}", port=wire.port)).digest == DIGEST
            assert wire.after_cut >= len(CONTENT)

    @pytest.mark.parametrize("place", ["files", "whole"])
    @pytest.mark.parametrize(
        "other", [bytes(len(CONTENT)), CONTENT + b"more", CONTENT[:1000]], ids=["as long", "longer", "shorter"]
    )
    def test_another_file_in_the_middle_is_never_spliced(
        self,
        nginx: Nginx,
        name: str,
        got: Got,
        store: LocalBlobStore,
        monkeypatch: pytest.MonkeyPatch,
        place: str,
        other: bytes,
    ) -> None:
        monkeypatch.setattr(Retrying, "pause", lambda *_: nginx.put(name, other, modified=1_700_000_000))
        with (
            CutWire(nginx.port, int(len(CONTENT) * CUT_AT)) as wire,
            pytest.raises(SourceMisbehaved, match="no longer the file"),
        ):
            got(nginx.url(f"/{place}/{name}", port=wire.port))
        assert list(store.digests()) == []


def test_slow_is_not_dead(nginx: Nginx, got: Got) -> None:
    nginx.put("slow.gguf", CONTENT[:300_000])
    assert got(nginx.url("/slow/slow.gguf"), timeout_s=5).size == 300_000


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, AccessDenied),
            (403, AccessDenied),
            (404, ModelNotFound),
            (410, ModelNotFound),
            (429, SourceUnavailable),
            (500, SourceUnavailable),
            (502, SourceUnavailable),
            (503, SourceUnavailable),
            (504, SourceUnavailable),
        ],
    )
    def test_a_status(self, nginx: Nginx, got: Got, status: int, kind: type[WeighbridgeError]) -> None:
        with pytest.raises(kind) as error:
            got(nginx.url(f"/status/{status}"))
        assert error.value.facts["http_status"] == status
        assert error.value.facts.get("retry_after_s") == (7 if kind is SourceUnavailable else None)
        assert error.value.retryable is (kind is SourceUnavailable)
        assert error.value.remedy

    def test_a_user_is_asked_for(self, nginx: Nginx, name: str, got: Got) -> None:
        url = nginx.url(f"/basic/{name}")
        assert got(url, auth=Auth(username=USERNAME, password=PASSWORD)).digest == DIGEST
        for wrong in (Auth(), Auth(PASSWORD), Auth(username=USERNAME, password="another-password")):
            with pytest.raises(AccessDenied) as error:
                got(url, auth=wrong)
            assert "password" not in f"{error.value}{error.value.facts}"

    def test_a_file_that_goes_while_it_comes(
        self, nginx: Nginx, name: str, got: Got, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = nginx.folder / "files" / name
        monkeypatch.setattr(Retrying, "pause", lambda *_: path.unlink(missing_ok=True))
        with CutWire(nginx.port, 1_000_000) as wire, pytest.raises(ModelNotFound):
            got(nginx.url(f"/files/{name}", port=wire.port))


class TestRedirects:
    def test_as_many_as_allowed_and_no_more(self, nginx: Nginx, name: str, got: Got) -> None:
        assert got(nginx.url(f"/hops/{MAX_HOPS - 1}/{name}")).digest == DIGEST
        with pytest.raises(SourceMisbehaved, match="redirects more than 5 times"):
            got(nginx.url(f"/hops/{MAX_HOPS}/{name}"))

    def test_a_loop_ends(self, nginx: Nginx, got: Got) -> None:
        with pytest.raises(SourceMisbehaved, match="redirects more than 5 times"):
            got(nginx.url("/loop/x"))
        assert len(nginx.requests("/loop/x", 6)) == 6

    def test_a_password_goes_no_further(self, nginx: Nginx, name: str, got: Got) -> None:
        auth = Auth(username=USERNAME, password=PASSWORD)
        assert got(nginx.url(f"/away/files/{name}"), auth=auth).digest == DIGEST
        assert {served.authorization for served in nginx.requests(f"/away/files/{name}", 2)} == {BASIC}
        assert {(served.host, served.authorization) for served in nginx.requests(f"/files/{name}", 2)} == {
            ("localhost", "")
        }

    def test_on_behalf_of_others_none_leads_to_a_private_address(self, nginx: Nginx, name: str, got: Got) -> None:
        public = AddressPolicy(private=(), trusted=(f"127.0.0.1:{nginx.port}",))  # as if the address were a public one
        assert got(nginx.url(f"/files/{name}"), addresses=public).digest == DIGEST
        asked = nginx.count
        with pytest.raises(AddressRefused, match="not a public address"):
            got(nginx.url(f"/away/files/{name}"), addresses=public)
        nginx.requests(f"/away/files/{name}")
        assert nginx.count == asked + 1
        with pytest.raises(AddressRefused):
            got(nginx.url(f"/files/{name}", host="localhost"), addresses=public)


def test_a_folder_of_the_server_is_no_model(nginx: Nginx, got: Got) -> None:
    with pytest.raises((AccessDenied, ModelNotFound)):
        got(nginx.url("/files/"))


def test_nothing_is_left_of_a_broken_promise(nginx: Nginx, name: str, got: Got, store: LocalBlobStore) -> None:
    with pytest.raises(WeighbridgeError, match="was promised"):
        got(nginx.url(f"/files/{name}#sha256={'0' * 64}"))
    assert list(store.digests()) == []
    assert [path for path in Path(store.root / "partial").iterdir() if path.stat().st_size] == []
