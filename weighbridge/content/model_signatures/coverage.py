"""What a signature covers of a model: which files have the signed bytes, which have others, which it leaves out.

Digests of blobs are the store's own where the signature lists the sha256 of whole files; other digests are computed,
each byte once. Not here: reading the signature (statement), whose it is (checking).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from weighbridge.content.litter import is_litter
from weighbridge.content.model_signatures.statement import SignedPart, SignedStatement
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.progress import Progress
from weighbridge.store.interface import BlobStore

#: Files of version control, which the reference implementation leaves out, and what downloads leave beside a model.
_NOT_OF_THE_MODEL = (".git", ".gitattributes", ".github", ".gitignore", ".cache")
_CHUNK = 1024 * 1024
#: Parts of files that are hashed side by side.
_THREADS = 4


@dataclass(frozen=True)
class Coverage:
    """What a signature covers; paths are the model's, sorted. See `PublisherSignature`."""

    covered: int
    mismatched: tuple[str, ...]
    missing: tuple[str, ...]
    uncovered: tuple[str, ...]
    ignored: tuple[str, ...]


def coverage(
    statement: SignedStatement,
    folder: str,
    signature_files: Collection[str],
    manifest: Manifest,
    blobs: BlobStore,
    progress: Progress,
) -> Coverage:
    """Compare a statement with the files of a model.

    1. Names count from the signature's folder on, and are compared as they are: `./a` is not `a`.
    2. A file is covered where its parts follow each other from its first byte to its last, and each has its digest. A
       signature by shards lists no empty file: those count as covered.
    3. Files of signatures and of git, and what downloads leave in `.cache`, count neither as missing nor as uncovered;
       other litter, which no ingest takes, is not missing.

    Args:
        statement: what was signed.
        folder: that of the signature, with a slash at its end; empty for the model's own.
        signature_files: the paths of signatures in the model.
        manifest: computed.
        blobs: where the files are.
        progress: receives the bytes that are hashed.
    """
    signed: dict[str, list[SignedPart]] = defaultdict(list)
    for part in statement.parts:
        signed[folder + part.path].append(part)
    present = manifest.by_path
    both = [present[path] for path in sorted(signed.keys() & present.keys())]
    mismatched = _mismatched(both, signed, statement, blobs, progress)
    missing = [
        path
        for path in signed.keys() - present.keys()
        if not (_left_out(path, folder, signature_files) or is_litter(path))
    ]
    uncovered = [
        path
        for path, entry in present.items()
        if path not in signed
        and not _left_out(path, folder, signature_files)
        and not (statement.method == "shards" and entry.size == 0 and path.startswith(folder))
    ]
    ignored = [path for path in uncovered if _below(path.removeprefix(folder), statement.ignored)]
    return Coverage(
        covered=len(both) - len(mismatched),
        mismatched=tuple(mismatched),
        missing=tuple(sorted(missing)),
        uncovered=tuple(sorted(uncovered)),
        ignored=tuple(sorted(ignored)),
    )


def _left_out(path: str, folder: str, signature_files: Collection[str]) -> bool:
    return path in signature_files or _below(path.removeprefix(folder), _NOT_OF_THE_MODEL)


def _below(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places if place)


def _mismatched(
    entries: list[FileEntry],
    signed: dict[str, list[SignedPart]],
    statement: SignedStatement,
    blobs: BlobStore,
    progress: Progress,
) -> list[str]:
    if (statement.method, statement.algorithm) == ("files", "sha256"):
        return [entry.path for entry in entries if entry.digest and entry.digest.hex != signed[entry.path][0].digest]
    progress.expect("hash", sum(entry.size or 0 for entry in entries))
    computed: dict[tuple[Any, ...], str] = {}
    wrong = []
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="hash") as pool:
        for entry in entries:
            parts = sorted(signed[entry.path], key=lambda part: part.start)
            if not _gapless(parts, entry.size or 0):
                wrong.append(entry.path)
                continue
            asked = [
                (entry.digest, part.start, part.end)
                for part in parts
                if (entry.digest, part.start, part.end) not in computed
            ]
            values = pool.map(lambda one: _digest(one, statement.algorithm, blobs, progress), asked)
            computed |= dict(zip(asked, values, strict=True))
            if any(computed[entry.digest, part.start, part.end] != part.digest for part in parts):
                wrong.append(entry.path)
    return wrong


def _gapless(parts: list[SignedPart], size: int) -> bool:
    at = 0
    for part in parts:
        end = size if part.end is None else part.end
        if part.start != at or (end <= part.start and part.end is not None):
            return False
        at = end
    return at == size


def _digest(part: tuple[Any, ...], algorithm: str, blobs: BlobStore, progress: Progress) -> str:
    digest, start, end = part
    hasher = _hasher(algorithm)
    with blobs.open(digest) as file:
        file.seek(start)
        left = end - start if end is not None else None
        while chunk := file.read(_CHUNK if left is None else min(_CHUNK, left)):
            hasher.update(chunk)
            progress.advance("hash", len(chunk))
            left = left - len(chunk) if left is not None else None
    text: str = hasher.hexdigest()
    return text


def _hasher(algorithm: str) -> Any:
    if algorithm == "blake3":
        from blake3 import blake3  # Few signatures need it.

        return blake3()
    return hashlib.new(algorithm)
