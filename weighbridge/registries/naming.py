"""The names that models and versions get in registries, where `/` and `:` are not allowed: folders, MLflow, tags."""

from __future__ import annotations

import re

from weighbridge.errors import RegistryError

MAX_LENGTH = 200
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?")
_OUTSIDE = re.compile(r"[^A-Za-z0-9._+-]+")


def registered_name(name: str) -> str:
    """Return the name under which registries keep a model: `org/name` becomes `org--name`.

    Anything else than letters, digits, `.`, `_`, `+` and `-` becomes `-`. Two models whose names become the same are
    told apart by the original name, which registries keep beside it, and the second is refused.

    Raises:
        RegistryError: nothing usable is left, or it is too long.
    """
    mapped = _OUTSIDE.sub("-", name.replace("/", "--")).strip("-.")
    if not mapped or len(mapped) > MAX_LENGTH:
        raise RegistryError(
            f"The model name {name!r} cannot be used in a registry.",
            f"Give it one of at most {MAX_LENGTH} letters and digits with --name.",
            name=name,
        )
    return mapped


def checked_version(version: str) -> str:
    """Return a version number unchanged when it is a semantic version, and so safe as a folder, a tag and a ref.

    Raises:
        RegistryError: it is none.
    """
    if not _VERSION.fullmatch(version) or len(version) > MAX_LENGTH:
        raise RegistryError(f"{version!r} is no semantic version.", "Write one such as 1.0.0.", version=version)
    return version
