"""Checking: every blob of the store hashed again, registries held against the catalog, and what is broken mended.

Not here: how a blob is checked (store.checking), a registry (intake.auditing), or mended (intake.repairing).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.config.models_file import requests
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.intake.auditing import Difference, audit
from weighbridge.intake.repairing import RepairReport, repair_store
from weighbridge.intake.workspace import Workspace
from weighbridge.store.checking import StoreCheck, check_store


@dataclass(frozen=True)
class CheckRequest:
    """What is to be checked; plain values.

    Attributes:
        repair: whether what is broken or missing is brought back.
        registries: whether what registries list and give out is compared with the catalog, too.
        models: the models file that says where the credentials for a repair are kept, if there is one.
    """

    repair: bool = False
    registries: bool = False
    models: str = "models.yaml"


@dataclass(frozen=True)
class CheckReport:
    """What a check came to.

    Attributes:
        request: what was asked for.
        found: what is broken or missing in the store.
        repairs: what was brought back, or None where nothing was to be.
        differences: between registries and catalog.
    """

    request: CheckRequest
    found: StoreCheck
    repairs: RepairReport | None = None
    differences: tuple[Difference, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is left to be mended."""
        return (self.repairs.whole if self.repairs else self.found.sound) and not self.differences

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        content = self.found.to_json() | {"sound": self.whole} | (self.repairs.to_json() if self.repairs else {})
        if self.request.registries:
            content["registries"] = [difference.to_json() for difference in self.differences]
        return content


def check(request: CheckRequest, workspace: Workspace) -> CheckReport:
    """Hash every blob again, mend what is broken where that is wanted, and compare registries with the catalog.

    Raises:
        WeighbridgeError: the store or the catalog cannot be read, or the models file.
    """
    catalog = workspace.catalog
    versions = [version for model in catalog.models() for version in catalog.versions(model.name)]
    found = check_store(workspace.store, versions, workspace.progress, workspace.settings.slots)
    repairs = repair_store(found, versions, workspace, _places(request, workspace)) if request.repair else None
    differences = audit(versions, workspace) if request.registries else ()
    return CheckReport(request, found, repairs, differences)


def _places(request: CheckRequest, workspace: Workspace) -> dict[str, AuthPlace]:
    """Return where the credentials for each model of the models file are kept; nothing where there is no such file."""
    if not Path(request.models).exists():
        return {}
    return {one.model: one.auth for one in requests(workspace.entries(request.models))}
