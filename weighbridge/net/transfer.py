"""HTTP transfers for every source on the web: descriptions, small documents, and bytes from an offset.

One policy applies to all: redirects are counted and checked here, credentials go only to the host they are meant for,
bytes have no content coding, and every foreign exception becomes one of `weighbridge.errors`. Requests are repeated
while the server is unavailable; streams of bytes are not, as the caller that stores them knows where to resume. Not
here: reading headers (net.responses), which address to request (sources), hashing and storing (intake.fetching).
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Self
from urllib.request import getproxies

import httpx

from weighbridge.errors import InvalidReference, SourceMisbehaved
from weighbridge.net.addresses import AddressPolicy, port_of
from weighbridge.net.deadlines import DOCUMENT_TIMES, HEAD_TIMES, obey, within
from weighbridge.net.pinned_transport import PinnedTransport
from weighbridge.net.refusals import refuse_coding, refuse_failure
from weighbridge.net.responses import (
    changed,
    content_range,
    disposition_name,
    foreign_errors,
    length,
    media_type,
    shown,
    strong_etag,
)
from weighbridge.net.retrying import Retrying
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream

#: Statuses of HEAD after which a GET may still work: signed addresses and small servers refuse only HEAD.
_HEAD_REFUSED = frozenset({400, 403, 404, 405, 501})
NONE: Mapping[str, str] = MappingProxyType({})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Description:
    """A server's description of a file.

    Attributes:
        url: the address after every redirect.
        size: bytes, or None when the server does not state it.
        etag: the strong ETag with its quotes, or empty; weak ones identify no bytes and are dropped.
        modified: Last-Modified as the server wrote it, or empty: a hint only.
        filename: the name in Content-Disposition, unchecked, or empty.
        content_type: the media type without parameters, lowercase.
    """

    url: str
    size: int | None
    etag: str = ""
    modified: str = ""
    filename: str = ""
    content_type: str = ""


@dataclass(frozen=True)
class FetchedDocument:
    """A small response, whole in memory; `status` is 200 unless the caller accepts others too.

    The names of `headers` are in lowercase.
    """

    url: str
    content: bytes
    content_type: str
    charset: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Transfer:
    """HTTP requests under one policy; safe for several threads; its connections close with the last reference to it.

    Certificates are verified; httpx reads SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables.

    Args:
        timeout_s: seconds without a byte after which a connection counts as dead; the headers of a response, or a
            document, may take a few times as long in all.
        max_redirects: the most redirects of one request.
        addresses: where requests may go; each redirect is checked again.
        retrying: how often a request is repeated.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        max_redirects: int,
        addresses: AddressPolicy | None = None,
        retrying: Retrying | None = None,
    ) -> None:
        self._timeout_s, self._max_redirects = timeout_s, max_redirects
        self._addresses, self._retrying = addresses or AddressPolicy(), retrying or Retrying()

    @classmethod
    def of(cls, settings: SourceSettings) -> Self:
        """Return the transfer of a source with these settings."""
        return cls(
            timeout_s=settings.timeout_s,
            max_redirects=settings.max_redirects,
            addresses=settings.addresses,
            retrying=settings.retrying,
        )

    @cached_property
    def _client(self) -> httpx.Client:
        headers = {"Accept-Encoding": "identity", "User-Agent": "weighbridge"}
        # A proxy resolves names itself: there, only the check before each request is left.
        transport = None if getproxies() else PinnedTransport(self._addresses)
        client = httpx.Client(
            headers=headers,
            timeout=self._timeout_s,
            follow_redirects=False,
            transport=transport,
            event_hooks={"request": [obey]},
        )
        weakref.finalize(self, client.close)
        return client

    def describe(self, url: str, *, authorization: str = "", ask_again: bool = True) -> Description:
        """Return a file's description, from HEAD; when that is refused or states no size or 0, from a GET of one byte.

        Args:
            url: http or https.
            authorization: header value for the first host only.
            ask_again: whether the GET may be sent.

        Raises:
            ModelNotFound, AccessDenied, SourceUnavailable, SourceMisbehaved, InvalidReference.
        """
        return self._retrying.call(lambda: self._described(url, authorization, ask_again))

    def _described(self, url: str, authorization: str, ask_again: bool) -> Description:
        with self._answer("HEAD", url, authorization) as answer:
            refused = answer.status_code in _HEAD_REFUSED
            if not (refused and ask_again):
                refuse_failure(answer)
                refuse_coding(answer, url)
            description = _describe(answer, length(answer))
        if not ask_again or (not refused and description.size):  # some servers claim a length of 0 to HEAD
            return description
        with self._answer("GET", url, authorization, {"Range": "bytes=0-0"}) as answer:
            if answer.status_code == 416:
                return _describe(answer, content_range(answer)[1])
            refuse_failure(answer)
            refuse_coding(answer, url)
            size = content_range(answer)[1] if answer.status_code == 206 else length(answer)
            return _describe(answer, size)

    def read(
        self,
        url: str,
        *,
        accept: str,
        authorization: str = "",
        max_size: int = 64 * 1024**2,
        content: bytes | None = None,
        content_type: str = "",
        headers: Mapping[str, str] = NONE,
        also: Collection[int] = (),
    ) -> FetchedDocument:
        """Fetch a small document whole with GET, or with POST where there is `content`.

        Args:
            url: http or https.
            accept: the media types of the header.
            authorization: header value for the first host only.
            max_size: the most bytes of the response.
            content: the body of the request, or None.
            content_type: the media type of `content`.
            headers: further ones for the first host only.
            also: statuses of failures whose responses are returned, as they state the reason.

        Raises:
            SourceMisbehaved: it is longer than `max_size` bytes; otherwise as `describe`.
        """
        fixed = {"Accept": accept} | ({"Content-Type": content_type} if content_type else {})
        method = "GET" if content is None else "POST"

        def ask() -> FetchedDocument:
            with self._answer(method, url, authorization, fixed, headers, content) as answer:
                if answer.status_code not in also:
                    refuse_failure(answer)
                    refuse_coding(answer, url)
                with within(DOCUMENT_TIMES * self._timeout_s):
                    return _document(answer, max_size)

        return self._retrying.call(ask)

    @contextmanager
    def stream(
        self,
        url: str,
        *,
        offset: int = 0,
        etag: str = "",
        size: int | None = None,
        authorization: str = "",
        headers: Mapping[str, str] = NONE,
    ) -> Iterator[ByteStream]:
        """Open a file's bytes from `offset`; the stream's offset is 0 where the server cannot resume.

        1. `Range` asks for the rest; `If-Range` makes the server send the whole of a file that changed.
        2. `If-Match`, at offset 0, makes it refuse a file that changed.
        3. The response is checked against `etag` and `size` again, as not every server honours these.

        Args:
            url: http or https.
            offset: the bytes that the caller already has.
            etag: the strong ETag that the bytes must have, or empty.
            size: the whole file's size in bytes, or None when unknown.
            authorization: header value for the first host only.
            headers: further ones for the first host only.

        Raises:
            SourceMisbehaved: the file changed after it was described, or the response contradicts itself.
            ModelNotFound, AccessDenied, SourceUnavailable: as `describe`; also while the chunks are read.
        """
        conditions = {}
        if offset:
            conditions = {"Range": f"bytes={offset}-"} | ({"If-Range": etag} if etag else {})
        elif etag:
            conditions = {"If-Match": etag}
        with self._answer("GET", url, authorization, conditions, headers) as answer:
            beyond = answer.status_code == 416
            if not beyond:
                refuse_failure(answer)
                refuse_coding(answer, url)
                yield _byte_stream(answer, offset, etag, size)
        if beyond:  # it is shorter than `offset`: start again, and step 3 decides
            with self.stream(url, etag=etag, size=size, authorization=authorization, headers=headers) as whole:
                yield whole

    @contextmanager
    def _answer(
        self,
        method: str,
        url: str,
        authorization: str,
        headers: Mapping[str, str] = NONE,
        private: Mapping[str, str] = NONE,
        content: bytes | None = None,
    ) -> Iterator[httpx.Response]:
        """Send a request, follow redirects, and close the response at the end; its body is not read here.

        `authorization`, `private` headers and `content` go to the first origin only.
        """
        try:
            address = _checked(httpx.URL(url))
        except httpx.InvalidURL as error:
            raise InvalidReference(f"“{url}” is not a URL.", "Write https://host/path/model.gguf.") from error
        secret = dict(private) | ({"Authorization": authorization} if authorization else {})
        for _ in range(self._max_redirects + 1):
            self._addresses.check(str(address))
            with foreign_errors(str(address)):
                request = self._client.build_request(method, address, headers={**headers, **secret}, content=content)
                with within(HEAD_TIMES * self._timeout_s):
                    answer = self._client.send(request, stream=True)
            try:
                if answer.status_code not in _REDIRECTS or "location" not in answer.headers:
                    yield answer
                    return
                target = _redirect(answer)
            finally:
                with foreign_errors(str(address)):
                    answer.close()
            if not _same_host(address, target):
                secret = {}
            if content is not None and answer.status_code == 303:
                raise SourceMisbehaved(f"{shown(address)} accepts no POST: it redirects to {target.host}.")
            _log.info("following redirect", extra={"url": shown(address), "target": shown(target)})
            address = target
        raise SourceMisbehaved(
            f"{shown(url)} redirects more than {self._max_redirects} times.",
            "Use the final address of the file.",
            url=shown(url),
        )


def _document(answer: httpx.Response, max_size: int) -> FetchedDocument:
    received = bytearray()
    for chunk in _chunks(answer):
        received += chunk
        if len(received) > max_size:
            raise SourceMisbehaved(
                f"{shown(answer.request.url)} is longer than {max_size} bytes.",
                "Is this the address of an index?",
                max_size=max_size,
            )
    charset = answer.charset_encoding or "utf-8"
    kind, status, fields = media_type(answer), answer.status_code, dict(answer.headers)
    return FetchedDocument(str(answer.url), bytes(received), kind, charset, status, fields)


def same_origin(one: str, other: str) -> bool:
    """Return whether two addresses have the same scheme, host and port."""
    a, b = httpx.URL(one), httpx.URL(other)
    return (a.scheme, a.host, _port(a)) == (b.scheme, b.host, _port(b))


def _port(url: httpx.URL) -> int:
    return port_of(url.scheme, url.port)


def _same_host(old: httpx.URL, new: httpx.URL) -> bool:
    """Return whether credentials for `old` may go to `new`: the same origin, or its move from http to https."""
    upgraded = (old.scheme, _port(old), new.scheme, _port(new)) == ("http", 80, "https", 443)
    return old.host == new.host and (upgraded or (old.scheme, _port(old)) == (new.scheme, _port(new)))


def _checked(url: httpx.URL) -> httpx.URL:
    """Return a URL; raise InvalidURL for a port that sockets would reduce modulo 65,536."""
    if (url.port or 1) > 65_535:
        raise httpx.InvalidURL(f"{url.port} is not a port")
    return url


def _redirect(answer: httpx.Response) -> httpx.URL:
    here = answer.request.url
    try:
        target = _checked(here.join(answer.headers["location"]))
    except httpx.InvalidURL as error:
        raise SourceMisbehaved(f"{shown(here)} redirects to an invalid address.") from error
    if target.scheme not in ("http", "https") or not target.host or target.userinfo:
        raise SourceMisbehaved(f"{shown(here)} redirects to an address that is not plain http or https.")
    if here.scheme == "https" and target.scheme == "http":
        raise SourceMisbehaved(
            f"{shown(here)} redirects from https to unprotected http at {target.host}.",
            "That is not followed: ask the publisher for an address that stays on https.",
        )
    return target


def _byte_stream(answer: httpx.Response, offset: int, etag: str, size: int | None) -> ByteStream:
    url = shown(answer.request.url)
    start, total = 0, length(answer)
    if answer.status_code == 206:
        start, total = content_range(answer)
        if start != offset:
            raise SourceMisbehaved(f"{url} sends its bytes from {start} on, not from {offset} as requested.")
    now = strong_etag(answer)
    if (etag and now and now != etag) or (size is not None and total is not None and total != size):
        raise changed(url)
    return ByteStream(start, _chunks(answer), total, now)


def _chunks(answer: httpx.Response) -> Iterator[bytes]:
    with foreign_errors(str(answer.request.url)):
        yield from answer.iter_raw()  # as they come from the socket, as collecting them would double the cost


def _describe(answer: httpx.Response, size: int | None) -> Description:
    return Description(
        url=str(answer.request.url),
        size=size,
        etag=strong_etag(answer),
        modified=answer.headers.get("last-modified", ""),
        filename=disposition_name(answer.headers.get("content-disposition", "")),
        content_type=media_type(answer),
    )
