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

from pathlib import Path

from weighbridge.content.archives import Limits, Problem, Walk, walk_outermost
from weighbridge.content.detection import detect_file
from weighbridge.content.litter import LEFT_BEHIND, is_litter
from weighbridge.content.unpacking.interface import DroppedMember, Unpacked, below_shared_folder
from weighbridge.content.unpacking.refusal import NAMES, refuse
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.selection import Selection
from weighbridge.errors import (
    ModelNotFound,
    ScannerUnavailable,
    SourceError,
    StoreError,
    UnsafePath,
)
from weighbridge.store.local import LocalBlobStore

#: What is unpacked; the compressed ones when they hold a tar.
KINDS = ("zip", "tar", "gzip", "bzip2", "xz", "zstd")
LIMITS = Limits(max_members=100_000, max_size=4 * 1024**4, max_ratio=200, free_size=256 * 1024**2)
_EXCLUDED = "excluded"
#: Those that do nothing where the member is excluded.
_EXCLUDABLE = NAMES | {"archive.sparse"}
_AS_IT_IS = "Leave out extract=true to take the file as it is."
_UNPACKED = "Unpacked are zip, and tar plain or compressed with gzip, bzip2, xz or zstd."
#: What to do about a problem of which its publisher needs not know.
_REMEDIES = dict.fromkeys(NAMES, "Leave that member out with exclude, or its publisher has to build it anew.") | {
    "archive.sparse": "Leave that member out with exclude, or pack the archive anew without tar's --sparse (-S).",
    "archive.unsupported": f"{_AS_IT_IS} {_UNPACKED}",
}


def unpack_archive(
    path: Path,
    store: LocalBlobStore,
    progress: Progress | None = None,
    selection: Selection | None = None,
    *,
    limits: Limits | None = None,
) -> Unpacked:
    """Store the files of an archive as blobs and return them, sorted by path.

    1. Its first bytes say which format it is.
    2. Its members are read one by one, in order and once, each into the store, within the limits.
    3. A blob gets its name when the archive's own checksums were compared; the first problem ends it all.
    4. The longest folder that all files share is removed from their names, and the selected ones are the model.

    A member that matches `exclude`, from any folder, is read and dropped, with any name or kind.

    Again is harmless, also after it died in the middle.

    Raises:
        SourceError: it is not an archive, or of a kind that is not unpacked.
        SourceMisbehaved: something is wrong with it, or it breaks the limits.
        UnsafePath: a member's name is not safe or there twice, or it is a link or a device.
        ModelNotFound: it holds no file.
        StoreError: no space left, or the archive cannot be read here.
    """
    walked = walk_outermost(path, limits or LIMITS, _kind(path))
    try:
        selection = selection or Selection()
        progress, size = progress or Silent(), path.stat().st_size
        progress.expect("unpack", size)
        files, dropped = _receive(walked, store, f"member of the archive {path.name}", progress, selection)
    except ScannerUnavailable as error:  # as the readers say that this machine failed
        raise StoreError("The archive cannot be read from the store.", "Check its disk, then run it again.") from error
    if not files:
        raise ModelNotFound("The archive holds no file of a model.", "Is this the right archive?")
    names = below_shared_folder(files)
    taken = selection.of_names(names.values(), "The archive")
    entries = (FileEntry(names[name], store.size(one), one) for name, one in files.items() if names[name] in taken)
    return Unpacked(tuple(sorted(entries, key=lambda entry: entry.path)), tuple(sorted(dropped)))


def _kind(path: Path) -> str:
    kind = detect_file("", path)
    if kind not in KINDS:
        what = "an archive of a kind that is not unpacked" if kind in ("7z", "rar", "lz4") else "no archive"
        raise SourceError(
            f"What came is {what} (its content is: {kind}).",
            f"{_AS_IT_IS} {_UNPACKED}",
            format=kind,
        )
    return kind


def _receive(
    walked: Walk, store: LocalBlobStore, key: str, progress: Progress, selection: Selection
) -> tuple[dict[str, Digest], list[DroppedMember]]:
    """Return the digest of each file by its name in the archive, and the members that do not belong to the model."""
    files: dict[str, Digest] = {}
    dropped: list[DroppedMember] = []
    told = 0
    members = iter(walked)
    member = next(members, None)
    while member is not None:
        _refuse(walked, selection)
        progress.say("unpack", member.location)
        if is_litter(member.name) or _excluded(member.name, selection):
            member.drain()
            following = next(members, None)
            reason = LEFT_BEHIND if is_litter(member.name) else _EXCLUDED
            dropped.append(DroppedMember(member.location, member.size, reason))
        else:
            with store.receive(key) as incoming:
                incoming.restart()
                for chunk in member.chunks():
                    incoming.write(chunk)
                    told = _tell(walked, told, progress)
                following = next(members, None)  # The checksum is compared when the walk goes on.
                if _serious(walked, selection):
                    incoming.restart()
                _refuse(walked, selection)
                files[member.name] = incoming.commit()
        member = following
    _refuse(walked, selection)
    for name, target in walked.hard_links.items():  # The same bytes under another name.
        if is_litter(name) or _excluded(name, selection):
            dropped.append(DroppedMember(name, 0, LEFT_BEHIND if is_litter(name) else _EXCLUDED))
        elif target in files:
            files[name] = files[target]
        else:
            raise UnsafePath(
                f"{name} in the archive is a hard link to {target}, which is left out.",
                "Leave it out with exclude too, or keep what it leads to.",
                path=name,
            )
    return files, dropped


def _excluded(name: str, selection: Selection) -> bool:
    """Return whether `exclude` matches a member's name from any folder, as the root is not known yet."""
    parts = name.split("/")
    return any(selection.excludes("/".join(parts[start:])) for start in range(min(len(parts), 64)))


def _serious(walked: Walk, selection: Selection) -> list[Problem]:
    """Return the problems for which an archive is not unpacked.

    Names that differ by case are two files here, a hard link to an earlier member is that member, and the name, the
    kind or the holes of an excluded member do nothing.
    """
    return [
        problem
        for problem in walked.problems
        if problem.rule != "archive.case-collision"
        and not (problem.rule == "archive.link" and problem.level == "note" and problem.location in walked.hard_links)
        and not (problem.rule in _EXCLUDABLE and _excluded(problem.location, selection))
    ]


def _tell(walked: Walk, told: int, progress: Progress) -> int:
    """Report the archive's bytes read since `told`, and return the number of bytes read so far."""
    position = max(told, walked.position)
    progress.advance("unpack", position - told)
    return position


def _refuse(walked: Walk, selection: Selection) -> None:
    refuse("archive", _serious(walked, selection), _REMEDIES)
