"""Archives: the files of a tar, plain or compressed, or of a zip become blobs, each hashed while it streams.

An archive is unpacked when nothing at all is wrong with it, as programs may differ in what they see in one that is odd:
names that lead outside or collide, links, devices, sparse or encrypted members, wrong checksums, bytes that belong to
no member, an end that is missing, and more than the limits allow are refused. Its content says what it is; no name of
its own is ever written to. Archives within it stay files, which the scanners walk.

The model's root is the longest folder that its files share. Litter is dropped, as it is from a folder, so that both
give the same model.

Not here: reading the formats (archives), and wheels (wheel).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weighbridge.content.archives import Limits, Member, Problem, Walk, walk_outermost
from weighbridge.content.detection import detect_file
from weighbridge.content.litter import LEFT_BEHIND, is_litter
from weighbridge.content.unpacking.interface import DroppedMember, Unpacked, below_shared_folder
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.progress import Progress, Silent
from weighbridge.errors import (
    ModelNotFound,
    ScannerUnavailable,
    SourceError,
    SourceMisbehaved,
    StoreError,
    UnsafePath,
    WeighbridgeError,
)
from weighbridge.store.incoming import Incoming
from weighbridge.store.local import LocalBlobStore

#: What is unpacked; the compressed ones when they hold a tar.
KINDS = ("zip", "tar", "gzip", "bzip2", "xz", "zstd")
LIMITS = Limits(max_members=100_000, max_size=4 * 1024**4, max_ratio=200, free_size=256 * 1024**2)
#: What says more than other problems of the same archive.
_FIRST = frozenset({"archive.bomb", "archive.overlap"})
_NAMES = frozenset(
    {"archive.unsafe-name", "archive.duplicate", "archive.case-collision", "archive.link", "archive.device"}
)


def unpack_archive(
    path: Path, store: LocalBlobStore, progress: Progress | None = None, *, limits: Limits | None = None
) -> Unpacked:
    """Store the files of an archive as blobs and return them, sorted by path.

    1. Its first bytes say which format it is.
    2. Its members are read one by one, in order and once, each into the store; the limits are held meanwhile.
    3. A blob gets its name when the archive's own checksums were compared; the first problem ends it all.
    4. The longest folder that all files share is taken off their names.

    Again is harmless, also after it died in the middle.

    Raises:
        SourceError: it is no archive, or of a kind that is not unpacked.
        SourceMisbehaved: something is wrong with it, or it breaks the limits.
        UnsafePath: a member's name is not safe or there twice, or it is a link or a device.
        ModelNotFound: it holds no file.
        StoreError: no space left, or the archive cannot be read here.
    """
    walked = walk_outermost(path, limits or LIMITS, _kind(path))
    try:
        files, dropped = _receive(walked, store, f"member of the archive {path.name}", progress or Silent())
    except ScannerUnavailable as error:  # as the readers say that this machine failed
        raise StoreError("The archive cannot be read from the store.", "Check its disk, then run it again.") from error
    if not files:
        raise ModelNotFound("The archive holds no file of a model.", "Is this the right archive?")
    names = below_shared_folder(files)
    entries = (FileEntry(names[name], store.size(digest), digest) for name, digest in files.items())
    return Unpacked(tuple(sorted(entries, key=lambda entry: entry.path)), tuple(sorted(dropped)))


def _kind(path: Path) -> str:
    kind = detect_file("", path)
    if kind not in KINDS:
        what = "an archive of a kind that is not unpacked" if kind in ("7z", "rar", "lz4") else "no archive"
        raise SourceError(
            f"What came is {what} (its content is: {kind}).",
            "Leave out extract=true to take the file as it is. Unpacked are zip, and tar plain or compressed with "
            "gzip, bzip2, xz or zstd.",
            format=kind,
        )
    return kind


def _receive(
    walked: Walk, store: LocalBlobStore, key: str, progress: Progress
) -> tuple[dict[str, Digest], list[DroppedMember]]:
    """Return the digest of each file by the archive's name for it, and what is no part of the model."""
    files: dict[str, Digest] = {}
    dropped: list[DroppedMember] = []
    members = iter(walked)
    member = next(members, None)
    while member is not None:
        _refuse(walked.problems)
        progress.say("unpack", member.location)
        if is_litter(member.name):
            member.drain()
            following = next(members, None)
            dropped.append(DroppedMember(member.location, member.size, LEFT_BEHIND))
        else:
            with store.receive(key) as incoming:
                incoming.restart()
                _write(member, incoming, progress)
                following = next(members, None)  # The checksum is compared when the walk goes on.
                if walked.problems:
                    incoming.restart()
                _refuse(walked.problems)
                files[member.name] = incoming.commit()
        member = following
    _refuse(walked.problems)
    return files, dropped


def _write(member: Member, incoming: Incoming, progress: Progress) -> None:
    for chunk in member.chunks():
        incoming.write(chunk)
        progress.expect("unpack", len(chunk))
        progress.advance("unpack", len(chunk))


def _refuse(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    problem = next((found for found in problems if found.rule in _FIRST), problems[0])
    kind: type[WeighbridgeError] = UnsafePath if problem.rule in _NAMES else SourceMisbehaved
    where = f" at {problem.location}" if problem.location else ""
    raise kind(
        f"The archive is not unpacked: {problem.message.rstrip('.')}{where} ({problem.rule}).",
        "Nothing of it was published. Its publisher has to build it anew.",
        rule=problem.rule,
        path=problem.location,
    )
