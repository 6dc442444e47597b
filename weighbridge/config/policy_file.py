"""policy.yaml: the rules of a gate in a file. It extends a preset; fields that it lacks are those of the preset."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from weighbridge.config.yaml_file import read_yaml
from weighbridge.domain.acknowledgements import AcknowledgeFirst
from weighbridge.domain.licences import LicenceRules
from weighbridge.domain.permits import Permit
from weighbridge.domain.policy import Policy, Waiver, validate
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.rules import RULES, nearest, rules_below
from weighbridge.errors import InvalidConfiguration

Effect = Literal["reject", "warn", "ignore"]


def _rule_or_area(name: str) -> str:
    """Return the name of a rule or an area of rules; anything else would never match, so it is refused."""
    if not rules_below(name):
        raise ValueError(f"there is no rule {name!r}{_hint(name)}")
    return name


def _rule(name: str) -> str:
    """Return the name of one rule."""
    if name not in RULES:
        areas = ": it is an area of rules, and a waiver names one rule" if rules_below(name) else _hint(name)
        raise ValueError(f"there is no rule {name!r}{areas}")
    return name


def _hint(name: str) -> str:
    near = nearest(name)
    return (
        f", did you mean {near!r}? `weighbridge policy show` lists them"
        if near
        else ": `weighbridge policy show` lists them"
    )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Licence(_Strict):
    allow: list[str] = []
    deny: list[str] = []
    unknown: Effect = "warn"
    non_commercial: Effect = "warn"
    acknowledge: AcknowledgeFirst = "never"


class _ClamAV(_Strict):
    database: Literal["official", "any"] | None = None
    max_database_age_days: Annotated[int, Field(ge=0)] | None = None
    allow_windowed: bool | None = None
    delta: bool | None = None
    whole_every_days: Annotated[int, Field(ge=0)] | None = None


class _Waiver(_Strict):
    rule: Annotated[str, AfterValidator(_rule)]
    files: str = "*"
    reason: Annotated[str, Field(min_length=1)]
    by: Annotated[str, Field(min_length=1)]
    until: date | None = None


class _Permit(_Strict):
    manifest: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]
    allow: Annotated[list[Literal["code", "pickle"]], Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    by: Annotated[str, Field(min_length=1)]
    until: date | None = None


class PolicyFile(_Strict):
    """The content of policy.yaml; docs/formats.md."""

    name: str = ""
    extends: Literal["paranoid", "strict", "standard", "minimal", "quick", "none"] = "standard"
    required: list[Literal["archives", "clamav", "formats", "pickles"]] | None = None
    reject_at: Literal["note", "warning", "error"] | None = None
    rules: dict[Annotated[str, AfterValidator(_rule_or_area)], Effect] = {}
    clamav: _ClamAV = Field(default_factory=_ClamAV)
    deny_formats: list[str] | None = None
    only_weights: list[str] | None = None
    required_files: list[str] | None = None
    max_size: Annotated[int, Field(ge=0)] | None = None
    licence: _Licence | None = None
    waivers: list[_Waiver] = []
    loading: list[_Permit] = []

    def policy(self, default_name: str) -> Policy:
        """Return the policy of the file."""
        preset = PRESETS[self.extends]
        said: dict[str, Any] = {
            name: tuple(value)
            for name in ("required", "deny_formats", "only_weights", "required_files")
            if (value := getattr(self, name)) is not None
        }
        said |= self.clamav.model_dump(exclude_none=True)
        if self.reject_at:
            said["reject_at"] = self.reject_at
        if self.max_size is not None:
            said["max_size"] = self.max_size
        if self.licence:
            licence = self.licence
            said["licence"] = LicenceRules(
                tuple(licence.allow), tuple(licence.deny), licence.unknown, licence.non_commercial
            )
            said["acknowledge"] = licence.acknowledge
        return replace(
            preset,
            name=self.name or default_name,
            rules=tuple(sorted((dict(preset.rules) | self.rules).items())),
            waivers=tuple(Waiver(w.rule, w.files, w.reason, w.by, w.until) for w in self.waivers),
            loading=tuple(Permit(p.manifest, tuple(p.allow), p.reason, p.by, p.until) for p in self.loading),
            **said,
        )


def load_policy(wanted: str, folder: Path) -> Policy:
    """Return a policy by preset name or file; empty means policy.yaml in `folder`, else the preset standard.

    Raises:
        InvalidConfiguration: neither a preset nor a readable file, or a policy that requires nothing.
    """
    path = _path(wanted, folder)
    if path is None:
        return PRESETS[wanted or "standard"]
    if not path.exists():
        presets = ", ".join(PRESETS)
        raise InvalidConfiguration(
            f"“{wanted}” is neither a policy preset nor a file.", f"Presets: {presets}; or give the path of a file."
        )
    return _read(path)


def policy_state(wanted: str, folder: Path) -> Hashable:
    """Return a value that is another one whenever `load_policy` may return another policy; no file is read for it."""
    path = _path(wanted, folder)
    try:
        state = path.stat() if path is not None else None
    except OSError:
        state = None
    return state and (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _path(wanted: str, folder: Path) -> Path | None:
    """Return the file that a policy is read from, or None for a preset."""
    if not wanted:
        default = folder / "policy.yaml"
        return default if default.exists() else None
    if wanted in PRESETS:
        return None
    path = Path(wanted).expanduser()
    return path if path.is_absolute() else folder / path


def _read(path: Path) -> Policy:
    return validate(read_yaml(path, PolicyFile).policy(path.stem))
