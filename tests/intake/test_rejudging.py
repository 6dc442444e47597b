"""Every version judged again under a policy: only tried, applied, interrupted, and beside other changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.intake.shelf import DENY, WAIVER, Shelf
from weighbridge.catalog.recalls import PolicyPass, Recalls
from weighbridge.config.policy_file import load_policy
from weighbridge.intake import rejudging
from weighbridge.intake.rejudging import apply_policy, try_policy


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    with made.open() as workspace:
        for name in ("a", "b"):
            for number in ("1.0.0", "1.1.0"):
                made.put(workspace, name, number)
    return made


def test_a_policy_is_tried_without_touching_anything(shelf: Shelf) -> None:
    (shelf.folder / "next.yaml").write_text(DENY)
    with shelf.open() as workspace:
        before = workspace.catalog.audit.head()
        tried = try_policy(load_policy("next.yaml", shelf.folder), workspace)
        assert (tried.versions, tried.withdrawn, tried.reinstated, tried.applied) == (4, 4, 0, False)
        assert [(flip.name, flip.after) for flip in tried.flips] == [("a", "FAILED")] * 2 + [("b", "FAILED")] * 2
        assert {flip.reasons[0].rule for flip in tried.flips} == {"licence.denied"}
        assert workspace.catalog.audit.head() == before


def test_an_applied_policy_withdraws_and_a_waiver_reinstates(shelf: Shelf) -> None:
    shelf.policy(DENY)
    with shelf.open() as workspace:
        done = apply_policy(workspace)
        assert (done.withdrawn, done.reinstated, done.unfinished) == (4, 0, ())
        assert apply_policy(workspace).changed == 0
    assert shelf.given_out("a") == []
    shelf.policy(DENY + WAIVER)
    with shelf.open() as workspace:
        assert (apply_policy(workspace).reinstated, shelf.given_out("a")) == (4, ["1.0.0", "1.1.0"])
        default = workspace.catalog.get("a")
        assert default is not None
        assert (default.version, default.default) == ("1.1.0", True)


def test_a_model_with_a_policy_of_its_own_keeps_it(shelf: Shelf) -> None:
    shelf.policy(DENY)
    (shelf.folder / "models.yaml").write_text(
        "models:\n- {name: a, source: {mock: {org: o, model: a}}, policy: standard}\n"
    )
    with shelf.open() as workspace:
        assert {flip.name for flip in apply_policy(workspace).flips} == {"b"}


def test_a_call_that_was_killed_is_gone_on_with(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.policy(DENY)
    monkeypatch.setattr(rejudging, "_NOTED_EVERY", 1)
    noted: list[PolicyPass] = []
    note = Recalls.note_pass

    def killed(self: Recalls, policy: str, digest: str, done: PolicyPass, **ended: Any) -> None:
        note(self, policy, digest, done, **ended)
        noted.append(done)
        if len(noted) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Recalls, "note_pass", killed)
    with pytest.raises(KeyboardInterrupt), shelf.open() as workspace:
        apply_policy(workspace)
    assert (shelf.given_out("a"), shelf.given_out("b")) == ([], ["1.0.0", "1.1.0"])
    with shelf.open() as workspace:
        done = apply_policy(workspace)
        assert (done.resumed, done.versions, done.withdrawn, len(done.flips)) == (True, 4, 4, 2)
        assert apply_policy(workspace).resumed is False
    assert shelf.given_out("b") == []
