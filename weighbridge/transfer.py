"""HTTP transfers as every source on the web needs them: descriptions, small documents, and bytes from an offset.

One policy for all of them: redirects are counted and checked here, credentials stay with the host they are meant for,
bytes are taken as they lie there (no content coding), every foreign exception becomes one of `weighbridge.errors`.
Not here: which address to ask (sources), retrying, hashing and storing (fetching).
"""

from __future__ import annotations

import logging
import re
import ssl
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cached_property

import httpx

from weighbridge.errors import (
    AccessDenied,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
)
from weighbridge.sources.interface import ByteStream

logger = logging.getLogger(__name__)

CHUNK_SIZE = 1024 * 1024
#: Answers to HEAD after which a GET may still work: signed addresses and small servers refuse HEAD alone.
_HEAD_REFUSED = frozenset({400, 403, 404, 405, 501})
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE = re.compile(r"^bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)$")


@dataclass(frozen=True)
class Description:
    """What a server says about a file before its bytes.

    Attributes:
        url: the address after every redirect.
        size: bytes, or None when the server does not say.
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
class Document:
    """A small answer, whole in memory."""

    url: str
    content: bytes
    content_type: str
    charset: str


class Transfer:
    """HTTP requests under one policy; safe for several threads; its connections close with the last reference to it.

    Certificates are verified; SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables count as httpx reads them.

    Args:
        timeout_s: seconds without a byte after which a connection counts as dead.
        max_redirects: how many redirects one request may follow.
    """

    def __init__(self, *, timeout_s: float, max_redirects: int) -> None:
        self._timeout_s, self._max_redirects = timeout_s, max_redirects

    @cached_property
    def _client(self) -> httpx.Client:
        headers = {"Accept-Encoding": "identity", "User-Agent": "weighbridge"}
        client = httpx.Client(headers=headers, timeout=self._timeout_s, follow_redirects=False)
        weakref.finalize(self, client.close)
        return client

    def describe(self, url: str, *, authorization: str = "", ask_again: bool = True) -> Description:
        """Ask what a file is, with HEAD; when that is refused or gives no size, with a GET of its first byte.

        Args:
            url: http or https.
            authorization: header value for the first host only.
            ask_again: whether that second request may be made.

        Raises:
            ModelNotFound, AccessDenied, SourceUnavailable, SourceMisbehaved, InvalidReference.
        """
        with self._answer("HEAD", url, authorization) as answer:
            refused = answer.status_code in _HEAD_REFUSED
            if not (refused and ask_again):
                _refuse_failure(answer)
            description = _describe(answer, _length(answer))
        if not ask_again or (not refused and description.size is not None):
            return description
        with self._answer("GET", url, authorization, {"Range": "bytes=0-0"}) as answer:
            if answer.status_code == 416:
                return _describe(answer, _content_range(answer)[1])
            _refuse_failure(answer)
            size = _content_range(answer)[1] if answer.status_code == 206 else _length(answer)
            return _describe(answer, size)

    def read(self, url: str, *, accept: str, authorization: str = "", max_size: int = 64 * 1024**2) -> Document:
        """Fetch a small document whole.

        Raises:
            SourceMisbehaved: it is longer than `max_size` bytes; otherwise as `describe`.
        """
        with self._answer("GET", url, authorization, {"Accept": accept}) as answer:
            _refuse_failure(answer)
            content = bytearray()
            for chunk in _chunks(answer):
                content += chunk
                if len(content) > max_size:
                    raise SourceMisbehaved(
                        f"{shown(url)} is longer than {max_size} bytes.", "Is this the address of an index?"
                    )
            return Document(str(answer.url), bytes(content), _media_type(answer), answer.charset_encoding or "utf-8")

    @contextmanager
    def stream(
        self, url: str, *, offset: int = 0, etag: str = "", size: int | None = None, authorization: str = ""
    ) -> Iterator[ByteStream]:
        """Open a file's bytes from `offset`; the stream says 0 where the server cannot resume.

        1. `Range` asks for the rest; `If-Range` makes the server send the whole of a file that changed.
        2. `If-Match`, when nothing is here yet, makes it refuse one that changed.
        3. What it answers is held against `etag` and `size` again, as not every server honours these.

        Args:
            url: http or https.
            offset: bytes already here.
            etag: the strong ETag that the bytes must have, or empty.
            size: the whole file's size in bytes, or None when unknown.
            authorization: header value for the first host only.

        Raises:
            SourceMisbehaved: the file changed since it was described, or the answer contradicts itself.
            ModelNotFound, AccessDenied, SourceUnavailable: as `describe`; also while the chunks are read.
        """
        headers = {}
        if offset:
            headers = {"Range": f"bytes={offset}-"} | ({"If-Range": etag} if etag else {})
        elif etag:
            headers = {"If-Match": etag}
        with self._answer("GET", url, authorization, headers) as answer:
            beyond = answer.status_code == 416
            if not beyond:
                yield _byte_stream(answer, offset, etag, size)
        if beyond:  # shorter than what is here: begin anew, and let step 3 judge
            with self.stream(url, etag=etag, size=size, authorization=authorization) as whole:
                yield whole

    @contextmanager
    def _answer(
        self, method: str, url: str, authorization: str, headers: Mapping[str, str] = {}
    ) -> Iterator[httpx.Response]:
        """Send, follow redirects, and close the answer at the end; its body is not read here."""
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise InvalidReference(f"“{url}” is no URL.", "Write https://host/path/model.gguf.") from error
        for _ in range(self._max_redirects + 1):
            authorized = {"Authorization": authorization} if authorization else {}
            with foreign_errors(str(address)):
                request = self._client.build_request(method, address, headers={**headers, **authorized})
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
                authorization = ""
            address = target
        raise SourceMisbehaved(
            f"{shown(url)} redirects more than {self._max_redirects} times.",
            "Use the address that the file finally has.",
            url=shown(url),
        )


def shown(url: str | httpx.URL) -> str:
    """Return an address as it may be shown: without user, password, query and fragment."""
    address = httpx.URL(url)
    return str(address.copy_with(username="", password="", query=None, fragment=None))


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses have the same scheme, host and port."""
    a, b = httpx.URL(one), httpx.URL(other)
    return (a.scheme, a.host, _port(a)) == (b.scheme, b.host, _port(b))


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _same_host(old: httpx.URL, new: httpx.URL) -> bool:
    """Whether credentials for `old` may go to `new`: the same origin, or its move from http to https."""
    upgraded = (old.scheme, _port(old), new.scheme, _port(new)) == ("http", 80, "https", 443)
    return old.host == new.host and (upgraded or (old.scheme, _port(old)) == (new.scheme, _port(new)))


def _redirect(answer: httpx.Response) -> httpx.URL:
    here = answer.request.url
    try:
        target = here.join(answer.headers["location"])
    except httpx.InvalidURL as error:
        raise SourceMisbehaved(f"{shown(here)} redirects to something that is no address.") from error
    if target.scheme not in ("http", "https") or not target.host or target.userinfo:
        raise SourceMisbehaved(f"{shown(here)} redirects to an address that is not plain http or https.")
    if here.scheme == "https" and target.scheme == "http":
        raise SourceMisbehaved(
            f"{shown(here)} redirects from https to unprotected http at {target.host}.",
            "That is not followed: ask the publisher for an address that stays on https.",
        )
    return target


@contextmanager
def foreign_errors(url: str) -> Iterator[None]:
    """Turn what httpx raises into `weighbridge.errors`."""
    host = httpx.URL(url).host
    try:
        yield
    except httpx.TimeoutException as error:
        raise SourceUnavailable(
            f"{host} sent nothing for too long.", "Try again later, or raise the source's timeout.", host=host
        ) from error
    except httpx.RequestError as error:
        if certificate := _certificate_failure(error):
            raise SourceMisbehaved(
                f"The certificate of {host} is not trusted: {certificate}.",
                "If your organisation has an authority of its own, name its file in SSL_CERT_FILE.",
                host=host,
            ) from error
        if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
            raise InvalidReference(
                f"The request to {host} cannot be sent: {error}.", "Check the address and the token.", host=host
            ) from error
        raise SourceUnavailable(
            f"The connection to {host} failed: {error or type(error).__name__}.",
            "Check the network and the address, then run the same command again: it resumes.",
            host=host,
        ) from error


def _certificate_failure(error: BaseException | None) -> str:
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "certificate verification failed"
        error, seen = error.__cause__ or error.__context__, seen + 1
    return ""


def _refuse_failure(answer: httpx.Response) -> None:
    """Raise unless the answer carries a file: 200 or 206 without a content coding."""
    status, url = answer.status_code, shown(answer.request.url)
    facts = {"url": url, "http_status": status}
    if status in (404, 410):
        raise ModelNotFound(f"There is nothing at {url} (HTTP {status}).", "Check the address.", **facts)
    if status in (401, 403, 407, 451):
        raise AccessDenied(
            f"{url} refuses access (HTTP {status}).",
            "Name a token that may read it (--token-env, --token-file or auth: in models.yaml), or ask its owner.",
            **facts,
        )
    if status in _BUSY:
        wait = retry_after_s(answer.headers.get("retry-after", ""))
        known = {} if wait is None else {"retry_after_s": wait}
        raise SourceUnavailable(f"{url} is busy or broken (HTTP {status}).", "Try again later.", **facts, **known)
    if status == 412:
        raise _changed(url)
    if status not in (200, 206):
        raise SourceMisbehaved(f"{url} answers with HTTP {status}.", "Check that this is the file's address.", **facts)
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise SourceMisbehaved(
            f"{url} sends its bytes {coding}-coded although identity was asked for.",
            "The publisher has to serve the file as it is.",
            **facts,
        )


def retry_after_s(value: str) -> float | None:
    """Return a Retry-After header in seconds from now, never negative; None when it is absent or unreadable."""
    if re.fullmatch(r"\d{1,9}", value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _changed(url: str) -> SourceError:
    return SourceMisbehaved(
        f"{url} is no longer the file that it was a moment ago.",
        "Run the same command again: it starts with the file as it is now.",
        url=url,
    )


def _byte_stream(answer: httpx.Response, offset: int, etag: str, size: int | None) -> ByteStream:
    _refuse_failure(answer)
    url = shown(answer.request.url)
    start, total = 0, _length(answer)
    if answer.status_code == 206:
        start, total = _content_range(answer)
        if start != offset:
            raise SourceMisbehaved(f"{url} was asked for its bytes from {offset} on and sends those from {start}.")
    now = _strong_etag(answer)
    if (etag and now and now != etag) or (size is not None and total is not None and total != size):
        raise _changed(url)
    return ByteStream(start, _chunks(answer), total)


def _chunks(answer: httpx.Response) -> Iterator[bytes]:
    with foreign_errors(str(answer.request.url)):
        yield from answer.iter_raw(CHUNK_SIZE)


def _describe(answer: httpx.Response, size: int | None) -> Description:
    return Description(
        url=str(answer.request.url),
        size=size,
        etag=_strong_etag(answer),
        modified=answer.headers.get("last-modified", ""),
        filename=_disposition_name(answer.headers.get("content-disposition", "")),
        content_type=_media_type(answer),
    )


def _strong_etag(answer: httpx.Response) -> str:
    etag: str = answer.headers.get("etag", "").strip()
    return etag if re.fullmatch(r'"[^"\x00-\x1f\x7f]{1,512}"', etag) else ""


def _media_type(answer: httpx.Response) -> str:
    content_type: str = answer.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower()


def _disposition_name(value: str) -> str:
    """The file name of a Content-Disposition header (RFC 6266), `filename*` first, as the server wrote it."""
    message = Message()
    message["Content-Disposition"] = value.replace("\r", "").replace("\n", "")
    return message.get_filename("") or ""


def _length(answer: httpx.Response) -> int | None:
    value = answer.headers.get("content-length", "")
    if not value:
        return None
    if not re.fullmatch(r"\d{1,18}", value):
        raise SourceMisbehaved(f"{shown(answer.request.url)} gives a length of “{value[:40]}”.")
    return int(value)


def _content_range(answer: httpx.Response) -> tuple[int, int | None]:
    """Return where the answer's bytes start and the whole file's size, from Content-Range (RFC 9110, 14.4)."""
    match = _CONTENT_RANGE.match(answer.headers.get("content-range", ""))
    if not match:
        raise SourceMisbehaved(f"{shown(answer.request.url)} sends a part without saying which.")
    first, last, total = match.groups()
    whole = None if total == "*" else int(total)
    if first is not None and whole is not None and not int(first) <= int(last) < whole:
        raise SourceMisbehaved(f"{shown(answer.request.url)} sends an impossible part: {match.group(0)[:80]}.")
    return int(first or 0), whole
