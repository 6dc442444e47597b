"""The source `url`: one file at an http or https address, `https://host/path/model.gguf`.

`#sha256=<hex>` declares the digest that the bytes are checked against. With `#extract=true` the file is an archive and
its members are the model; its bytes decide which kind of archive. Not here: unpacking it (content.unpacking), and pages
that list files.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.paths import safe_path
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration, InvalidReference, ModelNotFound, UnsafePath
from weighbridge.net.responses import shown
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import Description, Transfer
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options

OPTIONS = frozenset({"extract", "sha256"})


class UrlSource:
    """One file on the web; see the module.

    The credentials of the settings go to the host of the address and to no other.
    """

    kind: ClassVar[str] = "url"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._transfer = Transfer.of(settings)

    def resolve(self, ref: ModelRef) -> Manifest:
        """Read the file's size, name and strong ETag in at most two requests.

        The revision is what pins the bytes best: the declared digest, else the strong ETag, else a weak mark of size
        and Last-Modified (`weak-…`), which only shows that nothing seems to have changed.

        Raises:
            ModelNotFound, AccessDenied, SourceUnavailable, SourceMisbehaved: as `Transfer.describe`.
            InvalidReference: an unknown option, or an invalid value of one.
            UnsafePath: the server's name for the file is not safe.
        """
        refuse_unknown_options(ref, OPTIONS)
        promised, archive = _promised(ref), "archive" if _extracts(ref) else ""
        description = self._transfer.describe(ref.address, authorization=self._settings.auth.header(ref.id))
        if description.content_type in ("text/html", "application/xhtml+xml") and not ref.id.endswith(
            (".html", ".htm")
        ):
            raise ModelNotFound(
                f"{shown(ref.id)} is a web page, not a model file.",
                "It may be a login or preview page: use the address of its download button.",
                url=shown(ref.id),
            )
        # A declared digest proves the bytes; the ETag may differ between the nodes that serve them.
        version = f"{ref.id} {description.etag}" if description.etag and not promised else ""
        entry = FileEntry(_name(ref, description), description.size, promised, version)
        pinned = ref.pinned(_revision(description, promised))
        return refuse_oversize(Manifest(pinned, (entry,), archive), self._settings)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open the file; from `offset` only where a strong ETag or a declared digest would reveal another file's rest.

        Raises:
            SourceMisbehaved: the file changed since it was resolved; otherwise as `resolve`.
        """
        etag = entry.version.removeprefix(f"{ref.id} ")
        resumable = bool(etag or entry.digest)
        with self._transfer.stream(
            ref.address,
            offset=offset if resumable else 0,
            etag=etag,
            size=entry.size,
            authorization=self._settings.auth.header(ref.id),
        ) as stream:
            yield stream


def _promised(ref: ModelRef) -> Digest | None:
    given = ref.option("sha256")
    if not given:
        return None
    if len(set(given)) > 1:
        raise InvalidReference("The URL declares two different sha256.", "Keep one.", uri=ref.uri)
    try:
        return Digest("sha256", given[0].lower())
    except InvalidConfiguration as error:
        raise InvalidReference(f"#sha256={given[0]} is not a sha256.", error.remedy, uri=ref.uri) from error


def _extracts(ref: ModelRef) -> bool:
    given = set(ref.option("extract")) or {"false"}
    if len(given) > 1 or not given <= {"true", "false"}:
        raise InvalidReference("The value of extract is neither true nor false.", "Write #extract=true.", uri=ref.uri)
    return given == {"true"}


def _revision(description: Description, promised: Digest | None) -> str:
    if promised:
        return str(promised)
    if description.etag:
        return f"etag-{sha256(description.etag.encode()).hexdigest()[:32]}"
    mark = f"{description.size} {description.modified}"
    return f"weak-{sha256(mark.encode()).hexdigest()[:32]}"


def _name(ref: ModelRef, description: Description) -> str:
    """Return the file's name: Content-Disposition's where that is safe, else the address's last part with a suffix.

    Raises:
        UnsafePath: neither is safe.
    """
    asked, final = (unquote(urlsplit(url).path.rsplit("/", 1)[-1]) for url in (ref.id, description.url))
    name = ""
    with suppress(UnsafePath):
        name = safe_path(description.filename)
    if not name:
        name = asked if posixpath.splitext(asked)[1] or not posixpath.splitext(final)[1] else final
    name = name or "model"
    if "/" in name:
        raise UnsafePath(
            f"The server names the file {name!r}, which leads into another folder.",
            "The model's publisher has to rename it; nothing was stored under it.",
            path=name,
        )
    return safe_path(name)
