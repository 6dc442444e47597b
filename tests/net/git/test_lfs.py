"""Git LFS without git: pointers, and the Batch API of a server whose answers are made up here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.services.gitlfs import pointer as text
from tests.simulators.web import Page, WebServer
from weighbridge.domain.digest import Digest
from weighbridge.errors import AccessDenied, ModelNotFound, SourceError, SourceMisbehaved, SourceUnavailable
from weighbridge.net.auth import Auth
from weighbridge.net.git.lfs import BATCH_SIZE, LfsServer, Pointer
from weighbridge.net.transfer import Transfer

CONTENT = b"weights" * 1000
POINTER = Pointer(Digest.sha256(CONTENT), len(CONTENT))
OID = POINTER.digest.hex
NOW = datetime(2026, 11, 21, tzinfo=UTC)
BATCH = "/r.git/info/lfs/objects/batch"


class TestPointers:
    @pytest.mark.parametrize("version", ["git-lfs.github.com", "hawser.github.com"])
    def test_a_pointer_says_digest_and_size(self, version: str) -> None:
        content = text(OID, 7000).replace(b"git-lfs.github.com", version.encode())
        assert Pointer.parse(content, "f") == Pointer(Digest("sha256", OID), 7000)

    @pytest.mark.parametrize(
        "content",
        [
            text(OID, 7000).replace(b"\n", b"\r\n"),
            text(OID, 7000).replace(b"\n", b"\r\n", 1),
            text(OID, 7000)[:-1],
            b" " + text(OID, 7000) + b"\n\n",
            text(OID, 7000).replace(b"\n", b"\n\n"),
            text(OID, 7000).replace(b"size 7000", b"size 07000"),
            text(OID, 7000).replace(b"https://git-lfs.github.com/spec/v1", b"http://git-media.io/v/2"),
        ],
    )
    def test_pointers_that_git_lfs_reads_are_read(self, content: bytes) -> None:
        assert Pointer.parse(content, "f") == Pointer(Digest("sha256", OID), 7000)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b"\n \n",
            text(OID, 1).replace(b"v1", b"v12"),
            b"\xef\xbb\xbf" + text(OID, 1),
            text(OID, 1) + b"x" * 1024,
        ],
    )
    def test_what_does_not_begin_like_one_or_is_too_long_is_none(self, content: bytes) -> None:
        assert Pointer.parse(content, "f") is None

    @pytest.mark.parametrize(
        "broken",
        [
            text(OID[:-1], 1),
            text(OID.upper(), 1),
            text(OID, -1),
            text(OID, 10**30),
            text(OID, 1).replace(b"size 1", b"size  1"),
            text(OID, 1) + b"x-key value\n",
            text(OID, 1).replace(b"sha256:", b"md5:"),
            b"version https://git-lfs.github.com/spec/v1\n",
        ],
    )
    def test_what_only_begins_like_one_is_never_taken_for_the_file(self, broken: bytes) -> None:
        with pytest.raises(SourceMisbehaved, match=r"a/b\.gguf begins like a pointer"):
            Pointer.parse(broken, "a/b.gguf")

    def test_an_extension_is_named(self) -> None:
        content = text(OID, 1).replace(b"oid", b"ext-0-crypt sha256:%s\noid" % OID.encode())
        with pytest.raises(SourceError, match="extension"):
            Pointer.parse(content, "f")


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        server.put("/o", CONTENT)
        yield server


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(web: WebServer, clock: Clock) -> LfsServer:
    auth = Auth("ours", hosts=("127.0.0.1",))
    transfer = Transfer(timeout_s=5, max_redirects=3)
    return LfsServer(transfer, web.url("/r.git/info/lfs"), auth.header, clock)


def download(href: str, one: Pointer = POINTER, **more: Any) -> dict[str, Any]:
    """What a server says about an object that it has."""
    authenticated = {"authenticated": more.pop("authenticated")} if "authenticated" in more else {}
    return {
        "oid": one.digest.hex,
        "size": one.size,
        **authenticated,
        "actions": {"download": {"href": href, **more}},
    }


def answer(web: WebServer, *objects: object, **more: object) -> None:
    web.put(BATCH, json.dumps({"transfer": "basic", "objects": objects, **more}).encode())


def read(server: LfsServer, offset: int = 0, ahead: tuple[Pointer, ...] = ()) -> bytes:
    with server.open(POINTER, "a/b.gguf", offset, ahead) as stream:
        assert stream.offset == offset
        return b"".join(stream.chunks)


def asked(web: WebServer) -> list[list[str]]:
    """The objects that each batch asked for."""
    bodies = [json.loads(request.body) for request in web.requests if request.path == BATCH]
    return [[one["oid"] for one in body["objects"]] for body in bodies]


class TestBatches:
    def test_an_object_is_asked_for_as_the_protocol_says(self, web: WebServer, server: LfsServer) -> None:
        answer(web, download(web.url("/o")))
        assert read(server, 10) == CONTENT[10:]
        batch, bytes_ = web.requests
        assert batch.headers["accept"] == batch.headers["content-type"] == "application/vnd.git-lfs+json"
        assert json.loads(batch.body) == {
            "operation": "download",
            "transfers": ["basic"],
            "objects": [{"oid": OID, "size": len(CONTENT)}],
            "hash_algo": "sha256",
        }
        assert bytes_.headers["range"] == "bytes=10-"

    def test_one_batch_for_many_and_never_more_than_a_hundred(self, web: WebServer, server: LfsServer) -> None:
        others = tuple(Pointer(Digest.sha256(b"%d" % n), n) for n in range(1, 300))
        answer(web, download(web.url("/o")), *(download(web.url("/o"), one) for one in others[:50]))
        read(server, ahead=others)
        read(server)
        assert [len(oids) for oids in asked(web)] == [BATCH_SIZE]
        assert asked(web)[0][0] == OID

    @pytest.mark.parametrize("status", [404, 413, 422])
    def test_a_batch_that_is_refused_for_another_object_is_asked_again_alone(
        self, web: WebServer, server: LfsServer, status: int
    ) -> None:
        answer(web, download(web.url("/o")))
        web.pages[BATCH] = Page(b"{}", status=status, next=web.pages[BATCH])
        assert read(server, ahead=(Pointer(Digest.sha256(b"x"), 1),)) == CONTENT
        assert [len(oids) for oids in asked(web)] == [2, 1]

    @pytest.mark.parametrize("expiry", [{"expires_in": 60}, {"expires_at": "2026-11-21T00:01:00Z"}])
    def test_an_address_is_used_until_it_expires(
        self, web: WebServer, server: LfsServer, clock: Clock, expiry: dict[str, Any]
    ) -> None:
        answer(web, download(web.url("/o"), **expiry))
        for seconds, batches in ((0, 1), (20, 1), (40, 2)):
            clock.now = NOW + timedelta(seconds=seconds)
            read(server)
            assert len(asked(web)) == batches

    def test_the_zero_time_is_no_expiry(self, web: WebServer, server: LfsServer) -> None:
        answer(web, download(web.url("/o"), expires_at="0001-01-01T00:00:00Z"))
        read(server)
        read(server)
        assert len(asked(web)) == 1

    def test_an_address_that_no_longer_holds_is_asked_for_once_more(self, web: WebServer, server: LfsServer) -> None:
        answer(web, download(web.url("/old")))
        web.put("/old", CONTENT, next=Page(status=403, etag=""))
        read(server)
        answer(web, download(web.url("/o")))
        assert read(server) == CONTENT
        answer(web, download(web.url("/old")))
        web.pages.pop("/o")
        with pytest.raises(AccessDenied, match=r"a/b\.gguf"):
            read(server)
        assert len(asked(web)) == 3


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (404, ModelNotFound),
            (410, ModelNotFound),
            (422, ModelNotFound),
            (401, AccessDenied),
            (403, AccessDenied),
            (503, SourceUnavailable),
            (509, SourceUnavailable),
            ("x", SourceMisbehaved),
            (None, SourceMisbehaved),
        ],
    )
    def test_of_one_object_name_the_file(
        self, web: WebServer, server: LfsServer, code: object, kind: type[SourceError]
    ) -> None:
        answer(web, {"oid": OID, "size": len(CONTENT), "error": {"code": code, "message": "no\x1b[31m"}})
        with pytest.raises(kind, match=r"a/b\.gguf.* It says: “no\\x1b\[31m”\."):
            read(server)

    @pytest.mark.parametrize(("status", "kind"), [(404, ModelNotFound), (401, AccessDenied), (500, SourceUnavailable)])
    def test_of_a_whole_batch(self, web: WebServer, server: LfsServer, status: int, kind: type[SourceError]) -> None:
        web.put(BATCH, b"{}", status=status)
        with pytest.raises(kind):
            read(server)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"<html>",
            b"[]",
            b"{}",
            b'{"objects": {}}',
            b'{"objects": [1]}',
            b'{"objects": ["oid"]}',
            b'{"objects": [{"oid": []}]}',
            b'{"objects": []}',
            b"[" * 100_000,
            json.dumps({"objects": [{"oid": OID, "size": 1, "actions": {}}]}).encode(),
            json.dumps({"objects": [{"oid": OID, "size": len(CONTENT)}]}).encode(),
            json.dumps({"objects": [{"oid": OID, "actions": {"download": {"href": 7}}}]}).encode(),
            json.dumps({"objects": [download("/o")], "transfer": "tus"}).encode(),
            json.dumps({"objects": [download("/o")], "hash_algo": "md5"}).encode(),
            json.dumps({"objects": [download("/o", header=["x"])]}).encode(),
            json.dumps({"objects": [download("/o", header={"X": "a\r\nHost: b"})]}).encode(),
            json.dumps({"objects": [download("/o", header={"X: y\r\nZ": "a"})]}).encode(),
            json.dumps({"objects": [download("/o", header={"X": 1})]}).encode(),
            json.dumps({"objects": [download("/o", expires_at="soon")]}).encode(),
            json.dumps({"objects": [download("file:///etc/passwd")]}).encode(),
            json.dumps({"objects": [download("ext::sh")]}).encode(),
            json.dumps({"objects": [download("http://u:p@127.0.0.1/")]}).encode(),
            json.dumps({"objects": [download("http://127.0.0.1:99999/")]}).encode(),
        ],
    )
    def test_answers_that_are_none(self, web: WebServer, server: LfsServer, content: bytes) -> None:
        web.put(BATCH, content)
        with pytest.raises(SourceMisbehaved) as error:
            read(server)
        assert error.value.remedy
        assert [request.path for request in web.requests] == [BATCH]


class TestServersOfTheWorld:
    @pytest.mark.parametrize("more", [{"transfer": None}, {"transfer": ""}, {"hash_algo": None}])
    def test_empty_fields_mean_what_leaving_them_out_means(
        self, web: WebServer, server: LfsServer, more: dict[str, object]
    ) -> None:
        answer(web, download(web.url("/o")), **more)
        assert read(server) == CONTENT

    def test_links_in_place_of_actions(self, web: WebServer, server: LfsServer) -> None:
        one = download(web.url("/o"))
        answer(web, {"oid": OID, "size": 0, "_links": one["actions"]})
        assert read(server) == CONTENT

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_server_that_moved_is_asked_where_it_is(self, web: WebServer, server: LfsServer, status: int) -> None:
        answer(web, download(web.url("/o")))
        web.pages["/moved"] = web.pages[BATCH]
        web.redirect(BATCH, "/moved", status)
        assert read(server) == CONTENT
        assert [request.method for request in web.requests] == ["POST", "POST", "GET"]

    @pytest.mark.parametrize("status", [403, 404])
    def test_an_address_that_is_refused_once_is_asked_for_again(
        self, web: WebServer, server: LfsServer, status: int
    ) -> None:
        answer(web, download(web.url("/o")))
        web.pages["/o"] = Page(status=status, next=web.pages["/o"])
        assert read(server) == CONTENT

    @pytest.mark.parametrize("status", [429, 503, 509, 520, 527])
    def test_a_batch_that_is_busy_once_is_asked_again(
        self, web: WebServer, server: LfsServer, status: int, waited: list[float]
    ) -> None:
        answer(web, download(web.url("/o")))
        web.pages[BATCH] = Page(status=status, headers={"Retry-After": "3"}, next=web.pages[BATCH])
        assert read(server) == CONTENT
        assert waited == [3.0]

    def test_what_the_server_says_is_shown(self, web: WebServer, server: LfsServer) -> None:
        words = "This repository exceeded its LFS budget."
        web.put(
            BATCH, json.dumps({"message": words}).encode(), status=403, headers={"Content-Type": "application/json"}
        )
        with pytest.raises(AccessDenied, match="exceeded its LFS budget"):
            read(server)


class TestHeaders:
    @pytest.mark.parametrize(
        ("authenticated", "expected"), [(None, "Bearer ours"), (False, "Bearer ours"), (True, None)]
    )
    def test_our_credentials_go_to_our_host_unless_it_says_that_it_needs_none(
        self, web: WebServer, server: LfsServer, authenticated: bool | None, expected: str | None
    ) -> None:
        answer(web, download("/o", **({} if authenticated is None else {"authenticated": authenticated})))
        read(server)
        assert web.requests[0].headers["authorization"] == "Bearer ours"
        assert web.requests[1].headers.get("authorization") == expected

    def test_another_host_gets_none_of_ours(self, web: WebServer, server: LfsServer) -> None:
        answer(web, download(web.url("/o", host="localhost")))
        read(server)
        assert web.requests[1].headers["host"].startswith("localhost")
        assert "authorization" not in web.requests[1].headers

    def test_the_servers_fields_are_sent_and_to_the_first_host_only(self, web: WebServer, server: LfsServer) -> None:
        web.redirect("/redirected", web.url("/o", host="localhost"))
        fields = {"Authorization": "RemoteAuth x", "X-Key": "k", "Range": "bytes=0-1", "Host": "evil", "If-Match": "x"}
        answer(web, download("/redirected", header=fields))
        assert read(server) == CONTENT
        _, first, second = web.requests
        assert (first.headers["authorization"], first.headers["x-key"]) == ("RemoteAuth x", "k")
        assert first.headers["host"] == f"127.0.0.1:{web.port}"
        assert not {"range", "if-match"} & first.headers.keys()
        assert not {"authorization", "x-key"} & second.headers.keys()

    def test_an_object_of_another_size_is_refused(self, web: WebServer, server: LfsServer) -> None:
        answer(web, download("/o"))
        web.put("/o", CONTENT + b"!")
        with pytest.raises(SourceMisbehaved):
            read(server)
