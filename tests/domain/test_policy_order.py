"""Which policy is stricter: presets in their order, and every field of a policy."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from itertools import pairwise

import pytest

from weighbridge.domain.licences import LicenceRules
from weighbridge.domain.permits import Permit
from weighbridge.domain.policy import Policy, Waiver
from weighbridge.domain.policy_order import weaknesses
from weighbridge.domain.presets import PRESETS

FLOOR = Policy(
    "house",
    ("clamav", "pickles"),
    reject_at="warning",
    rules=(("template", "reject"),),
    allow_windowed=False,
    max_database_age_days=7,
    delta=False,
    whole_every_days=7,
    deny_formats=("pickle",),
    only_weights=("safetensors",),
    required_files=("LICENSE*",),
    max_size=1000,
    licence=LicenceRules(("mit",), ("gpl-3.0",), "reject", "reject"),
)
#: A weaker value of every field but `name`.
WEAKER = {
    "required": ("clamav",),
    "reject_at": "error",
    "rules": (("template", "warn"),),
    "allow_windowed": True,
    "database": "any",
    "max_database_age_days": None,
    "delta": True,
    "whole_every_days": 8,
    "deny_formats": (),
    "only_weights": (),
    "required_files": (),
    "max_size": 1001,
    "licence": LicenceRules(("mit", "apache-2.0"), ("gpl-3.0",), "reject", "reject"),
    "waivers": (Waiver("pickle.global", "*", "trust me", "me", date(2030, 1, 1)),),
    "loading": (Permit("sha256:" + "a" * 64, ("code",), "trust me", "me"),),
}
STRICTER = {
    "required": ("clamav", "pickles", "formats"),
    "reject_at": "note",
    "max_database_age_days": 1,
    "deny_formats": ("pickle", "python"),
    "required_files": ("LICENSE*", "README.md"),
    "max_size": 10,
    "licence": LicenceRules(("mit",), ("gpl-3.0", "agpl-3.0"), "reject", "reject"),
}


def test_a_policy_is_as_strict_as_itself() -> None:
    for policy in (*PRESETS.values(), FLOOR):
        assert weaknesses(policy, policy) == ()


def test_presets_stand_in_their_order() -> None:
    for stricter, weaker in pairwise(("paranoid", "strict", "standard", "minimal", "none")):
        assert weaknesses(PRESETS[weaker], PRESETS[stricter])
        assert weaknesses(PRESETS[stricter], PRESETS[weaker]) == (), (stricter, weaker)


@pytest.mark.parametrize("field", sorted(WEAKER))
def test_every_field_counts(field: str) -> None:
    floor = replace(FLOOR, delta=field == "whole_every_days")  # Without delta scans there is nothing to be due.
    assert len(weaknesses(replace(floor, **{field: WEAKER[field]}), floor)) == 1  # type: ignore[arg-type]


def test_no_field_is_forgotten() -> None:
    not_of_decisions = {"name", "acknowledge"}  # Files are given out by the operator's policy alone.
    assert {field.name for field in fields(Policy)} - not_of_decisions == set(WEAKER)


@pytest.mark.parametrize("field", sorted(STRICTER))
def test_stricter_is_no_weakness(field: str) -> None:
    assert weaknesses(replace(FLOOR, **{field: STRICTER[field]}), FLOOR) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "licence",
    [LicenceRules((), ("gpl-3.0",), "reject", "reject"), LicenceRules(("mit",), (), "reject", "reject")],
)
def test_licences_are_held_as_lists(licence: LicenceRules) -> None:
    assert weaknesses(replace(FLOOR, licence=licence), FLOOR)
