"""The source `mock`: a model of empty files, generated without a network, for trying pipelines and configuration.

`mock:org/name?files=config.json&files=tokenizer.json`; without a name `test-org/test-model`, without files
`config.json` (spec 1). Not here: anything that looks like weights; a mock model has none and its card stays empty.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.selection import Selection
from weighbridge.errors import InvalidReference, ModelNotFound
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options

ORGANISATION = "test-org"
MODEL = "test-model"
FILES = ("config.json",)
OPTIONS = frozenset({"files", "commitSha"})
_COMMIT = re.compile(r"^[0-9a-f]{40}$")


class MockSource:
    """Empty models; see the module. Options: `files` (again for each file), `commitSha` (40 hex digits)."""

    kind: ClassVar[str] = "mock"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    def resolve(self, ref: ModelRef) -> Manifest:
        """Return empty files at a commit that depends on the model's name alone, unless one is given.

        Raises:
            ModelNotFound: a revision other than `main` and that commit.
            InvalidReference: an unknown option, or an invalid commit.
            UnsafePath: a file name that is not safe.
        """
        refuse_unknown_options(ref, OPTIONS)
        organisation, slash, model = ref.id.partition("/")
        if not slash:
            organisation, model = "", organisation
        name = f"{organisation or ORGANISATION}/{model or MODEL}"
        commit = _commit(ref, name)
        empty = Digest.sha256(b"")
        exclude = Selection(exclude=Selection.of(ref).exclude)
        paths = exclude.of_names(ref.option("files") or FILES, name)
        pinned = ModelRef(self.kind, name, commit, ref.options)
        return refuse_oversize(Manifest(pinned, tuple(FileEntry(path, 0, empty) for path in paths)), self._settings)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open a file: it has no bytes."""
        yield ByteStream(0, iter(()), 0)


def _commit(ref: ModelRef, name: str) -> str:
    given = ref.option("commitSha")
    if len(given) > 1 or (given and not _COMMIT.match(given[0])):
        raise InvalidReference("commitSha is not a commit.", "Give it once, as 40 lowercase hex digits.", uri=ref.uri)
    commit = given[0] if given else hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    if _COMMIT.match(ref.revision) and not given:
        return ref.revision
    if ref.revision not in ("", "main", commit):
        raise ModelNotFound(
            f"The mock model {name} has no revision “{ref.revision}”.",
            "Name main, a commit of 40 hex digits, or the one in commitSha.",
            uri=ref.uri,
        )
    return commit
