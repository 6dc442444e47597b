"""A manifest: what files a model consists of, declared by its source or computed from the bytes received.

Not here: fetching the bytes, or what a difference leads to (intake.verifying).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

from weighbridge.domain.digest import Digest
from weighbridge.domain.paths import safe_path
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import SourceMisbehaved, UnsafePath

FORMAT = "weighbridge.manifest/1"


@dataclass(frozen=True, order=True, slots=True)
class FileEntry:
    """One file of a model.

    Attributes:
        path: POSIX, relative, safe (`safe_path`).
        size: bytes; None while the source has not declared it.
        digest: what the source promises, or sha256 once computed; None when it promises nothing.
        version: the source's own opaque identity of these bytes (a strong ETag, an S3 version id), or empty.
        locator: what the source needs to find the file again (a URL, a Xet hash), or empty; no part of identity.
    """

    path: str
    size: int | None = None
    digest: Digest | None = None
    version: str = field(default="", compare=False)
    locator: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        safe_path(self.path)
        if self.size is not None and self.size < 0:
            raise SourceMisbehaved(f"The source gives {self.path} a size of {self.size} bytes.", path=self.path)

    def to_json(self) -> dict[str, Any]:
        """Return path, size and digest in the form of manifests and locks."""
        return {"path": self.path, "size": self.size, "digest": str(self.digest) if self.digest else None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FileEntry:
        """Read what `to_json` wrote."""
        digest = Digest.parse(value["digest"]) if value.get("digest") else None
        return cls(value["path"], value["size"], digest)


@dataclass(frozen=True)
class Comparison:
    """The difference between a declared and a computed manifest, as sorted paths.

    Attributes:
        mismatched: in both, with another size or digest.
        missing: declared, not computed.
        extra: computed, not declared.
        unverified: in both, and the declaration promised no digest.
    """

    mismatched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Return whether nothing differs; unverified files do not count as a difference."""
        return not (self.mismatched or self.missing or self.extra)


@dataclass(frozen=True)
class Manifest:
    """A pinned reference and its files, sorted by path.

    Attributes:
        ref: the reference at an immutable revision.
        files: sorted; no two names equal, or one the folder of another.
        archive: how the single file is to be unpacked (`archive`, `wheel`), or empty when the files are the model.
        left_out: paths at the source that do not belong to the model, each with the reason; not part of its identity.
        gated: whether the source lists the model but gives its files only to accounts that its owner approved; not part
            of its identity.

    Raises:
        UnsafePath: names collide.
    """

    ref: ModelRef
    files: tuple[FileEntry, ...]
    archive: str = ""
    left_out: tuple[str, ...] = field(default=(), compare=False)
    gated: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(sorted(self.files, key=lambda entry: entry.path)))
        _refuse_collisions(entry.path for entry in self.files)

    @cached_property
    def by_path(self) -> dict[str, FileEntry]:
        """The files by path."""
        return {entry.path: entry for entry in self.files}

    @cached_property
    def by_digest(self) -> dict[Digest, FileEntry]:
        """The first file of each digest."""
        return {entry.digest: entry for entry in reversed(self.files) if entry.digest is not None}

    @property
    def size(self) -> int:
        """The sum of the known sizes in bytes."""
        return sum(entry.size or 0 for entry in self.files)

    def canonical(self) -> bytes:
        """Return the canonical JSON that `digest` is taken over: files only, so that the source does not matter.

        Keys sorted, no spaces, UTF-8, `format` naming the version: docs/formats.md.
        """
        files = [entry.to_json() for entry in self.files]
        content = {"format": FORMAT, "files": files}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @cached_property
    def digest(self) -> Digest:
        """The model's identity: sha256 of `canonical()`. Equal content has an equal digest wherever it came from."""
        return Digest.sha256(self.canonical())

    @property
    def fingerprint(self) -> str:
        """A hash of what the source declared: equal fingerprints mean that nothing changed upstream.

        Empty when some file has neither a digest nor a version, so that equality would prove nothing.
        """
        if not all(entry.digest or entry.version for entry in self.files):
            return ""
        files = [[entry.path, entry.size, str(entry.digest or ""), entry.version] for entry in self.files]
        content = json.dumps([FORMAT, self.ref.uri, self.archive, files], separators=(",", ":"))
        return Digest.sha256(content.encode()).hex

    def compare(self, computed: Manifest) -> Comparison:
        """Compare this declared manifest with a computed one.

        A digest by another algorithm than sha256 was checked against the bytes while they arrived (fetching).
        """
        ours, theirs = self.by_path, computed.by_path
        mismatched, unverified = [], []
        for path in sorted(ours.keys() & theirs.keys()):
            declared, actual = ours[path], theirs[path]
            same_algorithm = declared.digest and actual.digest and declared.digest.algorithm == actual.digest.algorithm
            other_size = declared.size is not None and declared.size != actual.size
            if other_size or (same_algorithm and declared.digest != actual.digest):
                mismatched.append(path)
            elif declared.digest is None:
                unverified.append(path)
        return Comparison(
            mismatched=tuple(mismatched),
            missing=tuple(sorted(ours.keys() - theirs.keys())),
            extra=tuple(sorted(theirs.keys() - ours.keys())),
            unverified=tuple(unverified),
        )


def _refuse_collisions(paths: Iterable[str]) -> None:
    """Raise UnsafePath when two paths are equal, or one is a folder of the other.

    Only neighbours are compared: sorted with `/` as the least letter, a folder's name comes right before its content.
    """
    ordered = sorted(path.replace("/", "\0") for path in paths)
    for one, two in pairwise(ordered):
        if one == two or two.startswith(one + "\0"):
            other, path = (name.replace("\0", "/") for name in (one, two))
            raise UnsafePath(
                f"The file names {other!r} and {path!r} cannot lie in one folder.",
                "They are the same, or one is the folder of the other: leave one out with the option exclude.",
                path=path,
                other=other,
            )
