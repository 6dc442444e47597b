"""How versions are loaded on this machine: whose pickles and own code may be, and where converted weights are kept.

Neither changes a verdict: a version passed or not before anybody loads it. Not here: loading (handlers), and reading
policy.yaml (policy_file).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from weighbridge.domain.version import ModelVersion

#: The option of a handler that a permit sets.
_OPTIONS = {"code": "trust_remote_code", "pickle": "allow_pickle"}


@dataclass(frozen=True)
class Permit:
    """Somebody's word that more than tensors of one version may be loaded, until a day.

    Attributes:
        manifest: digest of the version's manifest, `sha256:…`: these very bytes and no others.
        allow: `pickle`: weights in a pickle, of which tensors alone are made; `code`: its own Python files run.
        reason: why.
        by: who.
        until: last day it counts, or None.
    """

    manifest: str
    allow: tuple[Literal["code", "pickle"], ...]
    reason: str
    by: str
    until: date | None = None


@dataclass(frozen=True)
class LoadingRules:
    """What holds for every version that is loaded here.

    Attributes:
        permits: of the policy.
        cache: folder for what GGUF was turned into, which may be deleted at any time; None for nowhere.
    """

    permits: tuple[Permit, ...] = ()
    cache: Path | None = None

    def options(self, version: ModelVersion, today: date) -> dict[str, Any]:
        """Return what a version's handler is told beside the options of models.yaml."""
        digest = str(version.manifest.digest)
        counting = [one for one in self.permits if one.manifest == digest and (not one.until or today <= one.until)]
        options: dict[str, Any] = {_OPTIONS[what]: True for one in counting for what in one.allow}
        if self.cache is not None and any(path.endswith(".gguf") for path in version.manifest.by_path):
            options["converted"] = str(self.cache / version.manifest.digest.hex)
        return options
