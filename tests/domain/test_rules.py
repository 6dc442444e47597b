"""The table of rules: every id that is used stands in it, every id in it is used, and each says what it means."""

import re
from pathlib import Path

import pytest

from weighbridge.domain.rules import RULES, Rule, capabilities, nearest, rules_below
from weighbridge.domain.webhooks import EVENTS

ROOT = Path(__file__).parents[2] / "weighbridge"
AREAS = {rule.partition(".")[0] for rule in RULES}
#: Texts of the shape of an id that are names of files or keys.
NAMES = {
    *("model.onnx", "model.safetensors", "model.gguf", "model.bin", "model.sig"),
    *("config.json", "files.json", "template.name"),
}


def _used() -> set[str]:
    """Return every text of the shape of an id where findings and reasons are made."""
    found: set[str] = set()
    for folder in ("content", "scanners", "domain"):
        for path in (ROOT / folder).rglob("*.py"):
            if "rules" not in path.parts and path.name != "presets.py":
                found |= set(re.findall(r'"([a-z][a-z0-9]*(?:\.[a-z_-]+)+|coverage)"', path.read_text()))
    return {name for name in found if name.partition(".")[0] in AREAS} - NAMES - set(EVENTS)


def test_every_id_that_is_used_is_a_rule() -> None:
    files = {name for name in _used() if re.search(r"\.(json|yaml|py|bin|onnx|gguf|safetensors|pkl|txt|h5)$", name)}
    assert _used() - files - RULES.keys() == set()


def test_every_rule_is_used() -> None:
    assert RULES.keys() - _used() == set()


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_every_rule_says_what_it_means(rule: Rule) -> None:
    assert rule.meaning.endswith(".")
    assert rule.meaning[0].isupper()
    assert rule.example
    assert not rule.example.endswith(".")
    assert rule.id in rule.waiver


def test_ids_are_unique() -> None:
    names = re.findall(
        r'Rule\(\s*"([^"]+)"', "".join(path.read_text() for path in (ROOT / "domain/rules").glob("*.py"))
    )
    assert len(names) == len(set(names)) == len(RULES)


def test_an_area_stands_for_its_rules_and_a_mistake_has_a_nearest_name() -> None:
    assert {rule.id for rule in rules_below("pickle")} == {name for name in RULES if name.startswith("pickle.")}
    assert [rule.id for rule in rules_below("pickle.global")] == ["pickle.global"]
    assert rules_below("pickl") == []
    assert nearest("pickle.globals") == "pickle.global"
    assert nearest("templates") == "template"
    assert nearest("nothing like any of them") == ""


def test_capabilities_are_said_once_worst_first() -> None:
    found = capabilities(["index.unsafe-path", "config.remote-code", "pickle.global", "pickle.global", "no.rule"])
    assert len(found) == 3
    assert found[0].startswith("runs")
    assert found[-1] == "reads a file outside the model"
