"""Git LFS: the pointers that git has in place of large files, and the server that has their bytes.

The format of pointers is that of the Git LFS specification (docs/spec.md of git-lfs); the server's protocol is the
Batch API (docs/api/batch.md) with the transfer `basic`. Not here: reading git (git.repository), hashing
(intake.fetching).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from threading import Lock
from typing import Any, NoReturn

import httpx

from weighbridge.domain.clock import utc_now
from weighbridge.domain.digest import Digest
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
)
from weighbridge.net.responses import one_line, shown
from weighbridge.net.retrying import BUSY
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import Transfer

#: The most bytes of a pointer.
POINTER_LIMIT = 1024
#: The most objects of one request.
BATCH_SIZE = 100
MEDIA_TYPE = "application/vnd.git-lfs+json"
#: An address that is valid for less than this is requested again.
_MARGIN = timedelta(seconds=30)
#: The versions of pointers; the last one is from before 2013.
_VERSION = re.compile(
    rb"version (?:https://git-lfs\.github\.com/spec/v1|https://hawser\.github\.com/spec/v1|http://git-media\.io/v/2)"
)
_POINTER = re.compile(rb"oid sha256:([0-9a-f]{64})\nsize (\d{1,18})")
_EXTENSION = re.compile(rb"ext-\d-[a-z0-9.-]+ ")
_FIELD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: Header fields of the connection itself, which the server may not choose.
_OURS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "if-match", "if-none-match", "if-range"}
    | {"proxy-authorization", "range", "te", "trailer", "transfer-encoding", "upgrade"}
)
#: Statuses of a whole batch that may be due to one of its objects.
_OF_ONE_OBJECT = frozenset({404, 410, 413, 422})


@dataclass(frozen=True)
class Pointer:
    """The content of a pointer: the object's sha256 and size in bytes."""

    digest: Digest
    size: int

    @classmethod
    def parse(cls, content: bytes, path: str) -> Pointer | None:
        """Return the pointer in the content of a small file; None when it is not a pointer.

        As in git-lfs, line ends of Windows, empty lines, and a last line without an end are accepted.

        Raises:
            SourceMisbehaved: it begins like a pointer and is not a valid one.
            SourceError: its bytes are encoded by an extension.
        """
        first, *lines = [line for line in content.strip().replace(b"\r\n", b"\n").split(b"\n") if line] or [b""]
        if not _VERSION.fullmatch(first) or len(content) >= POINTER_LIMIT:
            return None
        rest = b"\n".join(lines)
        if _EXTENSION.match(rest):
            raise SourceError(
                f"{path} is stored in Git LFS in a form that only a program of its publisher can read (an extension).",
                "Ask the publisher for the file itself.",
                path=path,
            )
        match = _POINTER.fullmatch(rest)
        if not match:
            raise SourceMisbehaved(
                f"{path} begins like a pointer of Git LFS, but names no object that can be fetched.",
                "The model's publisher has to repair it, for instance with `git lfs migrate import`.",
                path=path,
            )
        return cls(Digest("sha256", match[1].decode()), int(match[2]))


@dataclass(frozen=True)
class _Download:
    """The address of an object, its expiry, and the headers of the request."""

    url: str
    headers: Mapping[str, str]
    authorization: str
    expires: datetime | None


class LfsServer:
    """The Git LFS server of one repository; safe for several threads.

    Args:
        transfer: sends the requests.
        endpoint: the server's URL, to which `/objects/batch` is added.
        authorization: gives the Authorization header for an address; empty where our credentials are not for it.
        clock: returns the current time.
    """

    def __init__(
        self,
        transfer: Transfer,
        endpoint: str,
        authorization: Callable[[str], str],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._transfer, self._authorization, self._clock = transfer, authorization, clock
        self._batch = f"{endpoint.rstrip('/')}/objects/batch"
        self._downloads: dict[Pointer, _Download] = {}
        self._lock = Lock()

    @contextmanager
    def open(self, pointer: Pointer, path: str, offset: int, ahead: Iterable[Pointer] = ()) -> Iterator[ByteStream]:
        """Open an object from `offset`, or from the start where its server cannot resume.

        An address that is refused is requested once more: it may have expired, or not be valid yet.

        Args:
            pointer: the object.
            path: the file it belongs to, for messages.
            offset: the bytes that the caller already has.
            ahead: the objects that are opened next; the same request asks for their addresses.

        Raises:
            ModelNotFound: the server does not have the object.
            AccessDenied, SourceUnavailable, SourceMisbehaved: as `Transfer.stream`.
        """
        with ExitStack() as opened:
            yield self._enter(opened, pointer, path, offset, ahead)

    def _enter(
        self, opened: ExitStack, pointer: Pointer, path: str, offset: int, ahead: Iterable[Pointer], again: bool = False
    ) -> ByteStream:
        download = self._download(pointer, path, ahead, again=again)
        try:
            return opened.enter_context(self._stream(download, pointer, offset))
        except AddressRefused:
            raise
        except (AccessDenied, ModelNotFound) as error:
            if again:
                raise type(error)(f"{path}: {error.problem}", error.remedy, **error.facts | {"path": path}) from error
        return self._enter(opened, pointer, path, offset, (), again=True)

    def _stream(self, download: _Download, pointer: Pointer, offset: int) -> AbstractContextManager[ByteStream]:
        return self._transfer.stream(
            download.url,
            offset=offset,
            size=pointer.size,
            authorization=download.authorization,
            headers=download.headers,
        )

    def _download(self, pointer: Pointer, path: str, ahead: Iterable[Pointer], *, again: bool = False) -> _Download:
        """Return the address of an object."""
        with self._lock:
            if self._holds(pointer) and not again:
                return self._downloads[pointer]
            return self._ask(pointer, path, (one for one in ahead if not self._holds(one)))

    def _holds(self, pointer: Pointer) -> bool:
        known = self._downloads.get(pointer)
        return known is not None and (known.expires is None or known.expires > self._clock() + _MARGIN)

    def _ask(self, pointer: Pointer, path: str, ahead: Iterable[Pointer]) -> _Download:
        """Request an object's address, and those of the next objects where that does no harm."""
        wanted = list(islice(dict.fromkeys(chain([pointer], ahead)), BATCH_SIZE))
        try:
            answers = self._post(wanted)
        except SourceError as error:
            if error.facts.get("http_status") not in _OF_ONE_OBJECT:
                raise
            if len(wanted) > 1:
                return self._ask(pointer, path, ())
            raise ModelNotFound(
                f"The Git LFS object of {path} is missing: {shown(self._batch)} does not have it "
                f"(HTTP {error.facts['http_status']}).{_said(error.facts.get('words'))}",
                "Its publisher has to push it: `git lfs push --all`. Git LFS may also be off for this repository.",
                path=path,
                oid=pointer.digest.hex,
            ) from error
        asked = self._clock()
        for one, answer in answers.items():
            if one != pointer and not answer.get("error"):
                with suppress(SourceMisbehaved):  # opening that object reports the error
                    self._downloads[one] = self._read(answer, asked)
        if pointer not in answers:
            raise self._misbehaved("it leaves out the object of the request")
        if answers[pointer].get("error"):
            _refuse(answers[pointer]["error"], pointer, path)
        self._downloads[pointer] = self._read(answers[pointer], asked)
        return self._downloads[pointer]

    def _post(self, wanted: Sequence[Pointer]) -> dict[Pointer, dict[str, Any]]:
        """Send one request and return the entry of each requested object; other entries are left out."""
        objects = [{"oid": one.digest.hex, "size": one.size} for one in wanted]
        question = {"operation": "download", "transfers": ["basic"], "objects": objects, "hash_algo": "sha256"}
        document = self._transfer.read(
            self._batch,
            accept=MEDIA_TYPE,
            content=json.dumps(question).encode(),
            content_type=MEDIA_TYPE,
            authorization=self._authorization(self._batch),
            max_size=4 * 1024**2,
        )
        try:
            answer = json.loads(document.content)
            if (answer.get("transfer") or "basic") != "basic" or (answer.get("hash_algo") or "sha256") != "sha256":
                raise ValueError("it chooses a transfer that was not offered")
            found = {one["oid"]: one for one in answer["objects"]}
            answers = {one: found[one.digest.hex] for one in wanted if one.digest.hex in found}
            if any((answer.get("size") or one.size) != one.size for one, answer in answers.items()):
                raise ValueError("it names another size of an object")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._misbehaved(error) from error
        return answers

    def _read(self, answer: Mapping[str, Any], asked: datetime) -> _Download:
        """Return the address of an object with the server's header fields; our credentials go only to our own host."""
        try:
            # The Batch API had `_links` before it had `actions`; Artifactory and Microsoft's servers still do.
            action = (answer.get("actions") or answer["_links"])["download"]
            url = httpx.URL(self._batch).join(action["href"])
            headers = _fields(action.get("header") or {})
            expires = _expiry(action, asked)
        except (ValueError, KeyError, TypeError, AttributeError, httpx.InvalidURL) as error:
            raise self._misbehaved(error) from error
        if url.scheme not in ("http", "https") or not url.host or url.userinfo or (url.port or 0) > 65_535:
            raise self._misbehaved("it names something that is not a plain http or https address")
        if url.scheme == "http" and self._batch.startswith("https:"):
            raise self._misbehaved(f"it leads from https to unprotected http at {url.host}")
        given = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
        rest = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        ours = "" if answer.get("authenticated") is True else self._authorization(str(url))
        return _Download(str(url), rest, given or ours, expires)

    def _misbehaved(self, why: object) -> SourceMisbehaved:
        return SourceMisbehaved(
            f"{shown(self._batch)} does not answer as the Git LFS Batch API: {why!s:.200}.",
            "Check that Git LFS is served there.",
        )


def _fields(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the header fields that a server requests, without those of the connection itself."""
    for name, value in given.items():
        if not _FIELD.fullmatch(name) or not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ValueError("it requests a header field that cannot be sent")
    return {name: value for name, value in given.items() if name.lower() not in _OURS}


def _expiry(action: Mapping[str, Any], asked: datetime) -> datetime | None:
    seconds, moment = action.get("expires_in"), action.get("expires_at")
    if isinstance(seconds, int) and seconds:
        return asked + timedelta(seconds=max(-(2**31), min(seconds, 2**31)))
    if not moment:
        return None
    expires = datetime.fromisoformat(moment)
    expires = expires if expires.tzinfo else expires.replace(tzinfo=UTC)
    return expires if expires.year > 1 else None  # Go's zero time means that none is set


def _refuse(error: object, pointer: Pointer, path: str) -> NoReturn:
    """Raise the error that a server reports for one object."""
    code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, None)
    said = _said(message)
    facts = {"path": path, "oid": pointer.digest.hex, "http_status": code}
    if code in (404, 410, 422):
        gone = {410: "was removed by its owner", 422: "is not accepted by its server"}
        raise ModelNotFound(
            f"The Git LFS object of {path} {gone.get(code, 'is missing on its server')} (code {code}).{said}",
            "Its publisher has to push it: `git lfs push --all`.",
            **facts,
        )
    if code in (401, 403):
        raise AccessDenied(f"The Git LFS server refuses {path}.{said}", "Name credentials that may read it.", **facts)
    if code in BUSY:
        text = f"The Git LFS server cannot serve {path} now (code {code}).{said}"
        raise SourceUnavailable(text, "Try it later.", **facts)
    text = f"The Git LFS server refuses {path} with {code!r:.40}.{said}"
    raise SourceMisbehaved(text, "Ask its operator.", **facts)


def _said(words: object) -> str:
    """Return a sentence with a server's own words, or nothing."""
    return f" It says: “{line}”." if isinstance(words, str) and (line := one_line(words)) else ""
