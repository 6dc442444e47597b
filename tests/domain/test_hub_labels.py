"""A model of the Hub as a line, exactly as the specification displays it."""

from __future__ import annotations

import pytest

from weighbridge.domain.estimates.listing import listed_size
from weighbridge.domain.hub_labels import label
from weighbridge.domain.hub_models import Gated, HubModel

LLAMA, LARGE, QWEN = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.1-405B-Instruct",
    "Qwen/Qwen2.5-1.5B-Instruct",
)


def named(id_: str, gated: Gated) -> HubModel:
    """Return a model of which the list says nothing but name and gate."""
    size = listed_size(id_, None, None, None)
    return HubModel(id_, gated=gated, parameters=size.parameters, memory_size=size.memory_size)


@pytest.mark.parametrize(
    ("model", "line", "with_icon"),
    [
        (named(LLAMA, Gated.AUTO), f"{LLAMA} (16GB, 8B) [Terms]", f"[LOCK] {LLAMA} (16GB, 8B)"),
        (named(LARGE, Gated.MANUAL), f"{LARGE} (810GB, 405B) [Approval]", f"[KEY] {LARGE} (810GB, 405B)"),
        (named(QWEN, Gated.NO), f"{QWEN} (4GB, 1.5B)", f"      {QWEN} (4GB, 1.5B)"),
        (named("org/a", Gated.YES), "org/a [Restricted]", "[KEY] org/a"),
        (named("org/a", Gated.UNKNOWN), "org/a [Unknown]", "      org/a [Unknown]"),
    ],
)
def test_the_lines_of_the_specification(model: HubModel, line: str, with_icon: str) -> None:
    assert label(model) == line
    assert label(model, icons=True) == with_icon


def test_what_is_not_known_is_left_out() -> None:
    assert label(HubModel("org/a", gated=Gated.NO, parameters=8 * 10**9)) == "org/a (8B)"
    assert label(HubModel("org/a", gated=Gated.NO, memory_size=16 * 10**9)) == "org/a (16GB)"


def test_a_hostile_name_is_shown_by_its_codes() -> None:
    line = label(HubModel("org/a\x1b]0;owned\x07\n\u202egnp.exe", gated=Gated.NO))
    assert line == "org/a\\x1b]0;owned\\x07 \\u202egnp.exe"
