"""Conversion of refusals of HTTP servers to our errors, with the server's own words.

Not here: the meaning of other headers (net.responses), and retries (net.retrying).
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote, urlsplit

import httpx

from weighbridge.errors import AccessDenied, ModelNotFound, SourceMisbehaved, SourceUnavailable
from weighbridge.net.responses import changed, disposition_name, media_type, one_line, retry_after_s, shown
from weighbridge.net.retrying import BUSY

#: The most characters of a WWW-Authenticate header that are kept.
MAX_CHALLENGE = 4096
#: The most bytes of a refusal's body that are read for the server's own words.
_MAX_REFUSAL = 64 * 1024
#: Fields of a JSON refusal that hold its reason, by precedence.
_REASONS = ("message", "error", "error_description", "detail", "details", "reason", "errors")
#: Content codings and the suffixes of files with that compression: many servers send the coding for every .tar.gz.
_CODED_FILES = {
    "gzip": (".gz", ".tgz", ".taz"),
    "bzip2": (".bz2", ".tbz2", ".tbz"),
    "xz": (".xz", ".txz"),
    "zstd": (".zst", ".tzst"),
    "br": (".br",),
    "compress": (".z", ".taz"),
    "lzma": (".lzma",),
}
_RATE_LIMIT = re.compile(r"(?:^|;)\s*r=0\s*;\s*t=(\d{1,9})\s*(?:;|$)")


def refuse_failure(answer: httpx.Response) -> None:
    """Raise the matching error unless the response carries a file: 200 or 206.

    The server's own words are part of the message, as they often name the remedy.
    """
    status, url = answer.status_code, shown(answer.request.url)
    if status in (200, 206):
        return
    words = server_words(answer)
    why = f" It says: “{words}”." if words else ""
    facts = {"url": url, "http_status": status} | ({"words": words} if words else {})
    if status in (404, 410):
        raise ModelNotFound(f"There is nothing at {url} (HTTP {status}).{why}", "Check the address.", **facts)
    if status in (401, 403, 407, 451):
        challenge = answer.headers.get("www-authenticate", "")[:MAX_CHALLENGE]
        facts |= {"challenge": challenge} if challenge and status == 401 else {}
        raise AccessDenied(
            f"{url} refuses access (HTTP {status}).{why}",
            "Name a token that may read it (--token-env, --token-file or auth: in models.yaml), or ask its owner.",
            **facts,
        )
    if status in BUSY:
        wait = wait_asked_s(answer.headers)
        known = {} if wait is None else {"retry_after_s": wait}
        raise SourceUnavailable(f"{url} is busy or broken (HTTP {status}).{why}", "Try again later.", **facts, **known)
    if status == 412 and "if-match" in answer.request.headers:
        raise changed(url)
    remedy = "" if words else "Check that this is the file's address."
    raise SourceMisbehaved(f"{url} answers with HTTP {status}.{why}", remedy, **facts)


def refuse_coding(answer: httpx.Response, asked: str) -> None:
    """Raise when the bytes of a file have a content coding, although `identity` was requested.

    A compressed file whose own compression the server declares as such a coding is accepted as it is.

    Args:
        answer: the response that carries the file.
        asked: the requested address, before any redirect.
    """
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        return
    paths = (asked, str(answer.request.url))
    names = [disposition_name(answer.headers.get("content-disposition", "")), *(urlsplit(path).path for path in paths)]
    endings = _CODED_FILES.get(coding.removeprefix("x-"), ())
    if endings and any(name.lower().endswith(endings) for name in names):
        return
    raise SourceMisbehaved(
        f"{shown(answer.request.url)} sends its bytes {coding[:40]}-coded although identity was requested.",
        "The publisher has to serve the file as it is.",
        url=shown(answer.request.url),
    )


def server_words(answer: httpx.Response) -> str:
    """Return the reason in a failed response, safe to show, or nothing; reads the beginning of its body.

    The Hub's `X-Error-Message` takes precedence, then a JSON or plain text body. Web pages are ignored. The secrets of
    the request, its query and its credentials, are removed.
    """
    if header := answer.headers.get("x-error-message", ""):
        return _presentable(header, answer.request)
    kind = media_type(answer)
    if kind not in ("", "text/plain") and not kind.endswith("json"):
        return ""
    if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return ""
    body = bytearray()
    try:
        for chunk in answer.iter_raw():
            body += chunk
            if len(body) > _MAX_REFUSAL:
                return ""
        content = json.loads(body) if body[:1] in b"{[" else body.decode() if kind == "text/plain" else ""
    except (httpx.HTTPError, httpx.StreamError, ValueError, RecursionError):
        return ""
    return _presentable(_reason(content), answer.request)


def _reason(content: object, depth: int = 0) -> str:
    """Return the reason in a refusal's body: a text, or the first one in the usual fields."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return next((found for one in content[:8] if (found := _reason(one, depth + 1))), "") if depth < 4 else ""
    if not isinstance(content, dict) or depth > 4:
        return ""
    return next((found for name in _REASONS if (found := _reason(content.get(name), depth + 1))), "")


def _presentable(words: str, request: httpx.Request) -> str:
    query, credentials = request.url.query.decode("ascii", "replace"), request.headers.get("authorization", "")
    for secret in (query, unquote(query), credentials, credentials.partition(" ")[2]):
        words = words.replace(secret, "…") if secret else words
    return one_line(words)


def wait_asked_s(headers: httpx.Headers) -> float | None:
    """Return the seconds that a busy server asks to wait: from Retry-After, else from an exhausted RateLimit."""
    wait_s = retry_after_s(headers.get("retry-after", ""))
    if wait_s is None and (match := _RATE_LIMIT.search(headers.get("ratelimit", ""))):
        return float(match[1])
    return wait_s
