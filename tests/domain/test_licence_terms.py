"""What a licence allows in all, who says so, and whether a use is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from weighbridge.domain.licence_table import LICENCES
from weighbridge.domain.licence_terms import (
    PlannedUse,
    Restrictions,
    StatedLicence,
    disagreements,
    is_restricted,
    judge,
    restrictions_of,
    statements_of,
    unknown_names,
    unverified_names,
)


def stated(read: str = "", declared: str = "", **restrictions: Any) -> StatedLicence:
    return StatedLicence(read, "README.md#license" if read else "", declared, restrictions, "key:ci")


@pytest.mark.parametrize(
    ("name", "commercial", "derivatives", "limit"),
    [
        ("Apache-2.0", True, True, None),
        ("MIT", True, True, None),
        ("Llama-3.1-Community", True, True, 700_000_000),
        ("Mistral-Research", False, False, None),
        ("OpenAI-TOS", True, False, None),
    ],
)
def test_the_types_of_the_specification(name: str, commercial: bool, derivatives: bool, limit: int | None) -> None:
    found = restrictions_of(stated(name))
    assert (found.commercial_use, found.derivatives, found.monthly_active_users_limit) == (
        commercial, derivatives, limit,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "commercial", "derivatives", "limit"),
    [
        ("MIT OR CC-BY-NC-4.0", True, True, None),
        ("MIT AND CC-BY-NC-4.0", False, True, None),
        ("llama3.1 AND Apache-2.0", True, True, 700_000_000),
        ("llama3.1 OR Apache-2.0", True, True, None),
        ("our-terms", None, None, None),
        ("our-terms OR CC-BY-NC-4.0", None, None, None),
        ("our-terms AND CC-BY-NC-4.0", False, None, None),
        ("", None, None, None),
    ],
)
def test_choices_and_several_licences(
    expression: str, commercial: bool | None, derivatives: bool | None, limit: int | None
) -> None:
    found = restrictions_of(stated(expression))
    assert (found.commercial_use, found.derivatives, found.monthly_active_users_limit) == (
        commercial, derivatives, limit,
    )  # fmt: skip


def test_a_declaration_fills_what_is_not_known_and_nothing_else() -> None:
    said = {"commercial_use": True, "derivatives": False, "monthly_active_users_limit": 1000}
    assert restrictions_of(stated("our-terms", **said)) == Restrictions(True, False, 1000)
    assert restrictions_of(stated("CC-BY-NC-4.0", **said)).commercial_use is False
    assert restrictions_of(stated("", commercial_use="yes")) == Restrictions()
    assert list(disagreements(stated("Apache-2.0", **said))) == [
        ("derivatives", False, True),
        ("monthly_active_users_limit", 1000, None),
    ]
    assert list(disagreements(stated("our-terms", **said))) == []
    assert list(disagreements(stated("llama3.1", monthly_active_users_limit=700_000_000))) == []


def test_every_statement_has_its_source() -> None:
    said = statements_of(stated("llama3.1", commercial_use=True))
    assert [(one.about, one.value, one.licence, one.clause, one.origin) for one in said] == [
        ("commercial_use", True, "llama3.1", "§1(a), §2", "licence"),
        ("derivatives", True, "llama3.1", "§1(a)", "licence"),
        ("monthly_active_users_limit", 700_000_000, "llama3.1", "§2", "licence"),
        ("commercial_use", True, "", "", "declaration"),
    ]
    assert unknown_names(stated("our-terms AND MIT")) == ("our-terms",)
    assert statements_of(stated("our-terms")) == ()


def test_which_licences_restrict_the_use() -> None:
    free = ("MIT", "Apache-2.0 OR llama3.1", "GPL-3.0-only", "CC-BY-4.0", "CC0-1.0")
    free += ("AGPL-3.0-only", "AGPL-3.0-or-later", "OSL-3.0", "EUPL-1.2", "MPL-2.0", "ODbL-1.0", "CDLA-Sharing-1.0")
    limits = ("llama3.1", "MIT AND gemma", "CC-BY-NC-4.0", "mrl", "openrail", "CC-BY-ND-4.0", "our-terms", "")
    assert [name for name in free if is_restricted(stated(name))] == []
    assert [name for name in limits if not is_restricted(stated(name))] == []


@pytest.mark.parametrize(
    ("licence", "use", "ruling"),
    [
        (stated("Apache-2.0"), PlannedUse("commercial"), "allowed"),
        (stated("Apache-2.0"), PlannedUse("commercial", 10**9, derivative=True), "allowed"),
        (stated("Apache-2.0"), PlannedUse("commercial", redistribution=True), "allowed_with_conditions"),
        (stated("CC0-1.0"), PlannedUse("commercial", 5, True, True), "allowed"),
        (stated("MIT OR GPL-3.0-only"), PlannedUse("commercial"), "allowed"),
        (stated("CC-BY-NC-4.0"), PlannedUse("commercial"), "refused"),
        (stated("CC-BY-NC-4.0"), PlannedUse("research"), "allowed"),
        (stated("CC-BY-NC-4.0 OR MIT"), PlannedUse("commercial"), "allowed"),
        (stated("CC-BY-NC-4.0 AND MIT"), PlannedUse("commercial"), "refused"),
        (stated("CC-BY-ND-4.0"), PlannedUse("commercial", derivative=True), "allowed_with_conditions"),
        (stated("CC-BY-ND-4.0"), PlannedUse("commercial", derivative=True, redistribution=True), "refused"),
        (stated("llama3.1"), PlannedUse("commercial", 700_000_000), "allowed_with_conditions"),
        (stated("llama3.1"), PlannedUse("commercial", 700_000_001), "refused"),
        (stated("llama3.1"), PlannedUse("commercial"), "allowed_with_conditions"),
        (stated("mrl"), PlannedUse("commercial"), "refused"),
        (stated("mrl"), PlannedUse("non-commercial"), "refused"),
        (stated("mrl"), PlannedUse("research"), "allowed_with_conditions"),
        (stated("flux-1-dev-non-commercial-license"), PlannedUse("non-commercial"), "allowed_with_conditions"),
        (stated("CC-BY-ND-3.0"), PlannedUse("commercial", derivative=True), "allowed_with_conditions"),
        (stated("openai-tos"), PlannedUse("commercial"), "allowed_with_conditions"),
        (stated("mrl"), PlannedUse("research", derivative=True, redistribution=True), "allowed_with_conditions"),
        (stated("mrl"), PlannedUse("commercial", derivative=True, redistribution=True), "refused"),
        (stated("AGPL-3.0-only"), PlannedUse("commercial"), "allowed"),
        (stated("AGPL-3.0-only"), PlannedUse("commercial", derivative=True), "allowed_with_conditions"),
        (stated("OSL-3.0"), PlannedUse("commercial"), "allowed_with_conditions"),
        (stated("MS-PL"), PlannedUse("commercial"), "allowed"),
        (stated("MS-PL"), PlannedUse("commercial", redistribution=True), "allowed_with_conditions"),
        (stated("AFL-3.0"), PlannedUse("commercial", derivative=True, redistribution=True), "allowed_with_conditions"),
        (stated("MIT WITH Commons-Clause"), PlannedUse("commercial"), "allowed_with_conditions"),
        (stated("CC-BY-NC-4.0 WITH Commons-Clause"), PlannedUse("commercial"), "refused"),
        (stated("our-terms"), PlannedUse("research"), "allowed_with_conditions"),
        (stated(""), PlannedUse("research"), "allowed_with_conditions"),
        (stated("", commercial_use=True, derivatives=True), PlannedUse("commercial"), "allowed_with_conditions"),
        (stated("our-terms", commercial_use=False), PlannedUse("commercial"), "refused"),
        (stated("our-terms", monthly_active_users_limit=10), PlannedUse("commercial", 11), "refused"),
        (stated("Apache-2.0", commercial_use=False), PlannedUse("commercial"), "allowed_with_conditions"),
        (stated("Apache-2.0", commercial_use=False), PlannedUse("research"), "allowed"),
        (stated("", "MIT", monthly_active_users_limit=10), PlannedUse("commercial", 11), "allowed_with_conditions"),
        (stated("", "MIT"), PlannedUse("commercial"), "allowed"),
        (stated("MIT", "apache-2.0"), PlannedUse("commercial"), "allowed_with_conditions"),
        (stated("CC-BY-NC-4.0", "MIT"), PlannedUse("commercial"), "refused"),
        (stated("MIT OR Apache-2.0", "The MIT License"), PlannedUse("commercial"), "allowed"),
    ],
)
def test_a_use_is_judged(licence: StatedLicence, use: PlannedUse, ruling: str) -> None:
    found = judge(licence, use)
    assert found.ruling == ruling
    assert bool(found.refusals) == (ruling == "refused")
    assert bool(found.conditions) or ruling != "allowed_with_conditions"


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("llama2", ["Acceptable Use Policy", "improve other language models", "700,000,000"]),
        ("llama3", ["Acceptable Use Policy", "improve", "“Built with Meta Llama 3”", "700,000,000"]),
        ("llama3.1", ["Acceptable Use Policy", "“Built with Llama”", "700,000,000"]),
        ("llama3.2", ["Acceptable Use Policy", "“Built with Llama”", "European Union", "700,000,000"]),
        ("gemma", ["Prohibited Use Policy", "as a service"]),
        ("creativeml-openrail-m", ["use restrictions of its attachment", "as a service"]),
        ("mrl", ["no commercial purpose", "daily work is no research"]),
        ("CC-BY-ND-3.0", ["not even for yourself"]),
        ("EUPL-1.2", ["over a network"]),
    ],
)
def test_what_counts_without_passing_files_on(licence: str, words: list[str]) -> None:
    found = judge(stated(licence), PlannedUse("research"))
    assert len(found.conditions) == len(words)
    assert [word for word, one in zip(words, found.conditions, strict=True) if word not in one.text] == []


def test_a_declaration_forbids_a_use_once_however_many_licences_are_not_known() -> None:
    found = judge(stated("our-terms AND their-terms", commercial_use=False), PlannedUse("commercial"))
    assert [one.text for one in found.refusals] == ["The licence forbids commercial use, as key:ci declared."]


def test_what_has_no_clause_is_unverified() -> None:
    assert unverified_names(stated("apple-amlr OR MIT")) == ("apple-amlr",)
    assert {one.verified for one in statements_of(stated("MIT", commercial_use=True))} == {True, False}
    five = ("Apache-2.0", "MIT", "Llama-3.1-Community", "Mistral-Research", "OpenAI-TOS")
    read = ("AFL-3.0", "ECL-2.0", "MS-PL", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0")
    assert [name for name in (*five, *read) if unverified_names(stated(name))] == []


def test_no_clause_is_named_that_does_not_say_so() -> None:
    assert LICENCES["mrl"].derivatives_clause == "§3.2, §9"
    research = judge(stated("mrl"), PlannedUse("research", derivative=True, redistribution=True))
    assert ("research alone" in research.conditions[-1].text, research.conditions[-1].clause) == (True, "§2.3")
    assert LICENCES["cc-by-nc-3.0"].commercial_clause == "§4"
    assert LICENCES["cc-by-nc-4.0"].commercial_clause == "§2(a)(1)"
    name = {one.text for one in LICENCES["llama3"].terms if one.when == "derivatives"}
    assert name == {"Begin the name of a changed model with “Llama 3”."}


def test_a_refusal_says_why_and_where_the_licence_says_so() -> None:
    found = judge(stated("llama3.1"), PlannedUse("commercial", 800_000_000))
    assert [(one.text, one.licence, one.clause) for one in found.refusals] == [
        ("The licence llama3.1 is for up to 700,000,000 users a month, and 800,000,000 are planned.", "llama3.1", "§2")
    ]
    assert judge(stated("MIT OR CC-BY-NC-4.0"), PlannedUse("commercial")).under == ("MIT",)


@pytest.mark.parametrize("name", LICENCES)
def test_no_licence_allows_what_its_own_line_forbids(name: str) -> None:
    licence = LICENCES[name]
    everything = judge(stated(name), PlannedUse("commercial", 10**12, derivative=True, redistribution=True))
    forbids = not licence.commercial or not licence.derivatives or licence.monthly_users is not None
    assert (everything.ruling == "refused") == forbids
    assert licence.title
