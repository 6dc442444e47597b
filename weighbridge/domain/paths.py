"""Paths of a model's files: relative, POSIX, and safe to create below a folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from weighbridge.errors import UnsafePath

MAX_PATH_BYTES = 1024


MAX_COMPONENT_BYTES = 255


_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


#: Names that Windows cannot hold: reserved ones with or without an ending, some signs, dots and spaces at the end.
_WINDOWS = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$|[:*?\"<>|]|[. ]$", re.IGNORECASE)


def safe_path(path: str) -> str:
    """Return a file name from upstream unchanged when it is safe to create below a folder.

    Names that only Windows cannot hold are accepted here, as by the native clients of every source: `unportable`
    returns those.

    Raises:
        UnsafePath: it is empty, absolute, climbs with `..`, holds NUL, a control character or a backslash, is not
            UTF-8, or is too long.
    """
    why = _unsafe(path)
    if why:
        raise UnsafePath(
            f"The file name {path!r} {why}, so it is not accepted.",
            "Leave it out with the option exclude, or name what you want with files (docs/sources.md); or ask its "
            "publisher to rename it. Nothing was stored under it.",
            path=path,
        )
    return path


def unportable(paths: Iterable[str]) -> dict[str, str]:
    """Return the paths that cannot be stored on every system, each with the reason."""
    reasons: dict[str, str] = {}
    folded: dict[str, str] = {}
    for path in sorted(paths):
        if any(_WINDOWS.search(part) for part in path.split("/")):
            reasons[path] = "Windows cannot hold this name."
        other = folded.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
        if other != path:
            reasons[path] = f"Where case or Unicode form does not count, {other!r} has the same name."
    return reasons


def _unsafe(path: str) -> str:
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    components = path.split("/")
    if _FORBIDDEN.search(path):
        return "holds a control character or a backslash"
    if path.startswith("/"):
        return "is absolute"
    if any(part in ("", ".", "..") for part in components):
        return "is empty or leads out of the model's folder"
    if len(encoded) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_COMPONENT_BYTES for part in components):
        return f"is longer than {MAX_PATH_BYTES} bytes, or one part than {MAX_COMPONENT_BYTES}"
    return ""
