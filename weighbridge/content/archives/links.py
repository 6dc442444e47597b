"""Links in archives: one that leads to a sibling, under a name of the same kind, is a note; any other is an error.

A link is a second name for bytes. Unpacked, it may lead out of the folder, alone or through another link; and it may
give what was examined as a text the name that a loader opens. Not here: what a model of its own does with links, which
are refused when an archive is unpacked (content.unpacking).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from weighbridge.content.archives.member_walk import Walk
from weighbridge.content.findings import quoted
from weighbridge.domain.format_names import named_format
from weighbridge.domain.paths import safe_path
from weighbridge.errors import UnsafePath


class Links:
    """The links of one archive, checked one by one, and the members whose names lead through them.

    Args:
        walk: receives the problems.
        prefix: the place of the archive.
    """

    def __init__(self, walk: Walk, prefix: str) -> None:
        self._walk, self._prefix = walk, prefix
        self._links: set[str] = set()
        self._folders: dict[str, str] = {}
        self._passed: set[str] = set()

    def add(self, name: str, target: str, *, hard: bool = False) -> None:
        """Check a link; a hard one names its target from the archive's root, a symbolic one from its own folder."""
        self._links.add(name)
        self.pass_through(name)
        location = self._walk.location(self._prefix, name)
        reached = _reached("" if hard else name, target)
        if reached is None:
            text = f"The member is a link that leads out of the archive, to {quoted(target)}."
            self._walk.problem("archive.link", "error", text, location)
        elif _named(name) != _named(reached):
            text = f"The member is a link to {quoted(target)}, a name of another kind than its own."
            self._walk.problem("archive.link", "error", text, location)
        else:
            self._walk.problem("archive.link", "note", f"The member is a link to {quoted(target)}.", location)

    def pass_through(self, name: str) -> None:
        """Record a member whose folder may be a link, as it would be written to the link's target."""
        written = name.rpartition("/")[0]
        if written in self._passed:
            return
        self._passed.add(written)
        for folder in PurePosixPath(name).parents:
            self._folders.setdefault(str(folder), name)

    def finish(self) -> None:
        """Report the members below links, after all members are known."""
        for name in sorted(self._links & self._folders.keys()):
            text = f"The member {quoted(self._folders[name])} lies below a link."
            self._walk.problem("archive.link", "error", text, self._walk.location(self._prefix, name))


def _reached(name: str, target: str) -> str | None:
    """Return the path in the archive that a link leads to, or None when that is not sure to be one.

    Only leading `..` are followed: a later one is relative to the target of another link.
    """
    if target.startswith("/"):
        return None
    folder = list(PurePosixPath(name).parts[:-1])
    parts = [part for part in target.split("/") if part not in ("", ".")]
    while parts and parts[0] == "..":
        if not folder:
            return None
        folder.pop()
        parts.pop(0)
    path = "/".join(folder + parts)
    if not path:
        return "."
    try:
        return safe_path(path)
    except UnsafePath:
        return None


def _named(path: str) -> str:
    """Return what a path's name promises; a name without suffix promises nothing, as a folder's does."""
    return named_format(path) or PurePosixPath(path).suffix.lower()
