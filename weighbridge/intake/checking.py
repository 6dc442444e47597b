"""Checking: hashes every blob of the store again, compares registries with the catalog, and repairs on request.

Not here: how blobs (store.checking) and registries (intake.auditing) are checked, and repairing (intake.repairing).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.config.models_file import requests
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.request import MODELS_FILE
from weighbridge.intake.auditing import RegistryDifference, audit
from weighbridge.intake.repairing import RepairReport, repair_store
from weighbridge.intake.workspace import Workspace
from weighbridge.store.checking import StoreCheck, check_store


@dataclass(frozen=True)
class CheckRequest:
    """What to check; plain values.

    Attributes:
        repair: whether broken and missing blobs are repaired.
        registries: whether registries are compared with the catalog, too.
        models: the models file that names the places of credentials for a repair, if there is one.
    """

    repair: bool = False
    registries: bool = False
    models: str = MODELS_FILE


@dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes:
        request: the request.
        found: what is broken or missing in the store.
        repairs: the result of the repair, or None where none was requested.
        differences: those between registries and catalog.
    """

    request: CheckRequest
    found: StoreCheck
    repairs: RepairReport | None = None
    differences: tuple[RegistryDifference, ...] = ()

    @property
    def whole(self) -> bool:
        """Return whether nothing is left to repair."""
        return (self.repairs.whole if self.repairs else self.found.sound) and not self.differences

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        content = self.found.to_json() | {"sound": self.whole} | (self.repairs.to_json() if self.repairs else {})
        if self.request.registries:
            content["registries"] = [difference.to_json() for difference in self.differences]
        return content


def check(request: CheckRequest, workspace: Workspace) -> CheckReport:
    """Hash every blob again and, as requested, repair what is broken and compare registries with the catalog.

    Raises:
        WeighbridgeError: the store or the catalog cannot be read, or the models file.
    """
    catalog = workspace.catalog
    versions = [version for model in catalog.lists.models() for version in catalog.versions(model.name)]
    found = check_store(workspace.store, versions, workspace.progress, workspace.settings.slots)
    repairs = repair_store(found, versions, workspace, _places(request, workspace)) if request.repair else None
    differences = audit(versions, workspace) if request.registries else ()
    return CheckReport(request, found, repairs, differences)


def _places(request: CheckRequest, workspace: Workspace) -> dict[str, AuthPlace]:
    """Return the place of the credentials for each model of the models file; nothing where there is no such file."""
    if not Path(request.models).exists():
        return {}
    return {one.model: one.auth for one in requests(workspace.entries(request.models))}
