"""The rows of what a model needs, from an estimate and from a card."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.estimates import networks
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.estimates.evidence import Evidence
from weighbridge.domain.estimates.requirements import estimate
from weighbridge.views.memory_rows import MemoryRow, estimate_lines, estimate_rows, requirement_rows
from weighbridge.views.report_rows import CardRow, card_rows

COUNTED = {"parameters": {"BF16": 8_030_261_248}}


def test_an_estimate_has_a_row_for_each_part_and_each_card() -> None:
    rows = estimate_rows(estimate(Evidence("x", COUNTED, config=networks.LLAMA_3_1_8B)))
    assert [row.name for row in rows] == [
        *("weights", "cache for 4,096 tokens", "cache for 32,768 tokens", "cache for 131,072 tokens", "overhead"),
        *("24 GB card", "80 GB card", "141 GB card"),
    ]
    assert rows[0] == MemoryRow("weights", "16.1 GB", "safetensors: number and type of weights")
    assert rows[3] == MemoryRow("cache for 131,072 tokens", "17.2 GB", "config: attention")
    assert rows[6] == MemoryRow("80 GB card", "fits, with 131,072 tokens", "")
    assert rows[5].value.startswith("fits, with ")
    assert " to " in rows[5].value


def test_a_range_shows_where_engines_differ() -> None:
    rows = estimate_rows(estimate(Evidence("x-27b", config=networks.GEMMA_3_27B), (131_072,)))
    assert MemoryRow("cache for 131,072 tokens", "11.2 to 66.6 GB", "config: sliding window") in rows


def test_lines_stand_in_columns() -> None:
    lines = estimate_lines(estimate(Evidence("org/Llama-3.1-405B")))
    assert lines[0].startswith("weights      ")
    assert lines[-1] == "141 GB card  does not fit"
    assert estimate_lines(estimate(Evidence("org/x"))) == []


def test_a_card_of_a_model_shows_the_parts_below_its_requirements() -> None:
    needs = {
        "min_gpu_memory_gb": 0.1,
        "parts": [{"name": "weights", "low": 98_362_432, "high": 98_362_432, "from": "m.gguf: size on disk"}],
        "cards": [{"card_gb": 24, "fits": "yes", "tokens": None, "most_tokens": None}],
    }
    rows = card_rows(ModelCard({"requirements": Field(needs, "m.gguf")}))
    assert rows == [
        CardRow("requirements", "min_gpu_memory_gb 0.1", "m.gguf"),
        CardRow("memory: weights", "0.10 GB", "m.gguf: size on disk"),
        CardRow("memory: 24 GB card", "fits", ""),
    ]


@pytest.mark.parametrize(
    "needs",
    [
        {"parts": 5, "cards": "x"},
        {"parts": [5, {}, {"name": 5, "high": 5}, {"name": "x", "high": 10**400}], "cards": [{"card_gb": True}]},
        {"parts": [{"name": "x", "low": float("nan"), "high": float("inf")}], "cards": [{"card_gb": 24, "fits": []}]},
    ],
)
def test_what_has_no_meaning_has_no_row(needs: dict[str, Any]) -> None:
    assert requirement_rows(needs) == []
