"""HTTP responses: their headers as values, and conversion of an HTTP client's exceptions to our errors.

Not here: sending anything (net.transfer), and responses that refuse (net.refusals).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import httpx

from weighbridge.domain.clock import utc_now
from weighbridge.domain.text import shown as shown_text
from weighbridge.errors import InvalidReference, SourceError, SourceMisbehaved, SourceUnavailable

#: The most characters that are shown of a server's own words.
MAX_WORDS = 400
_EXTENDED_NAME = re.compile(r";\s*filename\*\s*=\s*\"?([\w-]+)'[^']*'([^;\s\"]+)", re.IGNORECASE)
_CODED_WORD = re.compile(r"=\?[\w-]+\?[bBqQ]\?[^?]*\?=")
_CONTENT_RANGE = re.compile(r"^bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)$")


def shown(url: str | httpx.URL) -> str:
    """Return an address in a form that is safe to show: without user, password, query and fragment.

    Raises:
        InvalidReference: it is not a URL.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:  # Its words may hold a part of a password.
        raise InvalidReference("The address is not a URL.", "Write https://host or https://host:port.") from error
    return str(address.copy_with(username="", password="", query=None, fragment=None))


@contextmanager
def foreign_errors(url: str) -> Iterator[None]:
    """Convert the exceptions of httpx to `weighbridge.errors`."""
    host = httpx.URL(url).host
    try:
        yield
    except (httpx.InvalidURL, UnicodeError, OverflowError) as error:  # host names and ports that no socket accepts
        raise InvalidReference(
            f"No request can be sent to “{host}”: {error}.", "Check the address.", host=host
        ) from error
    except httpx.TimeoutException as error:
        raise SourceUnavailable(
            f"{host} sent nothing for too long.", "Try again later, or raise the source's timeout.", host=host
        ) from error
    except httpx.RequestError as error:
        if certificate := _certificate_failure(error):
            raise SourceMisbehaved(
                f"The certificate of {host} is not trusted: {certificate}.",
                "If your organisation has a certificate authority of its own, name its file in SSL_CERT_FILE.",
                host=host,
            ) from error
        if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
            # The client's text may quote a header.
            raise InvalidReference(
                f"The request to {host or 'an address without a host'} cannot be sent.",
                "Check the address and the token.",
                host=host,
            ) from error
        why = str(error) or type(error).__name__
        if isinstance(error, httpx.RemoteProtocolError):  # After a colon, it quotes what is no answer in HTTP.
            why = why.partition(":")[0]
        raise SourceUnavailable(
            f"The connection to {httpx.URL(url).netloc.decode()} failed: {why}.",
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


def retry_after_s(value: str) -> float | None:
    """Return a Retry-After header in seconds from now, never negative; None when it is absent or unreadable."""
    if re.fullmatch(r"\d{1,9}", value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - utc_now()).total_seconds())


def changed(url: str) -> SourceError:
    """Return the error for a file that changed after it was described."""
    return SourceMisbehaved(
        f"{url} is no longer the file that it was a moment ago.",
        "Run the same command again: it starts with the file as it is now.",
        url=url,
    )


def strong_etag(answer: httpx.Response) -> str:
    """Return the ETag with its quotes, or nothing when it is weak or malformed."""
    etag: str = answer.headers.get("etag", "").strip()
    return etag if re.fullmatch(r'"[^"\x00-\x1f\x7f]{1,512}"', etag) else ""


def one_line(words: str) -> str:
    """Return a server's words in a form that is safe to show: a short line of visible characters without a last dot."""
    return shown_text(" ".join(words[: 4 * MAX_WORDS].split()), MAX_WORDS).rstrip(".")


def media_type(answer: httpx.Response) -> str:
    """Return Content-Type without parameters, lowercase."""
    content_type: str = answer.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower()


def disposition_name(value: str) -> str:
    """Return the file name of a Content-Disposition header (RFC 6266), `filename*` first, unchecked.

    Deviations of servers are accepted: quotes that are single or not closed, words encoded as in mail, and whole paths,
    of which the last part is the name, as in browsers and curl.
    """
    if extended := _EXTENDED_NAME.search(value):
        charset, name = extended.groups()
        try:
            name = unquote(name, encoding=charset)
        except LookupError:  # an unknown encoding
            name = unquote(name)
        return _last_part(name)
    message = Message()
    message["Content-Disposition"] = value
    try:
        name = message.get_filename("") or ""
        if _CODED_WORD.fullmatch(name):
            name = str(make_header(decode_header(name)))
    except (ValueError, LookupError, HeaderParseError):  # an unknown encoding: the address names the file then
        return ""
    if name[:1] in ('"', "'"):
        name = name[1:].removesuffix(name[0])
    return _last_part(name)


def _last_part(name: str) -> str:
    return re.split(r"[\\/]", name)[-1]


def length(answer: httpx.Response) -> int | None:
    """Return Content-Length in bytes, or None; raises SourceMisbehaved when it is not a number."""
    value = answer.headers.get("content-length", "")
    if not value:
        return None
    if not re.fullmatch(r"\d{1,18}", value):
        raise SourceMisbehaved(f"{shown(answer.request.url)} states a length of “{value[:40]}”.")
    return int(value)


def content_range(answer: httpx.Response) -> tuple[int, int | None]:
    """Return the offset of the response's bytes and the whole file's size, from Content-Range (RFC 9110, 14.4)."""
    match = _CONTENT_RANGE.match(answer.headers.get("content-range", ""))
    if not match:
        raise SourceMisbehaved(f"{shown(answer.request.url)} sends a part without stating which.")
    first, last, total = match.groups()
    whole = None if total == "*" else int(total)
    if first is not None and whole is not None and not int(first) <= int(last) < whole:
        raise SourceMisbehaved(f"{shown(answer.request.url)} sends an impossible part: {match.group(0)[:80]}.")
    return int(first or 0), whole
