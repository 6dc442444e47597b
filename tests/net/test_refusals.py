"""Refusals: the server's own words reach the reader, harmless, and nothing secret with them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest

from tests.simulators.web import WebServer
from weighbridge.errors import SourceError, SourceMisbehaved
from weighbridge.net.transfer import Transfer

JSON = {"Content-Type": "application/json; charset=utf-8"}


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture
def transfer() -> Transfer:
    return Transfer(timeout_s=10, max_redirects=3)


def refused(transfer: Transfer, url: str, **options: str) -> str:
    with pytest.raises(SourceError) as error:
        transfer.read(url, accept="*/*", **options)
    return str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        {"error": "use another tag"},
        {"error": {"code": 1, "message": "use another tag"}},
        {"message": "use another tag", "documentation_url": "https://host"},
        {"errors": [{"code": "DENIED", "message": "use another tag", "detail": None}]},
        {"detail": [{"msg": "x"}, "use another tag"]},
        ["use another tag"],
    ],
)
@pytest.mark.parametrize("status", [400, 403, 404, 412, 422, 451, 503])
def test_json_in_its_usual_forms(web: WebServer, transfer: Transfer, content: object, status: int) -> None:
    url = web.put("/f", json.dumps(content).encode(), status=status, headers=JSON)
    assert "It says: “use another tag”." in refused(transfer, url)


def test_the_hubs_header_and_plain_text(web: WebServer, transfer: Transfer) -> None:
    header = {"X-Error-Message": "Access is disabled.", **JSON}
    assert "“Access is disabled”" in refused(transfer, web.put("/h", b'{"error": "x"}', status=403, headers=header))
    text = web.put("/t", b"pull a newer version\n", status=412, headers={"Content-Type": "text/plain"})
    message = refused(transfer, text)
    assert "“pull a newer version”" in message
    assert "no longer the file" not in message  # nobody asked for an earlier one


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"<html>go away</html>", {"Content-Type": "text/html"}),
        (b"{", JSON),
        (b'{"error": 1}', JSON),
        (b"[" * 50_000, JSON),
        (b'{"error": "' + b"x" * 100_000 + b'"}', JSON),
        (gzip.compress(b'{"error": "x"}', mtime=0), {**JSON, "Content-Encoding": "gzip"}),
        (b"\xff", {"Content-Type": "text/plain"}),
        (b"", JSON),
    ],
)
def test_what_says_nothing(web: WebServer, transfer: Transfer, content: bytes, headers: dict[str, str]) -> None:
    assert "It says" not in refused(transfer, web.put("/f", content, status=400, headers=headers))


def test_hostile_words_are_shown_harmless_and_short(web: WebServer, transfer: Transfer) -> None:
    words = "\x1b[31mred\nfake: line\u202e" + "x" * 5000
    message = refused(transfer, web.put("/f", json.dumps({"error": words}).encode(), status=400, headers=JSON))
    assert message.isprintable()
    assert len(message) < 600


def test_no_secret_of_the_question_comes_back(web: WebServer, transfer: Transfer) -> None:
    words = "Cannot GET /f?sig=SECRET%2B1 with Bearer TOKEN or sig=SECRET+1"
    web.put("/f", words.encode(), status=404, headers={"Content-Type": "text/plain"})
    message = refused(transfer, web.url("/f?sig=SECRET%2B1"), authorization="Bearer TOKEN")
    assert "Cannot GET" in message
    assert "SECRET" not in message
    assert "TOKEN" not in message


class TestCodings:
    @pytest.mark.parametrize(
        ("path", "coding"),
        [
            ("/m.tar.gz", "x-gzip"),
            ("/m.tgz", "gzip"),
            ("/m.gguf.GZ", "gzip"),
            ("/m.tar.bz2", "x-bzip2"),
            ("/m.xz", "xz"),
        ],
    )
    def test_a_compressed_file_is_taken_as_it_is(
        self, web: WebServer, transfer: Transfer, path: str, coding: str
    ) -> None:
        url = web.redirect("/r" + path, web.put(path, b"\x1f\x8bcontent", headers={"Content-Encoding": coding}))
        assert transfer.describe(url).size == 9
        with transfer.stream(url) as stream:
            assert b"".join(stream.chunks) == b"\x1f\x8bcontent"

    def test_the_name_may_stand_in_content_disposition(self, web: WebServer, transfer: Transfer) -> None:
        headers = {"Content-Encoding": "gzip", "Content-Disposition": 'attachment; filename="m.tar.gz"'}
        with transfer.stream(web.put("/download", b"content", headers=headers)) as stream:
            assert b"".join(stream.chunks) == b"content"

    @pytest.mark.parametrize(("path", "coding"), [("/m.gguf", "gzip"), ("/m.tar.gz", "br"), ("/m.gz", "gzip, gzip")])
    def test_a_file_that_is_coded_for_the_way_is_refused(
        self, web: WebServer, transfer: Transfer, path: str, coding: str
    ) -> None:
        url = web.put(path, b"content", headers={"Content-Encoding": coding})
        with pytest.raises(SourceMisbehaved, match="coded although identity"), transfer.stream(url):
            pass
