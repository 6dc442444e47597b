"""Tests of registries.naming: names and versions that are safe as folders, tags and MLflow names."""

import pytest

from weighbridge.errors import RegistryError
from weighbridge.registries.naming import MAX_LENGTH, checked_version, registered_name


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("smol", "smol"),
        ("org/name", "org--name"),
        ("org/name:tag", "org--name-tag"),
        ("../../etc/passwd", "etc--passwd"),
        ("a b\tc", "a-b-c"),
        ("modèle", "mod-le"),
        ("x" * MAX_LENGTH, "x" * MAX_LENGTH),
    ],
)
def test_names(name: str, registered: str) -> None:
    assert registered_name(name) == registered
    assert "/" not in registered_name(name)


@pytest.mark.parametrize("name", ["", "..", "///", "模型", "x" * (MAX_LENGTH + 1)])
def test_names_without_a_usable_rest_are_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="cannot be used"):
        registered_name(name)


@pytest.mark.parametrize("version", ["1.0.0", "10.20.30", "1.2.3-rc.1", "1.2.3+local"])
def test_versions(version: str) -> None:
    assert checked_version(version) == version


@pytest.mark.parametrize("version", ["", "1.0", "v1.0.0", "1.0.0/..", "1.0.0\n", "1.0.0-", f"1.0.0-{'x' * MAX_LENGTH}"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(RegistryError, match="not a semantic version"):
        checked_version(version)
