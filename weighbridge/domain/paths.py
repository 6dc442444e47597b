"""Paths of a model's files: relative, POSIX, and safe to create on any file system."""

from __future__ import annotations

import re

from weighbridge.errors import UnsafePath

MAX_PATH_BYTES = 1024


MAX_COMPONENT_BYTES = 255


_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


#: Names Windows reserves, with or without an extension; colons and trailing dots go the same way.
_WINDOWS = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$|[:*?\"<>|]|[. ]$", re.IGNORECASE)


def safe_path(path: str) -> str:
    """Return a file name from upstream unchanged when it is safe to create below a folder on any system.

    Raises:
        UnsafePath: it is empty, absolute, climbs with `..`, holds NUL, a control character, a backslash or a name
            that Windows reserves, is not UTF-8, or is too long.
    """
    why = _unsafe(path)
    if why:
        raise UnsafePath(
            f"The file name {path!r} {why}, so it is not accepted.",
            "The model's publisher has to rename it; nothing was stored under it.",
            path=path,
        )
    return path


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
    if any(_WINDOWS.search(part) for part in components):
        return "is reserved on Windows"
    if len(encoded) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_COMPONENT_BYTES for part in components):
        return f"is longer than {MAX_PATH_BYTES} bytes, or one part than {MAX_COMPONENT_BYTES}"
    return ""
