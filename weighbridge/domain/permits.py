"""How versions are loaded on this machine: which may unpickle or run their own code, where converted weights are kept.

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
    """A permission to load more than the tensors of one version, with author, reason and last day.

    Attributes:
        manifest: digest of the version's manifest, `sha256:…`: the permit holds for exactly these bytes.
        allow: `pickle`: weights in a pickle may be loaded, as tensors only; `code`: its own Python files may run.
        reason: why it was given.
        by: its author.
        until: the last day on which it counts, or None.
    """

    manifest: str
    allow: tuple[Literal["code", "pickle"], ...]
    reason: str
    by: str
    until: date | None = None


@dataclass(frozen=True)
class LoadingRules:
    """Rules for every version that is loaded on this machine.

    Attributes:
        permits: those of the policy.
        cache: folder for weights converted from GGUF, which may be deleted at any time; None to keep none.
    """

    permits: tuple[Permit, ...] = ()
    cache: Path | None = None

    def options(self, version: ModelVersion, today: date) -> dict[str, Any]:
        """Return the options that a version's handler gets in addition to those of models.yaml."""
        digest = str(version.manifest.digest)
        counting = [one for one in self.permits if one.manifest == digest and (not one.until or today <= one.until)]
        options: dict[str, Any] = {_OPTIONS[what]: True for one in counting for what in one.allow}
        if self.cache is not None and any(path.endswith(".gguf") for path in version.manifest.by_path):
            options["converted"] = str(self.cache / version.manifest.digest.hex)
        return options
