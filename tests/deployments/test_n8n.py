"""The n8n workflows name nodes, parameters, credentials, workflows and addresses that exist, and hold no secret.

What n8n has is in n8n_nodes.json, which tests.n8n.nodes wrote of an installed one. A real n8n runs the workflows in
tests/n8n (`make test-n8n`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.services.prefect import PrefectServer
from tests.services.weighbridge import serving

FOLDER = Path(__file__).parents[2] / "deployments" / "n8n"
WORKFLOWS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}
KNOWN: dict[str, Any] = json.loads(Path(__file__).with_name("n8n_nodes.json").read_text())
#: Hosts of one's own deployment, which the settings name.
HOSTS = {"registry:8080", "messages:9000"}
EVERY = pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS)


def nodes(workflow: dict[str, Any], kind: str = "") -> dict[str, dict[str, Any]]:
    """Return the nodes of a workflow by name; those of one kind where it is named."""
    return {one["name"]: one for one in workflow["nodes"] if kind in ("", one["type"].removeprefix("n8n-nodes-base."))}


def targets(workflow: dict[str, Any], name: str) -> list[str]:
    return [to["node"] for branch in workflow["connections"].get(name, {"main": []})["main"] for to in branch]


def test_there_are_workflows() -> None:
    assert len(WORKFLOWS) >= 9
    ids = [one["id"] for one in WORKFLOWS.values()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"weighbridge[A-Za-z]{3,25}", id_) for id_ in ids)
    assert all(one["active"] is False and one["name"].startswith("Weighbridge: ") for one in WORKFLOWS.values())


@EVERY
def test_every_node_is_reached_from_a_trigger(workflow: dict[str, Any]) -> None:
    all_ = nodes(workflow)
    triggers = [name for name, one in all_.items() if re.search(r"[tT]rigger$|\.webhook$", one["type"])]
    assert triggers
    reached, waiting = set(), list(triggers)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += targets(workflow, name)
    assert reached == set(all_) - set(nodes(workflow, "stickyNote"))
    assert set(workflow["connections"]) <= set(all_)
    assert len({one["id"] for one in all_.values()}) == len(all_) == len(workflow["nodes"])
    assert all(
        one["webhookId"] for one in all_.values() if one["type"].split(".")[1] in ("webhook", "wait", "formTrigger")
    )


@EVERY
def test_a_note_says_what_it_does_and_what_to_set(workflow: dict[str, Any]) -> None:
    (note,) = nodes(workflow, "stickyNote").values()
    content = note["parameters"]["content"]
    assert content.startswith("## ")
    names = {kind["name"] for one in workflow["nodes"] for kind in one.get("credentials", {}).values()}
    assert all(f"*{name}*" in content for name in names), names
    left, top = note["position"]
    right, bottom = left + note["parameters"]["width"], top + note["parameters"]["height"]
    for name, one in nodes(workflow).items():
        x, y = one["position"]
        assert one is note or not (left - 100 < x < right and top - 100 < y < bottom), f"{name} is under the note"


@EVERY
def test_nodes_and_their_parameters_exist(workflow: dict[str, Any]) -> None:
    for name, one in nodes(workflow).items():
        kind = one["type"].removeprefix("n8n-nodes-base.")
        known = KNOWN["nodes"][kind][str(one["typeVersion"])]
        assert set(one["parameters"]) <= set(known["parameters"]), name
        if known["options"]:
            assert set(one["parameters"].get("options", {})) <= set(known["options"]), name
        for credential in one.get("credentials", {}):
            assert credential in KNOWN["credentials"], name
            is_generic = one["parameters"].get("genericAuthType") == credential
            assert is_generic or credential in known["credentials"], name


@EVERY
def test_expressions_name_nodes_and_workflows(workflow: dict[str, Any]) -> None:
    text = json.dumps(workflow, ensure_ascii=False)
    assert set(re.findall(r"\$\('([^']+)'\)", text)) <= set(nodes(workflow))
    by_id = {one["id"]: one for one in WORKFLOWS.values()}
    for name, one in nodes(workflow, "executeWorkflow").items():
        called = by_id[one["parameters"]["workflowId"]["value"]]
        (start,) = nodes(called, "executeWorkflowTrigger").values()
        taken = [given["name"] for given in start["parameters"].get("workflowInputs", {}).get("values", [])]
        given = one["parameters"].get("workflowInputs", {"value": {}})
        assert list(given["value"]) == taken, name
        assert [field["id"] for field in given.get("schema", [])] == taken, name


@EVERY
def test_what_settings_are_asked_for_there_is(workflow: dict[str, Any]) -> None:
    (values,) = nodes(WORKFLOWS["settings"], "set").values()
    there = {one["name"] for one in values["parameters"]["assignments"]["assignments"]}
    asked = set(re.findall(r"\$\('Settings'\)\.first\(\)\.json\.(\w+)", json.dumps(workflow)))
    assert asked <= there


@EVERY
def test_no_secret_and_no_other_host(workflow: dict[str, Any]) -> None:
    text = json.dumps(workflow)
    assert set(re.findall(r"https?://([^/\s\"'\\{]+)", re.sub(r"\^\(https\?:[^)]*\)", "", text))) <= HOSTS
    assert not re.search(
        r"hf_[A-Za-z0-9]{8}|whsec_[A-Za-z0-9]|Bearer [A-Za-z0-9_]{12}|xox[bp]-|\$env\b|require\(", text
    )
    assert not workflow.get("pinData")
    for one in workflow["nodes"]:
        for credential in one.get("credentials", {}).values():
            assert set(credential) == {"id", "name"}
    for name, one in nodes(workflow, "httpRequest").items():
        options = one["parameters"]["options"]
        assert options["redirect"]["redirect"]["followRedirects"] is False, f"{name} may send its key elsewhere"
        assert options["timeout"] <= 60_000, name


def requests(workflow: dict[str, Any], setting: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return what a workflow asks of a server: method, path with `*` for expressions, and the node."""
    found = []
    for one in nodes(workflow, "httpRequest").values():
        url = one["parameters"]["url"].removeprefix("=")
        server, _, path = url.partition("}}")
        if server.endswith(f".{setting} "):
            found.append((one["parameters"].get("method", "GET"), re.sub(r"\{\{.*?\}\}", "*", path), one))
    return found


def test_the_registry_has_what_they_ask_for(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        document = served.get("/openapi.json").json()
    routes = {
        (method.upper(), re.sub(r"\{[^}]*\}", "*", path.removeprefix("/api"))): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    asked = [one for workflow in WORKFLOWS.values() for one in requests(workflow, "registry")]
    assert {path for _, path, _ in asked} >= {
        "/models/import",
        "/ingests/*",
        "/models",
        "/hub/models/*",
        "/hub/changes",
    }
    for method, path, node in asked:
        operation = routes[method, path]
        known = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        assert {one["name"] for one in node["parameters"].get("queryParameters", {}).get("parameters", [])} <= known
        if "jsonBody" in node["parameters"]:
            (schema,) = operation["requestBody"]["content"].values()
            body = document["components"]["schemas"][schema["schema"]["$ref"].rpartition("/")[2]]
            assert set(re.findall(r"(\w+): ", node["parameters"]["jsonBody"])) <= set(body["properties"])


def test_a_request_that_fails_is_sent_again_as_the_same() -> None:
    for workflow in WORKFLOWS.values():
        for name, one in nodes(workflow, "httpRequest").items():
            assert one.get("retryOnFail") or one["onError"] == "continueRegularOutput", name
            asks_for_work = re.search(r"import|create_flow_run", one["parameters"]["url"])
            assert not asks_for_work or re.search(r"[Ii]dempotency.[Kk]ey", json.dumps(one)), name


def test_signed_messages_are_read_as_they_arrived() -> None:
    for name in ("take-in", "alert"):
        all_ = nodes(WORKFLOWS[name])
        (source,) = (one for one in all_.values() if one["parameters"].get("options", {}).get("rawBody"))
        assert source["parameters"]["responseMode"] == "responseNode"
        signed = [all_["Signed text"]["parameters"]["jsCode"], all_["Compare"]["parameters"]["jsCode"]]
        assert "getBinaryDataBuffer" in signed[0]
        assert "v1text," in signed[0]
        assert "300" in signed[1]


@pytest.mark.prefect
@pytest.mark.xdist_group("prefect")
def test_prefect_has_what_they_ask_for(prefect_server: PrefectServer) -> None:
    schema = prefect_server.http.get("/openapi.json").raise_for_status().json()
    routes = {
        (method.upper(), re.sub(r"\{[^}]*\}", "*", path.removeprefix("/api")))
        for path, methods in schema["paths"].items()
        for method in methods
    }
    for workflow, flow in (("take-in-by-prefect", "ingest"), ("benchmark", "benchmark")):
        asked = requests(WORKFLOWS[workflow], "prefect")
        assert len(asked) == 3
        for method, path, _ in asked:
            assert (method, path.replace(f"/{flow}/on-demand", "/*/*")) in routes
        found = prefect_server.http.get(f"/deployments/name/{flow}/on-demand").json()
        (body,) = (
            re.findall(r"parameters: \{(.*?)\}", one["parameters"].get("jsonBody", ""))
            for *_, one in asked
            if "jsonBody" in one["parameters"]
        )
        assert set(re.findall(r"(\w+): ", body[0])) <= set(found["parameter_openapi_schema"]["properties"])
