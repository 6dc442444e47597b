"""Litter: files that version control, downloads, desktops and editors leave behind, and that are part of no model."""

from __future__ import annotations

#: Why it is left out, as reports say it.
LEFT_BEHIND = "left behind by a desktop, an editor or version control"
#: Names of files and folders.
NAMES = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".cache",
        "__pycache__",
        "__MACOSX",
        ".ipynb_checkpoints",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
    }
)
#: What macOS begins the names of its resource files with.
_RESOURCE = "._"
#: What Windows notes of where a file came from, as WSL and copies of its disks show it.
_ZONE = ":Zone.Identifier"


def is_litter(path: str) -> bool:
    """Return whether a file or folder, or a folder that it lies in, is litter."""
    return any(part in NAMES or part.startswith(_RESOURCE) or part.endswith(_ZONE) for part in path.split("/"))
