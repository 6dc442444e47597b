"""What a source is: it says what a model consists of, and opens its files. Adapters lie beside this file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar, Protocol

import httpx

from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration, InvalidReference, SourceError
from weighbridge.net.addresses import AddressPolicy


@dataclass(frozen=True)
class Auth:
    """Credentials for one source; no value shows in a repr.

    Attributes:
        token: a bearer token; with AWS keys, the session token.
        username: for basic authentication; or AWS's access key id.
        password: of that user; or AWS's secret access key.
        hosts: patterns of hosts that these may be sent to (`*.example.com`); empty where the source alone decides.

    Raises:
        InvalidConfiguration: no header can hold it; clients would quote it when they say so.
    """

    token: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.token.isascii() or not (self.token + self.username + self.password).isprintable():
            raise InvalidConfiguration(
                "The credentials hold what cannot be sent: a line break, or in a token letters beyond ASCII.",
                "Check that their place holds one token, or one user:password, and nothing else.",
            )

    @classmethod
    def parse(cls, text: str, hosts: tuple[str, ...] = ()) -> Auth:
        """Read a secret as it stands in a variable or a file: `user:password`, else a token.

        No bearer token holds a colon (RFC 6750, section 2.1).
        """
        username, colon, password = text.strip().partition(":")
        return cls("", username, password, hosts) if colon else cls(username, hosts=hosts)

    def __bool__(self) -> bool:
        return bool(self.token or self.username)

    def may_go_to(self, url: str) -> bool:
        """Whether these may be sent to the host of `url`; its name is read as the client that sends it reads it."""
        try:
            host = httpx.URL(url).raw_host.decode("ascii").lower()
        except httpx.InvalidURL:
            return False
        return not self.hosts or any(fnmatchcase(host, pattern.lower()) for pattern in self.hosts)

    def header(self, url: str) -> str:
        """Return the Authorization header for a request to `url`; empty without credentials, or not for that host."""
        return self._header if self.may_go_to(url) else ""

    @property
    def _header(self) -> str:
        if self.username:
            return f"Basic {b64encode(f'{self.username}:{self.password}'.encode()).decode()}"
        return f"Bearer {self.token}" if self.token else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must show nowhere."""
        return tuple(text for text in (self.token, self.password, self._header.partition(" ")[2]) if text)


@dataclass(frozen=True)
class SourceSettings:
    """How sources reach the world.

    Attributes:
        auth: credentials.
        endpoint: the service's base URL, or empty for the source's own default.
        timeout_s: seconds without a byte after which a connection counts as dead.
        max_redirects: how many redirects one request may follow.
        max_size: bytes a whole model may have.
        max_files: files a model may have.
        addresses: where requests may go.
        connections: files that are received side by side.
        file_roots: resolved folders of this machine that may be read; None for any.
    """

    auth: Auth = field(default_factory=Auth)
    endpoint: str = ""
    timeout_s: float = 60.0
    max_redirects: int = 5
    max_size: int = 4 * 1024**4
    max_files: int = 100_000
    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    connections: int = 4
    file_roots: tuple[Path, ...] | None = None


@dataclass(frozen=True)
class ByteStream:
    """The rest of a file from `offset` on.

    Attributes:
        offset: where the stream really starts; 0 when the source cannot resume.
        chunks: the bytes, in order.
        size: the whole file's size as this answer states it, or None.
        etag: the strong ETag of this answer with its quotes, or empty.
    """

    offset: int
    chunks: Iterator[bytes]
    size: int | None = None
    etag: str = ""


class Source(Protocol):
    """A place models come from.

    Both methods raise `SourceError` and its kinds only; a foreign exception never leaves an adapter.
    """

    kind: ClassVar[str]

    def resolve(self, ref: ModelRef) -> Manifest:
        """Say what the model is now: a pinned reference and every file; downloads no weights.

        Raises:
            ModelNotFound, AccessDenied, SourceUnavailable, SourceMisbehaved, UnsafePath.
        """
        ...

    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> AbstractContextManager[ByteStream]:
        """Open one file of a resolved model, from `offset` where the source can.

        Args:
            ref: the pinned reference of the manifest.
            entry: a file of that manifest.
            offset: bytes already here.
        """
        ...


def refuse_unknown_options(ref: ModelRef, known: Collection[str]) -> None:
    """Raise InvalidReference when a reference has an option that its source does not know."""
    for key, _ in ref.options:
        if key not in known:
            names = f"Known ones: {', '.join(sorted(known))}." if known else "It has none."
            raise InvalidReference(f"The source {ref.kind} knows no option “{key}”.", names, uri=ref.uri, option=key)


def refuse_oversize(manifest: Manifest, settings: SourceSettings) -> Manifest:
    """Return a declared manifest that is within the limits on files and bytes; raise SourceError otherwise."""
    for name, actual, limit in (
        ("files", len(manifest.files), settings.max_files),
        ("bytes", manifest.size, settings.max_size),
    ):
        if actual > limit:
            raise SourceError(
                f"The model {manifest.ref.uri} has {actual:,} {name}, more than the {limit:,} that are allowed.",
                "Choose some of its files, or raise the limit in the settings.",
                actual=actual,
                limit=limit,
            )
    return manifest


SourceConstructor = Callable[[SourceSettings], Source]
