"""`weighbridge policy show | check`: what a policy demands, and mistakes in one, with file, line and a way out."""

import json
from pathlib import Path

import pytest

from weighbridge.cli import app
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.rules import RULES


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("preset", PRESETS)
def test_show_lists_every_rule_with_its_effect(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["policy", "show", preset, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["digest"]) == (preset, PRESETS[preset].digest)
    assert {row["rule"] for row in shown["rules"]} == RULES.keys()


def test_show_without_a_name_shows_what_an_ingest_here_uses(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["policy", "show"]) == 0
    assert capsys.readouterr().out.startswith("Policy standard")
    Path("policy.yaml").write_text("name: house\nextends: strict\n")
    assert app.run(["policy", "show"]) == 0
    assert capsys.readouterr().out.startswith("Policy house")


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("extends: standard\nrules: {pickle.unknow-global: reject}\n", 2, "'pickle.unknown-global'"),
        ("rules: {templates: reject}\n", 1, "'template'"),
        ("rules:\n  nothing.like-it: warn\n", 2, "weighbridge policy show"),
        ("waivers:\n  - {rule: licence, reason: x, by: y}\n", 2, "an area of rules"),
        ("waivers:\n  - {rule: pickle.globals, reason: x, by: y}\n", 2, "'pickle.global'"),
    ],
)
def test_check_names_a_rule_that_does_not_exist(
    text: str, line: int, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.yaml").write_text(text)
    assert app.run(["policy", "check", "mine.yaml"]) == 64
    said = "".join(capsys.readouterr().err.split("\n"))
    assert f"mine.yaml:{line}" in said
    assert hint.replace(" ", "") in said.replace(" ", "")
    assert "[key]" not in said


def test_check_accepts_a_file_that_names_rules_and_areas(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text(
        "rules: {pickle: reject, code.python: ignore}\nwaivers:\n"
        "  - {rule: pickle.global, files: '*.bin', reason: r, by: b, until: 2030-01-01}\n"
    )
    assert app.run(["policy", "check", "mine.yaml"]) == 0
    assert "valid" in capsys.readouterr().out
