"""The interface of a source, which lists the files of a model and opens them. The adapters are beside this file."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import ClassVar, Protocol, runtime_checkable

from weighbridge.domain import selection
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidReference, SourceError
from weighbridge.net.hub.commits import CommitAnswer
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream


class Source(Protocol):
    """A place models come from.

    Both methods raise only `SourceError` and its kinds; a foreign exception never leaves an adapter.
    """

    kind: ClassVar[str]

    def resolve(self, ref: ModelRef) -> Manifest:
        """Return the model's current manifest, a pinned reference and every file; downloads no weights.

        Raises:
            ModelNotFound, AccessDenied, SourceUnavailable, SourceMisbehaved, UnsafePath.
        """
        ...

    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> AbstractContextManager[ByteStream]:
        """Open one file of a resolved model, from `offset` where the source can.

        Args:
            ref: the pinned reference of the manifest.
            entry: a file of that manifest.
            offset: the bytes that the caller already has.
        """
        ...


@runtime_checkable
class Branching(Protocol):
    """A source whose revisions may be branches, which it can be asked for without a list of files."""

    def commit(self, ref: ModelRef, etag: str = "") -> CommitAnswer:
        """Ask what commit a reference's branch or tag is at.

        Args:
            ref: the reference.
            etag: that of an earlier answer, so that the same one need not be sent again; empty for none.

        Raises:
            ModelNotFound, AccessDenied, SourceUnavailable, SourceMisbehaved: it was not said.
        """
        ...


@runtime_checkable
class Permitting(Protocol):
    """A source that can be asked whether the credentials of its settings may read a model."""

    def check_access(self, ref: ModelRef) -> None:
        """Return if they may.

        Raises:
            ModelNotFound, AccessDenied: they may not.
            SourceUnavailable, SourceMisbehaved: it was not said.
        """
        ...


@runtime_checkable
class Service(Protocol):
    """A source whose models come from a service that can be asked whether it works."""

    def service(self, ref: ModelRef | None = None) -> str:
        """Return the address of the service that a model comes from; sends nothing.

        Args:
            ref: the model; None for the service of the settings.

        Returns:
            The address as it may be shown; empty where there is no such service.

        Raises:
            InvalidReference: it is no address, or the model names several.
        """
        ...

    def greet(self, ref: ModelRef | None = None) -> str:
        """Ask that service one cheap question with the credentials of the settings.

        Returns:
            What the answer says of these credentials, a few words or nothing.

        Raises:
            AccessDenied, ModelNotFound, SourceUnavailable, SourceMisbehaved: it does not work.
        """
        ...


def refuse_unknown_options(ref: ModelRef, known: Collection[str]) -> None:
    """Raise InvalidReference when a reference has an option that its source does not know.

    Every source knows `files` and `exclude` (domain.selection), which are not part of `known`.
    """
    for key, _ in ref.options:
        if key not in known and key not in selection.OPTIONS:
            names = f"Known ones: {', '.join(sorted({*known, *selection.OPTIONS}))}."
            raise InvalidReference(f"The source {ref.kind} has no option “{key}”.", names, uri=ref.uri, option=key)


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
