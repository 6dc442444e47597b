"""The tables of the gate: docs/gate.md is what the code says, and a policy is shown as it judges."""

from dataclasses import replace

from tests.views.gate_page import PATH, page
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.rules import RULES
from weighbridge.views.gate_tables import demands, effect_text, rule_rows


def test_the_page_is_what_the_code_says() -> None:
    assert PATH.read_text() == page(), "run `python -m tests.views.gate_page`"


def test_every_rule_has_a_row_with_its_effect_under_every_preset() -> None:
    rows = rule_rows(PRESETS)
    assert [row["rule"] for row in rows] == list(RULES)
    assert all(row["effects"].keys() == PRESETS.keys() for row in rows)


def test_a_rule_of_the_policy_changes_its_effect() -> None:
    standard = PRESETS["standard"]
    rule = RULES["code.python"]
    assert effect_text(rule, standard) == "warns"
    assert effect_text(rule, replace(standard, rules=(("code", "reject"),))) == "rejects"
    assert effect_text(rule, replace(standard, rules=(("code", "reject"), ("code.python", "ignore")))) == "is noted"
    assert effect_text(RULES["pickle.disagreement"], replace(standard, rules=(("pickle", "reject"),))) == "is noted"


def test_demands_say_what_a_policy_wants() -> None:
    assert demands(PRESETS["strict"])["virus signatures"] == "official ones, at most 7 days old"
    assert "test file" in demands(PRESETS["quick"])["virus signatures"]
    assert demands(PRESETS["none"])["must have seen all of every file"] == "no scanner"
