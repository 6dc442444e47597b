"""The leaderboard ranks as the command does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.catalog.test_results import result, settle
from tests.services.weighbridge import Served, holds
from weighbridge.cli import app
from weighbridge.web.api.leaderboard import Leaderboard

pytestmark = pytest.mark.xdist_group("web")


def _measured(served: Served) -> None:
    for number, (name, value) in enumerate({"board/slow": 3.0, "board/fast": 1.0, "other/middle": 2.0}.items()):
        version = settle(served.catalog, "1.0.0", f"board{number}", name)
        served.catalog.add_result(result(version, value))
        elsewhere = {"device": "cpu", "processor": "EPYC", "cores": number}
        served.catalog.add_result(replace(result(version, value), hardware=elsewhere))


def test_rows_are_those_of_the_command(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _measured(served)
    monkeypatch.setenv("WEIGHBRIDGE_CATALOG_URL", served.catalog._database.url.render_as_string())
    for query, options in {
        "": [],
        "?machine=H200": ["--hardware", "H200"],
        "?architecture=llama&max_params=10": ["--architecture", "llama", "--max-params", "10"],
        "?max_params=6": ["--max-params", "6"],
        "?benchmark=inference_latency&metric=ttft_p50": ["-b", "inference_latency", "--sort", "ttft_p50"],
    }.items():
        assert app.run(["leaderboard", "--json", *options]) == 0
        rows = json.loads(capsys.readouterr().out)
        found = holds(Leaderboard, served.get(f"/models/leaderboard{query}"))["items"]
        assert [_without(row, "license_type") for row in found] == [_without(row, "licence", "schema") for row in rows]


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def test_only_so_many_rows_of_a_group(served: Served) -> None:
    _measured(served)
    found = holds(Leaderboard, served.get("/models/leaderboard?machine=H200&limit=2"))["items"]
    assert [(row["rank"], row["name"], row["value"]) for row in found] == [
        (1, "board/fast", 1.0),
        (2, "other/middle", 2.0),
    ]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("benchmark=nothing", 400, "no benchmark “nothing”"),
        ("metric=nothing", 400, "no result has a metric"),
        ("max_params=10e9", 422, "query.max_params"),
        ("hardware=H200", 422, "query.hardware"),
    ],
)
def test_what_cannot_be_ranked_is_named(served: Served, query: str, status: int, words: str) -> None:
    _measured(served)
    problem = served.get(f"/models/leaderboard?{query}").json()
    assert problem["status"] == status
    assert words.lower() in problem["detail"].lower()
