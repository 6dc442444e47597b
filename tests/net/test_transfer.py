from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.simulators.web import WebServer
from weighbridge.errors import (
    AccessDenied,
    InvalidReference,
    ModelNotFound,
    SourceMisbehaved,
    SourceUnavailable,
    WeighbridgeError,
)
from weighbridge.net.responses import disposition_name, retry_after_s, shown
from weighbridge.net.transfer import Transfer, same_origin

CONTENT = bytes(range(256)) * 20


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture
def transfer() -> Transfer:
    return Transfer(timeout_s=10, max_redirects=3)


def received(transfer: Transfer, url: str, **kwargs: object) -> tuple[int, bytes]:
    with transfer.stream(url, **kwargs) as stream:  # type: ignore[arg-type]
        return stream.offset, b"".join(stream.chunks)


class TestDescribe:
    def test_one_head_tells_size_etag_date_name_and_type(self, web: WebServer, transfer: Transfer) -> None:
        headers = {
            "Last-Modified": "Sat, 21 Nov 2026 05:00:00 GMT",
            "Content-Disposition": "attachment; filename=\"x.gguf\"; filename*=UTF-8''g%C3%B6del.gguf",
            "Content-Type": "Application/X-Thing; charset=utf-8",
        }
        description = transfer.describe(web.put("/f", CONTENT, headers=headers, etag='"abc"'))
        assert (description.size, description.etag) == (len(CONTENT), '"abc"')
        assert description.modified == "Sat, 21 Nov 2026 05:00:00 GMT"
        assert description.filename == "gödel.gguf"
        assert description.content_type == "application/x-thing"
        assert [request.method for request in web.requests] == ["HEAD"]
        assert web.requests[0].headers["accept-encoding"] == "identity"

    @pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
    @pytest.mark.parametrize("ranges", [True, False])
    def test_a_refused_head_is_followed_by_a_get(
        self, web: WebServer, transfer: Transfer, status: int, ranges: bool
    ) -> None:
        url = web.put("/f", CONTENT, head_status=status, ranges=ranges)
        assert transfer.describe(url).size == len(CONTENT)
        assert [request.method for request in web.requests] == ["HEAD", "GET"]
        assert web.requests[1].headers["range"] == "bytes=0-0"

    def test_an_empty_file_behind_a_refused_head(self, web: WebServer, transfer: Transfer) -> None:
        assert transfer.describe(web.put("/f", b"", head_status=405)).size == 0

    def test_a_head_that_claims_nothing_is_not_believed(self, web: WebServer, transfer: Transfer) -> None:
        assert transfer.describe(web.put("/f", CONTENT, head_length=0)).size == len(CONTENT)
        assert transfer.describe(web.put("/empty", b"")).size == 0

    def test_weak_etags_are_dropped(self, web: WebServer, transfer: Transfer) -> None:
        assert transfer.describe(web.put("/f", CONTENT, etag='W/"abc"')).etag == ""

    def test_a_server_without_lengths_leaves_the_size_open(self, web: WebServer, transfer: Transfer) -> None:
        assert transfer.describe(web.put("/f", CONTENT, length=-1, ranges=False)).size is None


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("", ""),
        ("attachment", ""),
        ("attachment; filename=plain.bin", "plain.bin"),
        ("attachment; filename=\"a b.bin\"; filename*=UTF-8''a%20%C3%B6.bin", "a ö.bin"),
        ("attachment; filename*=iso-8859-1'en'%F6.bin", "ö.bin"),
        ("attachment; filename*=nonsense''%41.bin", "A.bin"),
        ("attachment; filename*=GB2312''%CE%C4.bin", "文.bin"),
        ("attachment; filename*=\"UTF-8''a%20b.bin\"", "a b.bin"),
        ("attachment; filename=a b.bin", "a b.bin"),
        ("attachment; filename='a.bin'", "a.bin"),
        ('attachment; filename="a.bin', "a.bin"),
        ('attachment; filename="C:\\\\models\\\\a.bin"', "a.bin"),
        ('attachment; filename="models/a.bin"', "a.bin"),
        ("attachment; filename*=UTF-8''..%2F..%2Fa.bin", "a.bin"),
        ('attachment; filename="=?UTF-8?B?bW9kw6hsZS5iaW4=?="', "modèle.bin"),
        ('attachment; filename*0="mo"; filename*1="del.bin"', "model.bin"),
        ("bogus'%41)é\udcff*1)", ""),
        ('attachment; filename=;;;=="', ""),
    ],
)
def test_content_disposition(header: str, name: str) -> None:
    assert disposition_name(header) == name


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, AccessDenied),
            (403, AccessDenied),
            (404, ModelNotFound),
            (410, ModelNotFound),
            (418, SourceMisbehaved),
            (429, SourceUnavailable),
            (500, SourceUnavailable),
            (503, SourceUnavailable),
        ],
    )
    def test_a_status_becomes_an_error(
        self, web: WebServer, transfer: Transfer, status: int, kind: type[WeighbridgeError]
    ) -> None:
        url = web.put("/f", b"sorry", status=status, headers={"Retry-After": "7"})
        with pytest.raises(kind) as described:
            transfer.describe(url)
        with pytest.raises(kind) as streamed:
            received(transfer, url)
        assert described.value.facts["http_status"] == streamed.value.facts["http_status"] == status
        assert streamed.value.facts.get("retry_after_s") == (7 if kind is SourceUnavailable else None)

    def test_retry_after_may_be_a_date(self) -> None:
        moment = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
        assert 90 < (retry_after_s(moment) or 0) <= 100
        assert retry_after_s("Sat, 01 Jan 2000 00:00:00 GMT") == 0
        assert retry_after_s("soon") is None
        assert retry_after_s("") is None

    def test_a_cut_body_is_unavailable(self, web: WebServer, transfer: Transfer) -> None:
        url = web.put("/f", CONTENT, cut_after=1000)
        with pytest.raises(SourceUnavailable):
            received(transfer, url)

    def test_a_silent_server_is_unavailable(self, web: WebServer) -> None:
        url = web.put("/f", CONTENT, hang_after=1000)
        with pytest.raises(SourceUnavailable, match="nothing for too long"):
            received(Transfer(timeout_s=0.2, max_redirects=0), url)

    def test_a_length_too_long_is_unavailable(self, web: WebServer, transfer: Transfer) -> None:
        with pytest.raises(SourceUnavailable):
            received(transfer, web.put("/f", CONTENT, length=len(CONTENT) + 5))

    def test_a_length_too_short_is_noticed_against_the_promised_size(self, web: WebServer, transfer: Transfer) -> None:
        url = web.put("/f", CONTENT, length=len(CONTENT) - 5)
        with pytest.raises(SourceMisbehaved):
            received(transfer, url, size=len(CONTENT))

    @pytest.mark.parametrize("length", ["-4", "12, 12x", "9" * 30])
    def test_a_length_that_is_none(self, web: WebServer, transfer: Transfer, length: str) -> None:
        url = web.put("/f", CONTENT, headers={"Content-Length": length})
        with pytest.raises((SourceMisbehaved, SourceUnavailable)):
            received(transfer, url)

    def test_nobody_listens(self, transfer: Transfer) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(SourceUnavailable):
                transfer.describe(f"http://127.0.0.1:{unused.getsockname()[1]}/f")

    @pytest.mark.parametrize("url", ["http://[bad/f", "http://127.0.0.1:99999/f", "https://a..b/f"])
    def test_an_address_that_is_none(self, transfer: Transfer, url: str) -> None:
        with pytest.raises((InvalidReference, SourceUnavailable)):
            transfer.describe(url)

    def test_a_token_that_no_header_can_hold(self, web: WebServer, transfer: Transfer) -> None:
        with pytest.raises(InvalidReference) as error:
            transfer.describe(web.put("/f", CONTENT), authorization="Bearer a\nb")
        assert "a\nb" not in str(error.value)

    def test_coded_bytes_are_refused(self, web: WebServer, transfer: Transfer) -> None:
        with pytest.raises(SourceMisbehaved, match="gzip-coded"):
            received(transfer, web.put("/f", CONTENT, headers={"Content-Encoding": "gzip"}))


class TestStream:
    def test_whole(self, web: WebServer, transfer: Transfer) -> None:
        url = web.put("/f", CONTENT)
        with transfer.stream(url) as stream:
            assert stream.size == len(CONTENT)
            assert b"".join(stream.chunks) == CONTENT

    def test_the_rest(self, web: WebServer, transfer: Transfer) -> None:
        url = web.put("/f", CONTENT, etag='"abc"')
        assert received(transfer, url, offset=1000, etag='"abc"', size=len(CONTENT)) == (1000, CONTENT[1000:])
        assert web.requests[-1].headers["if-range"] == '"abc"'

    def test_a_server_without_ranges_starts_again(self, web: WebServer, transfer: Transfer) -> None:
        assert received(transfer, web.put("/f", CONTENT, ranges=False), offset=1000) == (0, CONTENT)

    def test_more_here_than_there_starts_again(self, web: WebServer, transfer: Transfer) -> None:
        assert received(transfer, web.put("/f", CONTENT), offset=len(CONTENT) + 5) == (0, CONTENT)

    @pytest.mark.parametrize("offset", [0, 1000])
    @pytest.mark.parametrize("conditions", [True, False])
    def test_a_changed_file_is_noticed(self, web: WebServer, transfer: Transfer, offset: int, conditions: bool) -> None:
        url = web.put("/f", CONTENT, etag='"new"', conditions=conditions)
        with pytest.raises(SourceMisbehaved, match="no longer the file"):
            received(transfer, url, offset=offset, etag='"old"', size=len(CONTENT))

    def test_a_stream_says_its_strong_etag(self, web: WebServer, transfer: Transfer) -> None:
        for etag, told in (('"strong"', '"strong"'), ('W/"weak"', ""), ("", "")):
            with transfer.stream(web.put("/f", CONTENT, etag=etag), offset=9) as stream:
                assert (stream.offset, stream.etag) == (9, told)

    @pytest.mark.parametrize("part", ["bytes 5-9/100", "bytes 2000-3000/1500", "bytes=1000-5119/5120", "", "nonsense"])
    def test_an_impossible_part(self, web: WebServer, transfer: Transfer, part: str) -> None:
        url = web.put("/f", CONTENT, headers={"Content-Range": part})
        with pytest.raises(SourceMisbehaved):
            received(transfer, url, offset=1000)


class TestRead:
    def test_a_document(self, web: WebServer, transfer: Transfer) -> None:
        url = web.put("/d", "é".encode("latin-1"), headers={"Content-Type": "text/html; charset=latin-1"})
        document = transfer.read(url, accept="text/html")
        assert document.content.decode(document.charset) == "é"
        assert document.content_type == "text/html"

    def test_too_long(self, web: WebServer, transfer: Transfer) -> None:
        with pytest.raises(SourceMisbehaved, match="longer than"):
            transfer.read(web.put("/d", CONTENT), accept="*/*", max_size=100)

    def test_an_answer_that_says_why_it_failed(self, web: WebServer, transfer: Transfer) -> None:
        url = web.put("/d", b'{"error_code": "GONE"}', status=404)
        document = transfer.read(url, accept="*/*", also=(404,))
        assert (document.status, document.content) == (404, b'{"error_code": "GONE"}')
        with pytest.raises(ModelNotFound):
            transfer.read(url, accept="*/*", also=(400,))


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_followed(self, web: WebServer, transfer: Transfer, status: int) -> None:
        web.put("/f", CONTENT)
        url = web.redirect("/r", "/f", status)
        assert transfer.describe(url).url == web.url("/f")
        assert received(transfer, url, offset=7)[1] == CONTENT[7:]

    def test_as_many_as_allowed_and_no_more(self, web: WebServer, transfer: Transfer) -> None:
        web.put("/0", CONTENT)
        for number in range(4):
            web.redirect(f"/{number + 1}", f"/{number}")
        assert transfer.describe(web.url("/3")).size == len(CONTENT)
        with pytest.raises(SourceMisbehaved, match="more than 3 times"):
            transfer.describe(web.url("/4"))

    def test_a_loop(self, web: WebServer, transfer: Transfer) -> None:
        with pytest.raises(SourceMisbehaved, match="redirects"):
            received(transfer, web.redirect("/r", "/r"))

    @pytest.mark.parametrize(
        "target", ["ftp://host/f", "file:///etc/passwd", "https://", "http://u:p@host/", "http://127.0.0.1:99999999/"]
    )
    def test_to_something_else(self, web: WebServer, transfer: Transfer, target: str) -> None:
        with pytest.raises(SourceMisbehaved):
            transfer.describe(web.redirect("/r", target))

    def test_the_token_stays_with_the_first_host(self, web: WebServer, transfer: Transfer) -> None:
        web.put("/f", CONTENT)
        web.redirect("/back", web.url("/f"))
        web.redirect("/away", web.url("/back", host="localhost"))
        url = web.redirect("/r", "/away")
        transfer.describe(url, authorization="Bearer secret")
        assert [request.path for request in web.requests] == ["/r", "/away", "/back", "/f"]
        tokens = [request.headers.get("authorization") for request in web.requests]
        assert tokens == ["Bearer secret", "Bearer secret", None, None]


class TestTls:
    @pytest.fixture
    def secure(self, tmp_path: Path) -> Iterator[WebServer]:
        with WebServer(certificate_folder=tmp_path) as server:
            yield server

    def test_an_unknown_authority_is_final(self, secure: WebServer, transfer: Transfer) -> None:
        with pytest.raises(SourceMisbehaved, match="SSL_CERT_FILE") as error:
            transfer.describe(secure.put("/f", CONTENT))
        assert not error.value.retryable

    def test_an_authority_of_ones_own(
        self, secure: WebServer, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(secure.certificate))
        assert received(transfer, secure.put("/f", CONTENT)) == (0, CONTENT)

    def test_no_way_back_to_http(
        self, secure: WebServer, web: WebServer, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(secure.certificate))
        target = web.put("/f", CONTENT)
        with pytest.raises(SourceMisbehaved, match="unprotected http"):
            transfer.describe(secure.redirect("/r", target))
        assert web.requests == []

    def test_http_to_https_is_followed_without_the_token(
        self, secure: WebServer, web: WebServer, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(secure.certificate))
        url = web.redirect("/r", secure.put("/f", CONTENT))
        assert transfer.describe(url, authorization="Bearer secret").size == len(CONTENT)
        assert "authorization" not in secure.requests[0].headers


def test_addresses_are_shown_without_secrets() -> None:
    assert shown("https://user:pass@host:8080/a/b?token=1#x") == "https://host:8080/a/b"


def test_same_origin_knows_the_default_ports() -> None:
    assert same_origin("https://host/a", "https://host:443/b")
    assert not same_origin("https://host/a", "http://host/a")
    assert not same_origin("https://host/a", "https://host:8443/a")
