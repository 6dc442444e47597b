"""A guard around the source of an installed package: it checks results and converts foreign exceptions.

Errors of Weighbridge pass; a foreign exception or an invalid result becomes `SourceMisbehaved`, which names the
package. Not here: finding and loading packages (source_kinds.plugins).
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration, SourceMisbehaved, WeighbridgeError
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.sources.interface import Source, refuse_oversize

#: Formats to unpack a manifest's single file as (`weighbridge.content.unpacking`); empty: the files are the model.
ARCHIVES = frozenset({"", "archive", "wheel"})
_MAX_TOLD = 300


class InstalledSource:
    """A plug-in's source; see the module. `of` makes one."""

    kind: ClassVar[str]

    def __init__(self, package: str, module: str, settings: SourceSettings) -> None:
        self._package, self._module, self._settings = package, module, settings
        self._source: Any = None

    @classmethod
    def of(cls, kind: str, package: str, make: Callable[..., Any], settings: SourceSettings) -> Source:
        """Make a plug-in's source and guard it.

        Args:
            kind: its name.
            package: the package that brings it, for messages.
            make: returns the source for settings.
            settings: its limits, addresses and credentials.

        Raises:
            InvalidConfiguration: the result is not a source.
            SourceMisbehaved: making it fails.
        """
        module = (getattr(make, "__module__", None) or "").partition(".")[0]
        guarded: InstalledSource = type(cls.__name__, (cls,), {"kind": kind})(package, module, settings)
        with guarded._foreign_errors("it was opened"):
            source = make(settings)
        named = getattr(source, "kind", None)
        if named != kind or not all(callable(getattr(source, name, None)) for name in ("resolve", "open")):
            raise InvalidConfiguration(
                f"The source “{kind}” of the package {package} is not a source: it needs resolve, open, and the kind "
                f"“{kind}”, and has {named!r:.60}.",
                "Update that package, or report it to its authors.",
                source=kind,
            )
        guarded._source = source
        return guarded

    def resolve(self, ref: ModelRef) -> Manifest:
        """Return the manifest that the plug-in resolves a model to.

        Raises:
            SourceMisbehaved: it raises a foreign exception, or returns something other than a pinned manifest.
            WeighbridgeError: as the plug-in raises it.
        """
        with self._foreign_errors("it resolved a model"):
            found = self._source.resolve(ref)
            wrong = _wrong(found, self.kind)
        if wrong:
            raise self._misbehaved(f"answers {wrong}")
        return refuse_oversize(found, self._settings)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open a file through the plug-in.

        Raises:
            SourceMisbehaved: it raises a foreign exception, or returns something other than a stream of bytes; also
                while the chunks are read.
            WeighbridgeError: as the plug-in raises it.
        """
        doing = "it opened a file"
        with self._foreign_errors(doing):
            opened = self._source.open(ref, entry, offset)
            stream = opened.__enter__()
        try:
            if not isinstance(stream, ByteStream) or not isinstance(stream.offset, int):
                raise self._misbehaved(f"opens a file as {_shown(stream)}, which is not a ByteStream")
            yield replace(stream, chunks=self._chunks(stream))
        except BaseException as error:
            with suppress(Exception):  # The first error is reported; a plug-in may not swallow it.
                opened.__exit__(type(error), error, error.__traceback__)
            raise
        with self._foreign_errors("it closed a file"):
            opened.__exit__(None, None, None)

    def _chunks(self, stream: ByteStream) -> Iterator[bytes]:
        with self._foreign_errors("it sent a file"):
            chunks = iter(stream.chunks)
        while True:
            with self._foreign_errors("it sent a file"):
                try:
                    chunk = next(chunks)
                except StopIteration:
                    return
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise self._misbehaved(f"sends {_shown(chunk)} where bytes belong")
            yield bytes(chunk)

    @contextmanager
    def _foreign_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except WeighbridgeError:
            raise
        except Exception as error:  # foreign code may raise anything, and no traceback reaches a user
            told = _scrubbed(str(error), self._settings.auth)
            where = _place(error, self._module)
            raise self._misbehaved(
                f"failed when {doing}: {type(error).__name__}{f' in {where}' if where else ''}"
                + (f": {told}" if told else "")
            ) from error

    def _misbehaved(self, what: str) -> SourceMisbehaved:
        return SourceMisbehaved(
            f"The source “{self.kind}” of the package {self._package} {what.rstrip('.')}.",
            "Update that package, or report it to its authors; `weighbridge doctor` lists packages that bring sources.",
            source=self.kind,
            package=self._package,
        )


def _wrong(found: Any, kind: str) -> str:
    """Return why a result is not a valid pinned manifest; empty when it is one."""
    if not isinstance(found, Manifest) or not isinstance(found.ref, ModelRef):
        return f"{_shown(found)}, which is not a Manifest"
    if found.ref.kind != kind:
        return f"with a model of the source “{found.ref.kind:.60}”"
    if not isinstance(found.ref.revision, str) or not found.ref.revision:
        return "with a reference that is not pinned to a revision"
    if ModelRef.parse(found.ref.uri) != found.ref:
        return f"with a reference whose URI means another one: {found.ref.uri:.200}"
    if not found.files:
        return "with a model without files"
    if found.archive not in ARCHIVES or (found.archive and len(found.files) != 1):
        return f"with {len(found.files)} files to be unpacked as {found.archive!r:.60}"
    for entry in found.files:
        texts = (entry.path, entry.version, entry.locator)
        size = entry.size is None or (isinstance(entry.size, int) and not isinstance(entry.size, bool))
        if not size or not isinstance(entry.digest, Digest | None) or not all(isinstance(text, str) for text in texts):
            return f"with a file whose size, digest or version is of the wrong type: {entry.path!r:.200}"
    return ""


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _place(error: BaseException, module: str) -> str:
    """Return the last file and line of a package in an exception's traceback; empty where there is none."""
    places = [
        f"{frame.f_globals['__name__']}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if f"{frame.f_globals.get('__name__', '')}.".startswith(f"{module}.")
    ]
    return places[-1] if places else ""


def _scrubbed(text: str, auth: Auth) -> str:
    """Return an exception's text as one line, without credentials and without the queries of addresses."""
    for secret in auth.secrets:
        text = text.replace(secret, "…")
    text = re.sub(r"//[^/\s@]+@", "//…@", re.sub(r"\?\S+", "?…", text))
    return " ".join(text.split())[:_MAX_TOLD]
