"""The files of a commit that form a model, links read as their targets, and what is left out.

Not here: how git is run (net.git.repository), and the pointers of large files (net.git.lfs).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice

from weighbridge.domain.paths import safe_path
from weighbridge.domain.selection import Selection
from weighbridge.errors import SourceError, UnsafePath
from weighbridge.net.git.repository import GitFile, GitRepository

#: The most bytes of a link's target; no system follows longer ones.
MAX_TARGET = 4096
#: The most links that are followed one after another, as in Linux.
MAX_LINKS = 40


@dataclass(frozen=True)
class CommitTree:
    """The files of a commit, or of a folder of it.

    Attributes:
        files: by path; a link is listed as its target.
        left_out: the other entries, each with the reason.
    """

    files: Mapping[str, GitFile]
    left_out: tuple[str, ...]


def read_tree(repository: GitRepository, oid: str, subdir: str, selection: Selection, max_files: int) -> CommitTree:
    """Read the tree of a fetched commit; files that the selection leaves out are not checked.

    Raises:
        ModelNotFound: there is no such folder, or a file that the selection names.
        UnsafePath: a name that is not safe, or a link that leads out of the folder.
        SourceError: there are more files than are allowed.
    """
    entries = list(islice(repository.files(oid, subdir), max_files + 1))
    if len(entries) > max_files:
        raise SourceError(
            f"{repository.url} holds more than {max_files:,} files.",
            "Name a folder of it: …#subdir.",
            url=repository.url,
        )
    everything = {entry.path: entry for entry in entries}
    links = _targets(repository, everything)
    files: dict[str, GitFile] = {}
    left_out = []
    for path in sorted(selection.of_names(everything, repository.url)):
        safe_path(path)
        if any(part.casefold() == ".git" for part in path.split("/")):
            raise UnsafePath(
                f"The file name {path!r} leads into git's own folder.", "Leave it out: exclude=….", path=path
            )
        file, why = _followed(path, everything, links)
        if file is not None:
            files[path] = replace(file, path=path)
        else:
            left_out.append(f"{ascii(path)[1:-1]}: {why}")
    return CommitTree(files, tuple(left_out))


def _targets(repository: GitRepository, everything: Mapping[str, GitFile]) -> dict[str, str]:
    """Return the target of each link, as a path from the top of the tree, or as written where that is outside."""
    links = [entry for entry in everything.values() if entry.is_link]
    wanted = {link.oid for link in links if link.size is not None and link.size <= MAX_TARGET}
    texts = {oid: content.decode(errors="surrogateescape") for oid, content in repository.contents(sorted(wanted))}
    targets = {}
    for link in links:
        text = texts.get(link.oid, "")
        targets[link.path] = posixpath.normpath(posixpath.join(posixpath.dirname(link.path), text)) if text else ""
    return targets


def _followed(path: str, everything: Mapping[str, GitFile], links: Mapping[str, str]) -> tuple[GitFile | None, str]:
    """Return the file that a path is or leads to, or None and the reason.

    Raises:
        UnsafePath: it is a link that leads out of the tree.
    """
    here = path
    for _ in range(MAX_LINKS):
        if here not in links:
            break
        here = links[here]
    entry = everything.get(here)
    if entry is not None and not entry.is_link:
        if entry.is_submodule:
            return None, f"another repository (a submodule at {entry.oid}), which is ingested on its own"
        return entry, ""
    if here.startswith(("/", "../")) or here == "..":
        raise UnsafePath(
            f"{path} is a link that leads out of the model, to {here[:200]!r}.",
            "Leave it out: git+https://host/repo.git?exclude=name; or ask its publisher to put the file itself there.",
            path=path,
        )
    if here == "." or any(name.startswith(f"{here}/") for name in everything):
        return None, f"a link to the folder {here!r}, whose files have names of their own"
    return None, "a link that leads to no file of the repository"
