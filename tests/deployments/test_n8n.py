"""The n8n workflow asks the API for what it has, loses no answer, and holds no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.services.prefect import PrefectServer

WORKFLOW: dict[str, Any] = json.loads((Path(__file__).parents[2] / "deployments" / "n8n_ingest.json").read_text())
NODES = {node["name"]: node for node in WORKFLOW["nodes"]}
REQUESTS = {name: node["parameters"] for name, node in NODES.items() if node["type"].endswith("httpRequest")}


def targets(name: str) -> list[str]:
    return [to["node"] for branch in WORKFLOW["connections"].get(name, {"main": []})["main"] for to in branch]


def test_nodes_are_connected() -> None:
    reached, waiting = set(), ["Start"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += targets(name)
    assert reached == set(NODES)
    assert targets("Ended?") == ["Passed?", "Wait"]
    assert targets("Passed?") == ["Use it", "Tell somebody"]


def test_expressions_name_nodes() -> None:
    named = set(re.findall(r"\$\('([^']+)'\)", json.dumps(WORKFLOW, ensure_ascii=False)))
    assert named
    assert named <= set(NODES)


def test_it_holds_no_credentials() -> None:
    assert not [name for name, node in NODES.items() if "credentials" in node]
    for parameters in REQUESTS.values():
        assert parameters["genericAuthType"] == "httpBasicAuth"


def test_a_request_that_fails_is_sent_again_as_the_same() -> None:
    assert all(NODES[name]["retryOnFail"] for name in REQUESTS)
    assert "idempotency_key" in REQUESTS["Ask for a run"]["jsonBody"]


@pytest.mark.prefect
@pytest.mark.xdist_group("prefect")
def test_the_server_has_what_it_asks_for(prefect_server: PrefectServer) -> None:
    schema = prefect_server.http.get("/openapi.json").raise_for_status().json()
    routes = {
        (method.upper(), re.sub(r"\{[^}]*\}", "*", path.removeprefix("/api")))
        for path, methods in schema["paths"].items()
        for method in methods
    }
    for parameters in REQUESTS.values():
        path = re.sub(r"\{\{.*?\}\}", "*", parameters["url"].removeprefix("=")).removeprefix("*")
        path = path.replace("/ingest/on-demand", "/*/*")
        assert (parameters.get("method", "GET"), path) in routes
    known = prefect_server.http.get("/deployments/name/ingest/on-demand").json()["parameter_openapi_schema"][
        "properties"
    ]
    (body,) = re.findall(r"parameters: \{(.*?)\}", REQUESTS["Ask for a run"]["jsonBody"])
    assert set(re.findall(r"(\w+): ", body)) <= set(known)
