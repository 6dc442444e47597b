"""A source kind made for tests, whole in one file: an adapter, its options, and the record that names both.

An HTTP server has an `index.json` beside each edition's files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from weighbridge.config.source_options import Plain, SourceOptions, Text, WebAddress
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds.record import SourceKind
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import Transfer
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options


class ShelfOptions(SourceOptions):
    """An edition of a title."""

    title: Text
    edition: Plain = ""
    library: WebAddress | None = None

    def place(self) -> ModelRef:
        """The place that these options name, whatever of it is taken."""
        options = (("library", self.library),) if self.library else ()
        return ModelRef("shelf", self.title, self.edition, options)


class ShelfSource:
    """Editions of titles. Option: `library`, the base URL of another server than the configured one."""

    kind: ClassVar[str] = "shelf"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings, self._transfer = settings, Transfer.of(settings)

    def resolve(self, ref: ModelRef) -> Manifest:
        """Read the index of an edition, the newest one without a revision."""
        refuse_unknown_options(ref, {"library"})
        url = self._url(ref, "index.json")
        document = self._transfer.read(url, accept="application/json", authorization=self._settings.auth.header(url))
        index = json.loads(document.content)
        files = (FileEntry(file["path"], file["size"], Digest("sha256", file["sha256"])) for file in index["files"])
        return refuse_oversize(Manifest(ref.pinned(str(index["edition"])), tuple(files)), self._settings)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open a file of the pinned edition."""
        url = self._url(ref, entry.path)
        authorization = self._settings.auth.header(url)
        with self._transfer.stream(url, offset=offset, size=entry.size, authorization=authorization) as stream:
            yield stream

    def _url(self, ref: ModelRef, path: str) -> str:
        library = next(iter(ref.option("library")), self._settings.endpoint)
        return f"{library}/{ref.id}/{ref.revision or 'newest'}/{path}"


#: A kind with something of everything that a record can say.
SHELF = SourceKind(
    name="shelf",
    schemes=("shelf",),
    adapter="tests.sources.shelf:ShelfSource",
    options="tests.sources.shelf:ShelfOptions",
    mistake=lambda parts: "" if "/" in parts.id else f"“{parts.id}” is no title: write team/name",
    model_name=lambda parts: parts.id.rpartition("/")[2],
    places=frozenset({"library"}),
    endpoint_variable="SHELF_URL",
    auth_variable="SHELF_TOKEN",
    block="hub-credentials",
    page=lambda parts: f"https://shelf.example/{parts.id}/{parts.revision}",
)
#: The least that a record has to say.
PLAIN = SourceKind("shelf", ("shelf",), "tests.sources.shelf:ShelfSource")
