"""Whether one model fits a query, and the order of models that are not searched in the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from weighbridge.domain.hub_models import HUB_ORDERS, Gated, HubModel, HubQuery
from weighbridge.domain.hub_queries import GATED_WORDS, fits, gated_states, ordered

MODEL = HubModel(
    "Qwen/Qwen3-4B-Instruct",
    gated=Gated.NO,
    library="transformers",
    pipeline_tag="text-generation",
    licence="apache-2.0",
    tags=("conversational", "region:us"),
    parameters=4 * 10**9,
    memory_size=8 * 10**9,
)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"search": "qwen INSTRUCT"}, True),
        ({"search": "qwen coder"}, False),
        ({"search": "conversational"}, True),
        ({"filters": ("text-generation", "region:us")}, True),
        ({"filters": ("license:apache-2.0", "transformers")}, True),
        ({"filters": ("gguf",)}, False),
        ({"author": "qwen", "library": "Transformers", "licence": "apache-2.0"}, True),
        ({"author": "Qwen3"}, False),
        ({"gated": (Gated.AUTO, Gated.MANUAL)}, False),
        ({"max_memory_size": 8 * 10**9, "min_parameters": 4 * 10**9, "max_parameters": 4 * 10**9}, True),
        ({"max_memory_size": 8 * 10**9 - 1}, False),
        ({"min_parameters": 5 * 10**9}, False),
    ],
)
def test_what_fits(query: dict[str, Any], wanted: bool) -> None:
    assert fits(HubQuery(**query), MODEL) is wanted


def test_a_model_without_an_estimate_fits_no_limit() -> None:
    assert fits(HubQuery(), HubModel("org/a"))
    assert not fits(HubQuery(max_memory_size=10**15), HubModel("org/a"))


@pytest.mark.parametrize("sort", HUB_ORDERS)
@pytest.mark.parametrize("descending", [True, False])
def test_what_has_no_value_comes_last(sort: str, descending: bool) -> None:
    models = [HubModel("b"), HubModel("a"), HubModel("c")]
    found = [model.id for model in ordered(HubQuery(sort=sort, descending=descending), models)]
    assert found == (["c", "b", "a"] if sort == "id" and descending else ["a", "b", "c"])


def test_the_most_downloaded_first() -> None:
    models = [HubModel("few", downloads=1), HubModel("none"), HubModel("many", downloads=9)]
    assert [model.id for model in ordered(HubQuery(), models)] == ["many", "few", "none"]


def test_words_for_gates() -> None:
    assert gated_states(["yes", "auto"]) == (Gated.AUTO, Gated.MANUAL, Gated.YES)
    assert gated_states(["false"]) == gated_states(["no"]) == (Gated.NO,)
    assert {state for states in GATED_WORDS.values() for state in states} == set(Gated)
