"""Which of two policies is stricter, for comparing a policy with a gate's floor. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from weighbridge.domain.policy import Effect, Policy, effect_of
from weighbridge.domain.report import Level
from weighbridge.domain.rules import RULES

_EFFECTS: dict[Effect, int] = {"ignore": 0, "warn": 1, "reject": 2}


def weaknesses(policy: Policy, floor: Policy) -> tuple[str, ...]:
    """Return what a policy lets in that `floor` does not, one phrase each; nothing where it is at least as strict.

    Whatever passes under a policy without weaknesses passes under the floor as well.
    """
    return tuple(_weaknesses(policy, floor))


def _weaknesses(policy: Policy, floor: Policy) -> Iterator[str]:
    if missing := set(floor.required) - set(policy.required):
        yield f"it does not require {_listed(missing)}"
    if weaker := _weaker_rules(policy, floor):
        yield f"it is milder on {_listed(weaker)}"
    if policy.allow_windowed and not floor.allow_windowed:
        yield "it takes files that were read in windows"
    yield from _signatures(policy, floor)
    yield from _files(policy, floor)
    yield from _licences(policy, floor)
    if set(policy.waivers) - set(floor.waivers):
        yield "it has waivers of its own"
    if set(policy.loading) - set(floor.loading):
        yield "it has permits to load of its own"


def _weaker_rules(policy: Policy, floor: Policy) -> set[str]:
    """Return the rules of which the floor rejects a finding, at some level it can have, and the policy does not."""
    levels: tuple[Level, ...] = get_args(Level)
    return {
        rule.id
        for rule in RULES.values()
        for level in levels
        if rule.level == "policy" or levels.index(level) >= levels.index(rule.level)
        if effect_of(rule.id, level, policy) != "reject" == effect_of(rule.id, level, floor)
    }


def _signatures(policy: Policy, floor: Policy) -> Iterator[str]:
    if policy.database == "any" and floor.database == "official":
        yield "it does not ask for official signatures"
    if _beyond(policy.max_database_age_days, floor.max_database_age_days):
        yield "it takes older signatures"
    if policy.delta and not floor.delta:
        yield "it takes scans for added signatures only"
    elif policy.delta and _beyond(policy.whole_every_days, floor.whole_every_days):
        yield "it asks for scans with all signatures less often"


def _files(policy: Policy, floor: Policy) -> Iterator[str]:
    if missing := set(floor.deny_formats) - set(policy.deny_formats):
        yield f"it lets the formats {_listed(missing)} in"
    if floor.only_weights and not (policy.only_weights and set(policy.only_weights) <= set(floor.only_weights)):
        yield f"it takes other weights than {_listed(set(floor.only_weights))}"
    if missing := set(floor.required_files) - set(policy.required_files):
        yield f"it does not ask for {_listed(missing)}"
    if _beyond(policy.max_size, floor.max_size):
        yield "it takes larger models"


def _licences(policy: Policy, floor: Policy) -> Iterator[str]:
    mine, wanted = policy.licence, floor.licence
    if wanted.allow and not (mine.allow and set(mine.allow) <= set(wanted.allow)):
        yield "it lets other licences in"
    if missing := set(wanted.deny) - set(mine.deny):
        yield f"it does not deny the licences {_listed(missing)}"
    if _EFFECTS[mine.unknown] < _EFFECTS[wanted.unknown]:
        yield "it is milder on unknown licences"
    if _EFFECTS[mine.non_commercial] < _EFFECTS[wanted.non_commercial]:
        yield "it is milder on licences that forbid earning money"


def _beyond(value: int | None, limit: int | None) -> bool:
    return limit is not None and (value is None or value > limit)


def _listed(names: set[str]) -> str:
    some = sorted(names)[:4]
    return ", ".join(some) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
