"""A policy: the rules of a gate as data. Not here: judging by them (domain.gate), reading policy.yaml (policy_file)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Literal

from weighbridge.domain.acknowledgements import AcknowledgeFirst
from weighbridge.domain.licences import LicenceRules
from weighbridge.domain.permits import Permit
from weighbridge.domain.report import Level
from weighbridge.errors import InvalidConfiguration

_LEVELS: dict[Level, int] = {"note": 0, "warning": 1, "error": 2}
Effect = Literal["reject", "warn", "ignore"]


@dataclass(frozen=True)
class Waiver:
    """An exception to one rule for some files, with author, reason and expiry date.

    Attributes:
        rule: the rule waived, such as `pickle.unknown-global` or `licence`.
        files: path pattern, or the `sha256:…` of a single blob.
        reason: why it was given.
        by: its author.
        until: the last day on which it counts, or None.
    """

    rule: str
    files: str
    reason: str
    by: str
    until: date | None = None


@dataclass(frozen=True)
class Policy:
    """The rules of one gate.

    Attributes:
        name: preset or the user's name for it.
        required: scanners that must have completed a report on every file.
        reject_at: findings of this level and above reject; the ones below warn.
        rules: effect by finding rule or its prefix (`template` stands for `template.*`), before `reject_at` counts.
        allow_windowed: whether a file read in overlapping windows counts as read.
        database: the ClamAV signatures required: `official`, or `any` (even a test-only database).
        max_database_age_days: oldest signatures accepted, or None.
        delta: whether a scan for added signatures counts for a file that was clean under the ones before.
        whole_every_days: the age of the signatures of a file's last scan with all of them, at most, or None.
        deny_formats: file formats that reject (`pickle`, `python`, …).
        only_weights: weights may only be of these formats, or empty for any.
        required_files: patterns of which each must match a file.
        max_size: bytes a model may have, or None.
        licence: which licences are accepted.
        waivers: exceptions.
        loading: versions of which more than tensors may be loaded; not part of any decision.
        acknowledge: before files of which models are given out, a person has to acknowledge the licence; not part of
            any decision, and the operator's policy counts for every version.
    """

    name: str
    required: tuple[str, ...]
    reject_at: Level = "error"
    rules: tuple[tuple[str, Effect], ...] = ()
    allow_windowed: bool = True
    database: Literal["official", "any"] = "official"
    max_database_age_days: int | None = None
    delta: bool = True
    whole_every_days: int | None = 30
    deny_formats: tuple[str, ...] = ()
    only_weights: tuple[str, ...] = ()
    required_files: tuple[str, ...] = ()
    max_size: int | None = None
    licence: LicenceRules = field(default_factory=LicenceRules)
    waivers: tuple[Waiver, ...] = ()
    loading: tuple[Permit, ...] = ()
    acknowledge: AcknowledgeFirst = "never"

    @property
    def digest(self) -> str:
        """sha256 of the rules, so that a decision names exactly what it was made under."""
        rules = asdict(replace(self, loading=()))
        del rules["loading"], rules["acknowledge"]
        return hashlib.sha256(json.dumps(rules, sort_keys=True, default=str).encode()).hexdigest()


def effect_of(rule: str, level: Level, policy: Policy) -> Effect:
    """Return what a finding leads to under a policy.

    1. The most specific entry of the policy's rules counts. One that names the rule itself counts at every level; one
       that names its area (`pickle`) counts for warnings and errors only.
    2. Otherwise the level counts: from `reject_at` on it rejects, a warning below warns, a note does nothing.
    """
    matching = {
        name: effect
        for name, effect in policy.rules
        if rule == name or (level != "note" and rule.startswith(f"{name}."))
    }
    if matching:
        return matching[max(matching, key=len)]
    if _LEVELS[level] >= _LEVELS[policy.reject_at]:
        return "reject"
    return "warn" if level == "warning" else "ignore"


def validate(policy: Policy) -> Policy:
    """Return the policy unchanged when it is valid.

    Raises:
        InvalidConfiguration: it requires no scanner and is not the preset `none`: an empty gate is a mistake.
    """
    if not policy.required and policy.name != "none":
        raise InvalidConfiguration(
            f"The policy {policy.name!r} requires no scanner, so it would let everything in.",
            "Name scanners under `required`, extend a preset, or choose the preset none on purpose.",
        )
    return policy
