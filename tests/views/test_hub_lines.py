"""Lines of the Hub's models in a terminal: the specification's text, in the colour of what stands before the files."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from rich.console import Console

from tests.hub_entries import LARGE, LINES, LLAMA, NOW, QWEN, listed
from weighbridge.domain.hub_models import Gated, HubEntry, HubModel, HubPass, HubState, PassKind
from weighbridge.intake.hub_access import Access, AccessState
from weighbridge.intake.hub_answers import CATALOGUE, HubDetails, HubFinding
from weighbridge.intake.hub_standing import ABSENT, Here, HereState
from weighbridge.views import hub_lines

PASS = HubPass(1, PassKind.FULL, "", NOW, NOW, models=3)
STATE = HubState(3, 0, full=PASS)


def finding(model: HubModel, here: Here = ABSENT, *, curated: bool = False) -> HubFinding:
    return HubFinding(HubEntry(model, NOW), here, f"https://huggingface.co/{model.id}", curated)


def drawn(found: HubFinding, *, colours: bool = False, icons: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=colours, color_system="standard" if colours else None, width=80)
    console.print(hub_lines.model_line(found, icons=icons), crop=False, soft_wrap=True)
    return file.getvalue().rstrip("\n")


def test_the_lines_of_the_specification() -> None:
    assert tuple(drawn(finding(model)) for model in (LLAMA, LARGE, QWEN)) == LINES


@pytest.mark.parametrize(("model", "code"), [(QWEN, "32"), (LLAMA, "33"), (LARGE, "31")])
def test_green_is_public_yellow_asks_for_terms_red_for_approval(model: HubModel, code: str) -> None:
    assert drawn(finding(model), colours=True).startswith(f"\x1b[{code}m{model.id}")


def test_what_is_here_is_said_behind_the_line() -> None:
    passed = Here(HereState.PASSED, "qwen", "1.0.0")
    assert drawn(finding(QWEN, passed, curated=True)) == f"{LINES[2]}  passed: qwen@1.0.0  in models.yaml"


def test_a_long_line_stays_one_line() -> None:
    assert "\n" not in drawn(finding(listed("organisation/" + "x" * 120)))


def test_a_hostile_name_moves_no_cursor() -> None:
    assert drawn(finding(listed("org/a\x1b[2J\rb\nc"))).startswith("org/a\\x1b[2J b c")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (HubState(0, 0), "is empty: `weighbridge hub refresh` fills it"),
        (HubState(7, 0), "only the 7 models that somebody asked for"),
        (HubState(7, 0, running=PASS), "its first refresh has brought 7 models so far"),
        (HubState(0, 0, running=PASS), "is empty: `weighbridge hub refresh` fills it"),
        (STATE, "3 models, as of 2026-11-28 12:00 UTC, 21 hours ago."),
        (HubState(3, 0, partial=PASS), "3 models (a part of the Hub), as of"),
    ],
)
def test_how_old_the_catalogue_is(state: HubState, words: str) -> None:
    assert words in hub_lines.age_line(state, NOW + timedelta(hours=21))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (60, "1 minute ago"),
        (3600, "1 hour ago"),
        (47 * 3600, "47 hours ago"),
        (2 * 86400, "2 days ago"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    assert hub_lines.age_text(seconds) == text


def test_the_details_name_the_way_in() -> None:
    page = f"https://huggingface.co/{LARGE.id}"
    access = Access.of(AccessState.DENIED, LARGE, page, NOW)
    file = io.StringIO()
    found = HubDetails(finding(LARGE), access, (), CATALOGUE, "", STATE)
    Console(file=file, width=80).print(hub_lines.details(found), crop=False)
    text = " ".join(file.getvalue().split())
    for words in (
        LINES[1],
        "never asked for",
        "Approval Required: the token in use has no access (2026-11-28 12:00:00 UTC)",
        f"Open {page} with the account whose token is in use and ask for access",
        "people of meta-llama approve or reject it",
        f"weighbridge ingest hf:{LARGE.id}",
    ):
        assert words in text


def test_a_quarantined_model_says_why() -> None:
    here = Here(HereState.QUARANTINED, "qwen", "1.0.0", is_current=False, reason="clamav.signature: A virus.")
    file = io.StringIO()
    access = Access.of(AccessState.PUBLIC, QWEN, "https://huggingface.co/x")
    found = HubDetails(finding(QWEN, here), access, (), CATALOGUE, "", STATE)
    Console(file=file, width=200).print(hub_lines.details(found), crop=False)
    wanted = (
        "quarantined: it did not pass the gate as qwen@1.0.0, at another commit than the Hub has now: clamav.signature"
    )
    assert wanted in file.getvalue()


def test_the_gate_of_an_unknown_model_has_no_colour() -> None:
    assert drawn(finding(HubModel("org/a", gated=Gated.UNKNOWN)), colours=True) == "org/a [Unknown]"
