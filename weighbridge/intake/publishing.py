"""Publishing: puts versions that passed into every wanted registry and withdraws all others; checked each time.

A publication has three steps, and a process may be killed after each: the upload is recorded, the registry makes the
version visible, the publication is recorded. Each step asks the catalog whether the version is still PASSED. So the
publisher notices a verdict that changes meanwhile, and a withdrawal finds every registry to which an upload began. Not
here: how a registry publishes and withdraws (registries), or why a version passed (domain.policy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from weighbridge.catalog import ModelSummary
from weighbridge.catalog.publications import RegistryPlace
from weighbridge.domain.decision import VersionStatus
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import CatalogError, RegistryUnavailable, StateConflict
from weighbridge.intake.unexpected import foreseen
from weighbridge.intake.workspace import Workspace
from weighbridge.registries.interface import Registry


class _NoLongerPassed(Exception):
    """The verdict changed while the version was being published."""


def reconcile(version: ModelVersion, registries: Sequence[Registry], workspace: Workspace) -> ModelVersion:
    """Bring registries in line with the catalog for a version, and return the version as it is afterwards.

    1. A PASSED version is in each of `registries`, at its address, by its digest and with whole files; what is missing
       or differs is published. Publications elsewhere are left alone.
    2. Any other version is withdrawn from every place to which it was published or an upload began; the default
       version, which may be another one now, gets its alias there.

    Raises:
        RegistryError: a registry refused; the catalog shows what is published.
        IntegrityError: a blob is damaged.
    """
    if version.status == "PASSED":
        for registry in registries:
            if not _stands(version, registry, workspace):
                _give_out(version, registry, workspace)
    else:
        take_back(version, workspace)
    return _settled(version, workspace)


def due(version: ModelVersion, registries: Sequence[Registry], workspace: Workspace) -> list[str]:
    """Return what `reconcile` would do, in words; nothing where registries and catalog agree.

    Raises:
        RegistryError: a registry cannot be asked.
    """
    if version.status == "PASSED":
        missing = (registry for registry in registries if not _stands(version, registry, workspace))
        return [f"publish to {registry.name} at {registry.address}" for registry in missing]
    places = workspace.catalog.places.of(version.name, version.version)
    return [f"withdraw from {place.registry} at {place.address or 'its usual place'}" for place in places]


def withdraw(name: str, version: str, reason: str, workspace: Workspace) -> ModelVersion:
    """Make a version FAILED on a person's request and withdraw it from every registry; a second call is harmless.

    Raises:
        CatalogError: no such version.
        RegistryError: a registry refused; run it again.
    """
    workspace.catalog.withdraw(name, version, reason, workspace.asker.role)
    found = _required(name, version, workspace)
    take_back(found, workspace, reason)
    return _settled(found, workspace)


def reinstate(name: str, version: str, workspace: Workspace, reason: str = "") -> ModelVersion:
    """Undo a withdrawal: the version has its last verdict again, and is published where that is PASSED.

    So it overrules no verdict of the gate, whoever asks.

    Raises:
        CatalogError: no such version, or its bytes were removed.
        StateConflict: the store has lost some of its bytes.
        NotPermitted: it was withdrawn by somebody with a higher role than the asker's.
        RegistryError: a registry refused; run it again.
    """
    before = _required(name, version, workspace)
    workspace.catalog.reinstate(
        name, version, workspace.asker.role, reason, check=lambda status: _refuse_lost(before, status, workspace)
    )
    found = _required(name, version, workspace)
    return reconcile(found, [workspace.registry_at(one) for one in workspace.settings.registries], workspace)


def set_default(
    name: str, version: str | None, workspace: Workspace, check: Callable[[ModelSummary], None] | None = None
) -> ModelVersion | None:
    """Make a version the default one, here and in every registry that has it, and return it.

    Args:
        name: the model's name.
        version: its number; None lets the default follow the newest PASSED version again.
        workspace: the workspace to use.
        check: is called with the model's line before it changes; what it raises prevents the change.

    Returns:
        The default version; None where no version is PASSED.

    Raises:
        CatalogError: no such version, or it is not PASSED.
        RegistryError: a registry refused; run it again.
    """
    catalog = workspace.catalog
    before = catalog.get(name)
    catalog.set_default(name, version, check)
    now = catalog.get(name)
    for one in (now, _required(name, before.version, workspace) if before else None):
        if one is not None and one.status == "PASSED":
            places = {(found.registry, found.address) for found in one.published}
            reconcile(one, [workspace.registry_at(*place) for place in sorted(places)], workspace)
    return now if now is not None and now.default else None


def _refuse_lost(version: ModelVersion, status: VersionStatus, workspace: Workspace) -> None:
    """Refuse that a version becomes PASSED of which the store has lost a file."""
    digests = {entry.path: entry.digest for entry in version.manifest.files}
    lost = [path for path, digest in digests.items() if digest is not None and not workspace.store.has(digest)]
    if lost and status == "PASSED":
        raise StateConflict(
            f"The store has lost {shown(lost[0], 200)} of {version.name} {version.version}, so that it cannot be given "
            "out.",
            "`weighbridge fsck --repair` fetches what was lost; then try again.",
            name=version.name,
            version=version.version,
        )


def take_back(version: ModelVersion, workspace: Workspace, reason: str = "") -> None:
    """Withdraw a version that is not PASSED from every place, as `withdraw_everywhere` does."""
    why = reason or f"{version.decision.policy}: {version.decision.verdict}"
    withdraw_everywhere(version.name, version.version, why, workspace)


def withdraw_everywhere(name: str, number: str, why: str, workspace: Workspace) -> None:
    """Withdraw a version from every place to which it was published or an upload began.

    A place that fails keeps no other one: each is tried, then the first error is raised.

    Raises:
        RegistryError: a registry refused; run it again.
    """
    errors = []
    for place in workspace.catalog.places.of(name, number):
        try:
            _withdraw_from(place, name, number, why, workspace)
        except Exception as error:  # noqa: BLE001 (it is raised below)
            errors.append(error)
    if errors:
        raise errors[0]


def _withdraw_from(place: RegistryPlace, name: str, number: str, why: str, workspace: Workspace) -> None:
    """Withdraw a version from one place.

    A running upload is left to its own process, which asks the catalog again before anything becomes visible and
    afterwards; its record is deleted once that process must have ended. Raises RegistryError.
    """
    registry, running = workspace.registry_at(place.registry, place.address), place.uploading and not place.dead
    try:
        registry.withdraw(name, number, why)
    except RegistryUnavailable:
        if not running:
            raise
    if not running:
        _move_default(name, registry, workspace)
        workspace.catalog.places.remove(name, number, place.registry, place.address)


def _move_default(name: str, registry: Registry, workspace: Workspace) -> None:
    default = workspace.catalog.get(name)
    if default is None or not default.default or default.status != "PASSED":
        return
    if any(found.registry == registry.name and found.address == registry.address for found in default.published):
        _give_out(default, registry, workspace)


def _stands(version: ModelVersion, registry: Registry, workspace: Workspace) -> bool:
    places = {(found.registry, found.address) for found in version.published}
    return (registry.name, registry.address) in places and registry.holds(version, workspace.store)


def _give_out(version: ModelVersion, registry: Registry, workspace: Workspace) -> None:
    """Publish a version; if it is, or becomes, no longer PASSED, nothing of it stays in the registry."""
    catalog, name, number = workspace.catalog, version.name, version.version
    if not catalog.places.begin_upload(name, number, registry.name, registry.address):
        return

    def allow() -> None:
        now = catalog.state(name, number)
        if now is None or now[0] != "PASSED":
            raise _NoLongerPassed

    progress = workspace.progress
    progress.expect("publish", version.manifest.size)
    progress.say("publish", registry.name)
    try:
        publication = registry.publish(version, workspace.store, allow, partial(progress.advance, "publish"))
    except _NoLongerPassed:
        catalog.places.remove(name, number, registry.name, registry.address)
        return
    if not catalog.places.add(name, number, publication):
        registry.withdraw(name, number, "It was rejected while it was being published.")
        catalog.places.remove(name, number, registry.name, registry.address)
        return
    if catalog.state(name, number) == ("PASSED", not version.default):
        # Another version became, or stopped being, the default one.
        registry.publish(_settled(version, workspace), workspace.store, allow)


def _settled(version: ModelVersion, workspace: Workspace) -> ModelVersion:
    return _required(version.name, version.version, workspace)


def _required(name: str, number: str, workspace: Workspace) -> ModelVersion:
    found = workspace.catalog.get(name, number)
    if found is None:
        raise CatalogError(f"The catalog has no {name}@{number} any more: it was removed.", "Ingest it again.")
    return found


def mend(versions: Sequence[ModelVersion], workspace: Workspace) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Bring every place that versions were published to, or withdrawn from, in line with the catalog.

    Returns:
        `name@version in registry` of what was published or withdrawn, and the same with the reason where it failed.
    """
    done: list[str] = []
    failed: list[str] = []
    for version in versions:
        for place in workspace.catalog.places.of(version.name, version.version):
            where = f"{version.name}@{version.version} in {place.registry}"
            try:
                registry = workspace.registry_at(place.registry, place.address)
                if version.status != "PASSED" or not _stands(version, registry, workspace):
                    reconcile(version, (registry,), workspace)
                    done.append(where)
            except Exception as error:  # noqa: BLE001 (a bug that one version meets stops no other version)
                failed.append(f"{where}: {foreseen(error, where, workspace.settings.folder)}")
    return tuple(done), tuple(failed)
