"""Tests of views.terminal: what a person sees of an outcome, a check and a diagnosis, also of hostile names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from tests.views.test_markdown import DIGEST, version
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.decision import Decision, Reason
from weighbridge.intake.auditing import RegistryDifference
from weighbridge.intake.chain import Outcome
from weighbridge.intake.doctor_check import DoctorCheck
from weighbridge.intake.repairing import Repair, RepairReport
from weighbridge.store.checking import Damage, StoreCheck
from weighbridge.views.terminal import (
    SHOWN,
    card_table,
    check_table,
    decision_text,
    differences_table,
    doctor_table,
    left_out,
    report,
)

HOSTILE = "[red]a[/]\x1b[2J\u202eb\nc"
#: The same name as it is shown: markup as text, control and bidirectional characters escaped.
HARMLESS = r"[red]a[/]\x1b[2J\u202eb c"
SOUND = StoreCheck(3, 4096, (), (), (), (), ())


def seen(*parts: RenderableType, width: int = 200) -> str:
    console = Console(width=width, color_system=None, record=True, force_terminal=False, no_color=True)
    with console.capture() as capture:
        console.print(*parts, crop=False)
    return capture.get()


class TestOutcome:
    def test_verdict_card_scans_decision_and_place_are_shown(self) -> None:
        text = seen(report(Outcome(version(), unverified=("a.txt",), dropped=("b.txt: litter",))))
        for words in ("tiny 1.0.0  PASSED", "llama", "clamav", "PASSED under the policy house", "models:/tiny/1"):
            assert words in text
        assert text.index("Unverified") < text.index("a.txt") < text.index("Left out") < text.index("b.txt: litter")

    def test_lines_that_load_are_not_wrapped(self) -> None:
        known = version()
        line = "x = load(" + "a" * 300 + ")"
        published = (replace(known.published[0], load=(line,)),)
        assert f"\n{line}\n" in seen(report(Outcome(replace(known, published=published))), width=80)

    def test_a_rejected_model_is_quarantined(self) -> None:
        decision = Decision("FAILED", "house", "d", (Reason("reject", "clamav.signature", "EICAR", "a.bin"),))
        text = seen(report(Outcome(version(status="FAILED", decision=decision, published=()))))
        assert "FAILED" in text.splitlines()[1]
        assert "✗ a.bin: EICAR clamav.signature" in text
        assert "Published" not in text

    def test_many_reasons_are_counted(self) -> None:
        reasons = tuple(Reason("warn", "r", f"m{number}.") for number in range(SHOWN + 3))
        text = seen(decision_text(Decision("PASSED", "house", "d", reasons)))
        assert "… and 3 more" in text
        assert f"m{SHOWN}." not in text

    def test_many_left_out_files_are_counted(self) -> None:
        lines = [line.plain for line in left_out([f"f{number}" for number in range(SHOWN + 2)], "tiny")]
        assert (len(lines), lines[-1]) == (SHOWN + 1, "tiny: left out: 2 more")


def test_hostile_text_is_harmless_everywhere() -> None:
    card = ModelCard({"architecture": Field(HOSTILE, f"{HOSTILE}#model_type")})
    reason = Reason("reject", "a.b", HOSTILE, HOSTILE)
    text = seen(
        card_table(card),
        decision_text(Decision("FAILED", "house", "d", (reason,))),
        *left_out([HOSTILE]),
        differences_table((RegistryDifference("export", "/x", HOSTILE, HOSTILE),)),
        check_table(replace(SOUND, foreign=(HOSTILE,))),
    )
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count(HARMLESS) == 8


class TestChecks:
    def test_a_sound_store_is_one_line(self) -> None:
        assert seen(check_table(SOUND)) == "sound  3 blobs, 4.0 KiB hashed again\n"

    def test_damage_is_shown_with_its_remedy(self) -> None:
        damage = Damage(DIGEST, None, "/corrupt/x")  # type: ignore[arg-type]
        text = seen(check_table(replace(SOUND, damaged=(damage,), concerned=("tiny@1.0.0",))))
        assert f"{DIGEST} cannot be read from the disk; moved to /corrupt/x" in text
        assert "tiny@1.0.0: `weighbridge fsck --repair`" in text

    @pytest.mark.parametrize(("how", "words"), [("range", "repaired with 4.0 KiB of hf"), ("lost", "not recovered")])
    def test_each_repair_is_shown(self, how: str, words: str) -> None:
        repair = Repair(DIGEST, how, "hf", 4096)  # type: ignore[arg-type]
        done = RepairReport((repair,), ("tiny@1.0.0 in export",), ())
        text = seen(check_table(replace(SOUND, missing=(DIGEST,)), done))
        assert words in text
        assert "tiny@1.0.0 in export is repaired" in text

    def test_agreement_and_difference(self) -> None:
        assert seen(differences_table(())) == "registries and catalog agree\n"
        assert "tiny@1.0.0" in seen(
            differences_table((RegistryDifference("export", "/x", "tiny@1.0.0", "It lacks a file."),))
        )

    def test_a_diagnosis_has_the_command_that_fixes_it(self) -> None:
        text = seen(
            doctor_table(
                (DoctorCheck("git", "ok", "2.47"), DoctorCheck("clamd", "missing", "none", "apt install clamav"))
            )
        )
        first, second, third = text.splitlines()
        assert first.split() == ["✓", "git", "2.47"]
        assert second.split()[0] == "✗"
        assert "→ apt install clamav" in third
