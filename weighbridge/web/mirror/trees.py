"""Trees of the Hub's protocol: the files and folders of a version, in parts, and those at given paths.

Not here: the links between parts (web.mirror.links).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.text import shown
from weighbridge.errors import FileNotInVersion
from weighbridge.intake.mirroring import Served
from weighbridge.web.mirror.documents import blob, moment
from weighbridge.web.mirror.security import security_of

#: Entries of one part, as the Hub has it: llama.cpp reads the first part only.
MOST_IN_PART = 1000


@dataclass(frozen=True)
class TreePart:
    """A part of a tree.

    Attributes:
        entries: files and folders, sorted by path.
        last: the path of the last one, where others follow; empty where none do.
    """

    entries: list[dict[str, Any]]
    last: str


def tree(given: Served, folder: str, *, recursive: bool, expand: bool, after: str, limit: int) -> TreePart:
    """Return files and folders of a version in a folder of it.

    Args:
        given: the version.
        folder: its path; empty for the whole version.
        recursive: whether what is in its folders is included.
        expand: whether each entry has its last commit, and files the state of their scans.
        after: only what comes after this path.
        limit: entries of the part.

    Raises:
        FileNotInVersion: there is no such folder.
    """
    start = f"{folder}/" if folder else ""
    found = _below(given, start, recursive=recursive)
    if not found and folder:
        raise FileNotInVersion(
            f"{given.version.name} {given.version.version} has no folder {shown(folder, 200)}.", commit=given.commit
        )
    paths = [path for path in sorted(found) if path > after]
    entries = [_entry(given, path, found[path], expand=expand) for path in paths[:limit]]
    return TreePart(entries, paths[limit - 1] if len(paths) > limit else "")


def at_paths(given: Served, paths: Iterable[str], *, expand: bool) -> list[dict[str, Any]]:
    """Return the files and folders that are at these paths; others are left out."""
    files = given.version.manifest.by_path
    folders = {folder for path in files for folder in _folders(path)}
    wanted = [path.strip("/") for path in dict.fromkeys(paths)]
    return [_entry(given, path, files.get(path), expand=expand) for path in wanted if path in files or path in folders]


def _below(given: Served, start: str, *, recursive: bool) -> dict[str, FileEntry | None]:
    """Return files by path, and None for folders, below a folder whose path ends with a slash."""
    found: dict[str, FileEntry | None] = {}
    for entry in given.version.manifest.files:
        if entry.path.startswith(start):
            for folder in _folders(entry.path):
                if folder.startswith(start) and (recursive or "/" not in folder[len(start) :]):
                    found[folder] = None
            if recursive or "/" not in entry.path[len(start) :]:
                found[entry.path] = entry
    return found


def _folders(path: str) -> Iterable[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _entry(given: Served, path: str, entry: FileEntry | None, *, expand: bool) -> dict[str, Any]:
    version = given.version
    commit = {"id": given.commit, "title": f"{version.name} {version.version}", "date": moment(version.created_at)}
    more: dict[str, Any] = {"lastCommit": commit} if expand else {}
    if entry is None:
        oid = sha1(f"{given.commit}/{path}".encode(), usedforsecurity=False).hexdigest()
        return {"type": "directory", "oid": oid, "size": 0, "path": path, **more}
    if expand:
        more["securityFileStatus"] = security_of(version, entry)
    return {"type": "file", "path": path, **blob(entry), **more}
