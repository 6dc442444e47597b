"""The names of models and versions in registries, where `/` and `:` are not allowed: folders, MLflow, tags."""

from __future__ import annotations

import re

from weighbridge.errors import RegistryError

MAX_LENGTH = 200
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?")
_OUTSIDE = re.compile(r"[^A-Za-z0-9._+-]+")


def registered_name(name: str) -> str:
    """Return the name of a model in registries: `org/name` becomes `org--name`.

    Any other character than letters, digits, `.`, `_`, `+` and `-` becomes `-`. Registries also keep the original name,
    so that the second of two models whose names become the same is refused.

    Raises:
        RegistryError: the result is empty or too long.
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
    """Return a version number unchanged if it is a semantic version, and so safe as a folder, a tag and a ref.

    Raises:
        RegistryError: it is not one.
    """
    if not _VERSION.fullmatch(version) or len(version) > MAX_LENGTH:
        raise RegistryError(f"{version!r} is not a semantic version.", "Write one such as 1.0.0.", version=version)
    return version
