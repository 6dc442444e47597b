from dataclasses import replace
from pathlib import Path

import pytest

from weighbridge.config.policy_file import load_policy, policy_state
from weighbridge.domain.presets import PRESETS
from weighbridge.errors import InvalidConfiguration


def test_nothing_said_means_standard(tmp_path: Path) -> None:
    assert load_policy("", tmp_path) == PRESETS["standard"]


def test_the_folders_policy_is_taken(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "name: house\nextends: strict\nclamav: {max_database_age_days: 3}\nrules: {template: warn}\n"
        "licence: {allow: [apache-2.0]}\n"
        "waivers: [{rule: licence.denied, reason: bought, by: Ada, until: 2027-01-01}]\n"
    )
    policy = load_policy("", tmp_path)
    assert policy.name == "house"
    assert policy.required == PRESETS["strict"].required
    assert policy.max_database_age_days == 3
    assert dict(policy.rules)["template"] == "warn"
    assert dict(policy.rules)["pickle"] == "reject"
    assert policy.licence.allow == ("apache-2.0",)
    assert policy.waivers[0].by == "Ada"
    assert policy.digest != PRESETS["strict"].digest


def test_another_policy_has_another_state(tmp_path: Path) -> None:
    for wanted in ("", "mine.yaml"):
        path, states = tmp_path / (wanted or "policy.yaml"), [policy_state(wanted, tmp_path)]
        for text in ("extends: strict\n", "extends: minimal\n"):
            path.write_text(text)
            states += [policy_state(wanted, tmp_path)] * 2
        replaced = tmp_path / "new.yaml"
        replaced.write_text("extends: minimal\n")
        replaced.rename(path)
        states.append(policy_state(wanted, tmp_path))
        path.unlink()
        states.append(policy_state(wanted, tmp_path))
        assert [states.index(state) for state in states] == [0, 1, 1, 3, 3, 5, 0]
    assert policy_state("strict", tmp_path) == policy_state("strict", tmp_path / "other")


def test_what_has_to_be_acknowledged_changes_no_decision(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: strict\nlicence: {unknown: reject, acknowledge: restricted}\n")
    policy = load_policy("mine.yaml", tmp_path)
    assert policy.acknowledge == "restricted"
    assert replace(policy, name="strict").digest == PRESETS["strict"].digest


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("name: x\nrequired: []\n", "requires no scanner"),
        ("name: x\nrequire: [clamav]\n", "2: require:"),
        ("extends: lax\n", "1: extends:"),
        ("name: x\nlicence: {acknowledge: all}\n", r"2: licence\.acknowledge:"),
        ("name: x\nwaivers:\n  - {rule: code.python, reason: b}\n", r"3: waivers\.0\.by"),
        ("a: [\n", "is not valid YAML"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InvalidConfiguration, match=place):
        load_policy("mine.yaml", tmp_path)


def test_neither_preset_nor_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="paranoid"):
        load_policy("lenient", tmp_path)


@pytest.mark.parametrize("path", sorted(Path("deployments").rglob("policy*.yaml")), ids=str)
def test_shipped_policies_are_valid(path: Path) -> None:
    assert load_policy(str(path.absolute()), Path()).required
