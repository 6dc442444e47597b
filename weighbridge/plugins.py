"""Sources that other packages bring, by an entry point each; nothing of ours is touched for them.

A package names a factory in its pyproject.toml; the entry point's name is the source's kind and its URI scheme:

    [project.entry-points."weighbridge.sources"]
    acme = "acme_models.source:AcmeSource"

`acme:id@revision?option=value` and, in models.yaml, `source: {acme: {id: …, revision: …, option: value}}` then work as
those of our own. docs/sources.md shows a whole one. Not here: our own sources (weighbridge.sources).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from weighbridge.errors import InvalidConfiguration

GROUP = "weighbridge.sources"
_NAME = re.compile(r"[a-z][a-z0-9+.-]*")


@cache
def installed() -> Mapping[str, EntryPoint]:
    """Return the entry points of the installed packages by name; read once, as it looks at every package.

    Raises:
        InvalidConfiguration: two packages give the same name, or one gives a name that is no scheme.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.get(entry.name)
        if not _NAME.fullmatch(entry.name) or (other and other.value != entry.value):
            raise InvalidConfiguration(
                f"The package {_package(entry)} brings a source “{entry.name}”, which "
                + (f"{_package(other)} brings too." if other else "is no URI scheme."),
                "Uninstall one of them, or ask its makers for another name.",
                source=entry.name,
            )
        found[entry.name] = entry
    return found


def kind_of(scheme: str) -> str:
    """Return the source kind that an installed package serves under a scheme; empty when none does."""
    return scheme if scheme in installed() else ""


def load(kind: str) -> Any:
    """Return the factory that a package gives for a source kind.

    Raises:
        InvalidConfiguration: the package cannot be imported, or lacks what its entry point names.
    """
    entry = installed()[kind]
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise InvalidConfiguration(
            f"The source “{kind}” of the package {_package(entry)} cannot be loaded: {error}.",
            "Reinstall that package, or tell its makers.",
            source=kind,
        ) from error


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
