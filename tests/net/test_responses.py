"""Tests of net.responses: headers as values, and what is safe to show of a server's words."""

from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from weighbridge.domain.clock import utc_now
from weighbridge.errors import InvalidReference, SourceMisbehaved, SourceUnavailable
from weighbridge.net.responses import (
    MAX_WORDS,
    content_range,
    disposition_name,
    foreign_errors,
    length,
    media_type,
    one_line,
    retry_after_s,
    shown,
    strong_etag,
)


def response(**headers: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(206, headers=fields, request=httpx.Request("GET", "https://host/path?token=secret"))


def test_an_address_is_shown_without_its_secrets() -> None:
    assert shown("https://user:password@host:8443/path?token=secret#part") == "https://host:8443/path"


def test_waits() -> None:
    assert retry_after_s("7") == 7
    assert retry_after_s(format_datetime(utc_now() + timedelta(hours=1))) == pytest.approx(3600, abs=60)
    assert retry_after_s(format_datetime(utc_now() - timedelta(hours=1))) == 0
    assert [retry_after_s(value) for value in ("", "soon", "-1", "9" * 10, "1e9")] == [None] * 5


@pytest.mark.parametrize(
    ("etag", "strong"), [('"abc"', '"abc"'), ('W/"abc"', ""), ("abc", ""), ('"a"b"', ""), (f'"{"x" * 513}"', "")]
)
def test_only_strong_etags_count(etag: str, strong: str) -> None:
    assert strong_etag(response(ETag=etag)) == strong


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('attachment; filename="model.gguf"', "model.gguf"),
        ("attachment; filename=model.gguf", "model.gguf"),
        ("attachment; filename='model.gguf'", "model.gguf"),
        ('attachment; filename="model.gguf', "model.gguf"),
        ("attachment; filename=a.gguf; filename*=UTF-8''mod%C3%A8le.gguf", "modèle.gguf"),
        ("attachment; filename*=unknown''a%20b.gguf", "a b.gguf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\models\\\\a.gguf"', "a.gguf"),
        ("attachment", ""),
        ("", ""),
    ],
)
def test_file_names(value: str, name: str) -> None:
    assert disposition_name(value) == name


def test_lengths_and_media_types() -> None:
    assert length(response(Content_Length="12")) == 12
    assert length(response(Content_Length="")) is None
    assert media_type(response(Content_Type="Text/HTML; charset=x")) == "text/html"
    with pytest.raises(SourceMisbehaved, match="a length of “-1”") as error:
        length(response(Content_Length="-1"))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "found"), [("bytes 5-9/10", (5, 10)), ("bytes 5-9/*", (5, None)), ("bytes */10", (0, 10))]
)
def test_ranges(value: str, found: tuple[int, int | None]) -> None:
    assert content_range(response(Content_Range=value)) == found


@pytest.mark.parametrize("value", ["", "bytes 9-5/10", "bytes 5-10/10", "items 0-1/2", "bytes 0-1/2, bytes 3-4/5"])
def test_impossible_ranges_are_refused(value: str) -> None:
    with pytest.raises(SourceMisbehaved):
        content_range(response(Content_Range=value))


def test_words_are_one_short_line() -> None:
    assert one_line("Not\r\n \x1b[31mfound.") == r"Not \x1b[31mfound"
    assert len(one_line("x" * 10_000)) == MAX_WORDS


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ReadTimeout("x"), SourceUnavailable),
        (httpx.ConnectError("refused"), SourceUnavailable),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), SourceMisbehaved),
        (httpx.InvalidURL("x"), InvalidReference),
    ],
)
def test_exceptions_of_the_client(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind) as converted, foreign_errors("https://user:secret@host/path"):
        raise error
    assert "secret" not in str(converted.value)


def test_what_is_no_answer_in_http_is_not_quoted() -> None:
    with pytest.raises(SourceUnavailable, match="illegal status line") as caught, foreign_errors("http://host/"):
        raise httpx.RemoteProtocolError("illegal status line: bytearray(b'SSH-2.0-hunter2')")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SourceUnavailable, match="incomplete chunked read"), foreign_errors("http://host/"):
        raise httpx.RemoteProtocolError("peer closed connection (incomplete chunked read)")
