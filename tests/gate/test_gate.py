"""The gate's own set of model folders: hostile ones are rejected by the rule that is meant, harmless ones pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gate.harmless import HARMLESS
from tests.gate.hostile import HOSTILE
from tests.gate.sample import Sample
from tests.services.clamd import signatures
from weighbridge.config.settings import Settings
from weighbridge.domain.decision import Decision
from weighbridge.domain.presets import PRESETS
from weighbridge.intake.inspecting import inspect_folder
from weighbridge.intake.workspace import Workspace, open_workspace

pytestmark = pytest.mark.xdist_group("gate")
Judge = Callable[[Sample, str], Decision]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("gate")
    settings = Settings(home=folder / "home", clamav_database=signatures(folder / "signatures"))
    for name, preset in PRESETS.items():
        own = f"name: {name}\nextends: {name}\nclamav: {{database: any}}\n"
        (folder / f"{preset.name}.yaml").write_text(own)
    with open_workspace(settings, folder=folder) as found:
        yield found


@pytest.fixture
def judge(workspace: Workspace, tmp_path: Path) -> Judge:
    def run(sample: Sample, policy: str) -> Decision:
        for name, content in sample.content().items():
            path = tmp_path / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return inspect_folder(tmp_path / "model", workspace, f"{policy}.yaml").decision

    return run


def reasons(decision: Decision) -> str:
    return "\n".join(f"{reason.effect} {reason.rule} {reason.path}: {reason.message}" for reason in decision.reasons)


@pytest.mark.parametrize("sample", HOSTILE, ids=lambda sample: sample.name)
def test_hostile_ones_are_rejected_by_the_rule_that_is_meant(judge: Judge, sample: Sample) -> None:
    decision = judge(sample, "standard")
    assert decision.verdict == "FAILED", reasons(decision)
    rejecting = {reason.rule for reason in decision.reasons if reason.effect == "reject"}
    assert rejecting & set(sample.rules), reasons(decision)


@pytest.mark.parametrize("sample", HARMLESS, ids=lambda sample: sample.name)
def test_harmless_ones_pass(judge: Judge, sample: Sample) -> None:
    decision = judge(sample, "standard")
    assert decision.verdict == "PASSED", reasons(decision)


def test_names_are_unique() -> None:
    names = [sample.name for sample in (*HOSTILE, *HARMLESS)]
    assert len(names) == len(set(names))
