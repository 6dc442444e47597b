"""Sources of other packages, each registered by an entry point; no file of ours has to change for them.

A package's pyproject.toml names what makes a source from `SourceSettings`: usually the class. The entry point's name is
the source's kind and its URI scheme:

    [project.entry-points."weighbridge.sources"]
    acme = "acme_models.source:AcmeSource"

`acme:id@revision?option=value` and, in models.yaml, `source: {acme: {id: …, revision: …, option: value}}` then work
like those of our own kinds. docs/sources.md shows a complete one. Not here: our own sources, and how mistakes of a
plug-in are handled (weighbridge.sources).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from weighbridge.errors import InvalidConfiguration

GROUP = "weighbridge.sources"
#: URI schemes; `use` names a source factory in models.yaml.
_NAME = re.compile(r"(?!use$)[a-z][a-z0-9+.-]*")


@cache
def installed() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Return the entry points of the installed packages by name; cached, since it looks at every package.

    A name has more than one where several packages claim it.
    """
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, {}).setdefault(entry.value, entry)
    return {name: tuple(entries.values()) for name, entries in sorted(found.items())}


def kind_of(scheme: str) -> str:
    """Return the source kind that an installed package serves under a scheme; empty when none does.

    Raises:
        InvalidConfiguration: two packages serve it, or it is not a valid scheme.
    """
    entries = installed().get(scheme, ())
    if entries and not _NAME.fullmatch(scheme):
        raise _refused(entries[0], "which is no name of a source", "ask its makers for another name: a-z, 0-9, + . -")
    if len(entries) > 1:
        others = " and ".join(package_of(entry) for entry in entries[1:])
        raise _refused(entries[0], f"which {others} brings too", "uninstall one of them")
    return scheme if entries else ""


def refuse_taken(names: Collection[str]) -> None:
    """Raise InvalidConfiguration when a package claims one of the names, which are our own."""
    for name in names:
        for entry in installed().get(name, ()):
            raise _refused(entry, "which is Weighbridge's own", "uninstall it, or ask its makers for another name")


def entry_of(kind: str) -> EntryPoint:
    """Return the entry point of a source kind that `kind_of` returned."""
    return installed()[kind][0]


def load(kind: str) -> Callable[..., Any]:
    """Return the class or function that makes a source of a kind that `kind_of` returned.

    Raises:
        InvalidConfiguration: the package cannot be imported, or lacks what its entry point names.
    """
    entry = entry_of(kind)
    try:
        found = entry.load()
    except Exception as error:  # importing other people's code may raise anything
        raise InvalidConfiguration(
            f"The source “{kind}” of the package {package_of(entry)} cannot be loaded: {type(error).__name__}: "
            f"{' '.join(str(error).split())}.",
            "Reinstall that package, or tell its makers.",
            source=kind,
        ) from error
    if not callable(found):
        raise InvalidConfiguration(
            f"The source “{kind}” of the package {package_of(entry)} is {entry.value}, which makes nothing.",
            "Update that package, or report it to its authors.",
            source=kind,
        )
    return found  # type: ignore[no-any-return]


def package_of(entry: EntryPoint) -> str:
    """Return the name and version of the package that an entry point belongs to."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _refused(entry: EntryPoint, why: str, remedy: str) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"The package {package_of(entry)} brings a source “{entry.name}”, {why}.",
        f"{remedy[0].upper()}{remedy[1:]}.",
        source=entry.name,
    )
