"""Auditing: compares what registries list and serve with the catalog. Every file that a registry serves is read.

Not here: the blobs of the store (store.checking), or repairing a registry (intake.publishing).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.progress import counted
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import RegistryUnavailable
from weighbridge.intake.unexpected import foreseen
from weighbridge.intake.workspace import Workspace
from weighbridge.registries.interface import Holding, Registry

#: The most paths that one difference names.
_SHOWN = 5


@dataclass(frozen=True, order=True)
class RegistryDifference:
    """One difference between a registry and the catalog.

    Attributes:
        registry: the registry's kind.
        address: its address.
        model: `name@version`, as far as it is known; empty for the registry as a whole.
        what: one sentence for a person.
    """

    registry: str
    address: str
    model: str
    what: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return dict(vars(self))


def audit(versions: Sequence[ModelVersion], workspace: Workspace) -> tuple[RegistryDifference, ...]:
    """Compare every registry that is configured, or that the catalog names, with the catalog.

    1. Each entry of a registry is a PASSED version of the catalog with the same manifest, and recorded as published.
    2. Each recorded publication is listed by its registry, and every byte of it matches the manifest.
    3. No recorded upload is unfinished.
    4. Each version published at a former address of a registry is also published at the one of the settings.

    A registry or a version that cannot be compared, for whatever reason, is a difference of its own: its content is
    unknown. The others are compared nevertheless.
    """
    configured = {(name, workspace.registry_at(name).address) for name in workspace.settings.registries}
    noted = {(found.registry, found.address) for version in versions for found in version.published}
    found = [*_uploads(versions, workspace), *_left_behind(versions, configured)]
    for name, address in sorted(configured | {place for place in noted if place[1]}):
        try:
            registry = workspace.registry_at(name, address)
            found += _of_registry(registry, versions, workspace)
        except Exception as error:  # noqa: BLE001 (a bug that one registry meets stops no other registry)
            why = foreseen(error, f"{name} at {address}", workspace.settings.folder)
            found.append(RegistryDifference(name, address, "", f"It cannot be compared: {why}"))
    return tuple(sorted(set(found)))


def _uploads(versions: Iterable[ModelVersion], workspace: Workspace) -> Iterator[RegistryDifference]:
    for version in versions:
        for place in workspace.catalog.places.of(version.name, version.version):
            if place.uploading:
                what = "An upload to it began and has not ended."
                yield RegistryDifference(place.registry, place.address, _label(version), what)


def _left_behind(
    versions: Iterable[ModelVersion], configured: Iterable[tuple[str, str]]
) -> Iterator[RegistryDifference]:
    for version in versions:
        places = {(found.registry, found.address) for found in version.published}
        for name, address in sorted(configured):
            former = sorted(at for kind, at in places if kind == name)
            if former and (name, address) not in places:
                command = f"weighbridge ingest {version.source} --name {version.name}"
                what = f"It is published at {former[0]} and not here; `{command}` publishes it."
                yield RegistryDifference(name, address, _label(version), what)


def _of_registry(
    registry: Registry, versions: Sequence[ModelVersion], workspace: Workspace
) -> Iterator[RegistryDifference]:
    known = {(version.name, version.version): version for version in versions}
    listed = set()
    for holding in registry.listing():
        version = known.get((holding.name, holding.version))
        listed.add((holding.name, holding.version))
        what = _listed_wrong(holding, version, registry)
        if what:
            label = f"{holding.name}@{holding.version or holding.location}"
            yield RegistryDifference(registry.name, registry.address, label, what)
    noted = [(_label(version), version) for version in versions if _is_noted(version, registry)]
    for version in counted(workspace.progress, registry.name, "versions", noted, len(noted)):
        if (version.name, version.version) not in listed:
            yield _difference(registry, version, "The catalog says that it is published here, and it is not.")
        elif what := _served_wrong(registry, version, workspace):
            yield _difference(registry, version, what)


def _served_wrong(registry: Registry, version: ModelVersion, workspace: Workspace) -> str:
    """Return what is wrong with the files that a registry serves of a version. Raises RegistryUnavailable."""
    try:
        wrong = registry.damaged(version, workspace.store)
    except RegistryUnavailable:  # Every other version would wait for it again.
        raise
    except Exception as error:  # noqa: BLE001 (as above)
        return f"It cannot be compared: {foreseen(error, _label(version), workspace.settings.folder)}"
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    paths = ", ".join(map(repr, wrong[:_SHOWN]))
    return f"It serves other files than it should: {paths}{more}." if wrong else ""


def _listed_wrong(holding: Holding, version: ModelVersion | None, registry: Registry) -> str:
    if version is None:
        return f"It serves {holding.location}, which the catalog does not know."
    if version.status != "PASSED":
        return f"It serves {holding.location}, which is {version.status}."
    if holding.manifest != str(version.manifest.digest):
        return f"It serves {holding.location} with another manifest, {holding.manifest or 'none'}."
    if not _is_noted(version, registry):
        return f"It serves {holding.location}, and the catalog has no record of that."
    return ""


def _is_noted(version: ModelVersion, registry: Registry) -> bool:
    places = {(found.registry, found.address) for found in version.published}
    return (registry.name, registry.address) in places


def _difference(registry: Registry, version: ModelVersion, what: str) -> RegistryDifference:
    return RegistryDifference(registry.name, registry.address, _label(version), what)


def _label(version: ModelVersion) -> str:
    return f"{version.name}@{version.version}"
