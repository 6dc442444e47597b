"""Paths of the Hub's protocol: what a request asks for, read from the path as the client wrote it.

Clients write a revision as one segment (`refs%2Fpr%2F1`) and a folder below `tree` as one, too (`sub%2Fdir`), while
a file's path below `resolve` has plain slashes. A server that decodes a path before it splits it cannot tell these
apart, so each segment is decoded here, once, after the split. Not here: what is at a path (web.mirror.application).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args
from urllib.parse import unquote_to_bytes

from weighbridge.errors import UsageError
from weighbridge.intake.mirrored_models import MAIN, RepoKind

What = Literal[
    "file",
    "info",
    "tree",
    "paths-info",
    "refs",
    "auth-check",
    "xet-token",
    "xet",
    "absent",
    "list",
    "whoami",
    "telemetry",
    "git",
    "unknown",
]
#: What is asked of a version without its files' bytes.
DESCRIBING: tuple[What, ...] = ("info", "tree", "paths-info")
_KINDS: tuple[RepoKind, ...] = get_args(RepoKind)
#: Words after a repository's name below its own path: all of them are the file.
_FILE_WORDS = ("resolve", "blob", "raw")
#: Words after a repository's name below `/api`, with what they ask for; those that take a revision, and others.
_WITH_REVISION: dict[str, What] = {
    "revision": "info",
    "tree": "tree",
    "paths-info": "paths-info",
    "xet-read-token": "xet-token",
    "xet": "xet",
}
#: `commits` and `discussions` have to be absent: transformers would else send its token to a service for conversion.
_WITHOUT: dict[str, What] = {
    "refs": "refs",
    "auth-check": "auth-check",
    **dict.fromkeys(("commits", "discussions", "safetensors-metadata", "treesize", "compare"), "absent"),
}
#: How the path ends that git asks for first.
_OF_GIT = ("info", "refs")
#: What git calls the newest commit of the default branch; clients in JavaScript ask for it.
_HEAD = "HEAD"
#: Revisions that have slashes even where a client does not escape them.
_SPLIT_REVISIONS = (("refs", "pr"), ("refs", "convert"), ("refs", "heads"), ("refs", "tags"))
#: Bytes of a path that is kept with what it asks for.
_MOST_KEPT = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True)
class HubPath:
    """What a request asks for.

    Attributes:
        what: the sort of answer; `absent` for what the Hub has of a repository and the mirror never has.
        kind: the sort of repository.
        name: of the repository.
        revision: branch, tag or commit; empty where none is named.
        path: of a file or folder in it; empty for none.
    """

    what: What
    kind: RepoKind = "models"
    name: str = ""
    revision: str = ""
    path: str = ""


_UNKNOWN = HubPath("unknown")


def read_path(raw: bytes) -> HubPath:
    """Return what a path below the mirror's own asks for.

    Args:
        raw: it begins with a slash, and is escaped as the client wrote it.

    Raises:
        UsageError: it leads out of a repository, or has a character that no path has.
    """
    return _read_again(raw) if len(raw) <= _MOST_KEPT else _read(raw)


def _read(raw: bytes) -> HubPath:
    parts = tuple(_decoded(part) for part in raw.removeprefix(b"/").rstrip(b"/").split(b"/"))
    if parts[0] == "api":
        return _api_path(parts[1:])
    for kind in _KINDS:
        if parts[0] == kind:
            return _file_path(kind, parts[1:])
    return _file_path("models", parts)


#: What clients ask for twice: a HEAD and a GET, and of one model many clients.
_read_again = lru_cache(4096)(_read)


def _decoded(part: bytes) -> str:
    """Return a segment, decoded once. Raises UsageError for what is not a name."""
    try:
        text = unquote_to_bytes(part).decode()
    except UnicodeDecodeError as error:
        raise UsageError("The path is not UTF-8.", "Escape it as a URL's path.") from error
    if _CONTROL.search(text) or any(inner in (".", "..") for inner in text.split("/")):
        raise UsageError("The path leads out of its repository, or has a control character or a backslash.")
    return text


def _file_path(kind: RepoKind, parts: tuple[str, ...]) -> HubPath:
    """Read `{id}/resolve/{revision}/{path}`; an id has two segments if the word after two is one that fits."""
    for length in (2, 1):
        if len(parts) > length + 2 and parts[length] in _FILE_WORDS:
            revision, rest = _revision(parts[length + 1 :])
            if rest:
                return HubPath("file", kind, "/".join(parts[:length]), revision, "/".join(rest))
    return HubPath("git") if parts[-2:] == _OF_GIT else _UNKNOWN


def _api_path(parts: tuple[str, ...]) -> HubPath:
    if parts[:1] == ("whoami-v2",):
        return HubPath("whoami")
    if parts[:1] == ("telemetry",):
        return HubPath("telemetry")
    for kind in _KINDS:
        if parts[:2] == ("resolve-cache", kind):
            return _cached_path(kind, parts[2:])
        if parts[:1] == (kind,):
            return _repository_path(kind, parts[1:]) if parts[1:] else HubPath("list", kind)
    return _UNKNOWN


def _repository_path(kind: RepoKind, parts: tuple[str, ...]) -> HubPath:
    """Read what follows `/api/models/`: an id, perhaps with a word that says what is asked of it."""
    for length in (2, 1):
        name, word, rest = "/".join(parts[:length]), parts[length : length + 1], parts[length + 1 :]
        if word and word[0] in _WITH_REVISION and rest:
            revision, path = _revision(rest)
            return HubPath(_WITH_REVISION[word[0]], kind, name, revision, "/".join(path))
        if word and word[0] in _WITHOUT:
            return HubPath(_WITHOUT[word[0]], kind, name)
    return HubPath("info", kind, "/".join(parts)) if len(parts) <= 2 else _UNKNOWN


def _cached_path(kind: RepoKind, parts: tuple[str, ...]) -> HubPath:
    """Read `{id}/{commit}/{path}`, to which the Hub's own redirects lead."""
    for length in (2, 1):
        if len(parts) > length + 1 and re.fullmatch("[0-9a-f]{40}", parts[length]):
            return HubPath("file", kind, "/".join(parts[:length]), parts[length], "/".join(parts[length + 1 :]))
    return _UNKNOWN


def _revision(parts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the revision at the beginning of segments, and the other ones."""
    length = 3 if parts[:2] in _SPLIT_REVISIONS and len(parts) > 2 else 1
    revision = "/".join(parts[:length])
    return MAIN if revision == _HEAD else revision, parts[length:]
