"""n8n takes the workflows as they are, finds their credentials, and asks nobody else."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

from tests.n8n.conftest import Elsewhere, Stage
from tests.n8n.nodes import RECORD, WORKFLOWS, described, used
from tests.services.n8n import HOME

pytestmark = [pytest.mark.n8n, pytest.mark.timeout(1200)]
FILES = sorted(WORKFLOWS.glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_workflow_is_stored_as_it_was_written(stage: Stage, file: str) -> None:
    written = json.loads(WORKFLOWS.joinpath(file).read_text())
    stored = stage.n8n.workflow(written["id"])
    assert stored["name"] == written["name"]
    assert stored["connections"] == written["connections"]
    assert {one["name"] for one in stored["nodes"]} == {one["name"] for one in written["nodes"]}
    if written["id"] not in ("weighbridgeSettings", "weighbridgeDigest"):
        assert stored["nodes"] == written["nodes"]
        assert stored["activeVersionId"] == stored["versionId"]


def test_one_that_is_imported_in_the_editor_finds_its_credentials_by_their_names(stage: Stage) -> None:
    """The editor saves it under a new id, and the credentials of another n8n have other ids."""
    workflow = json.loads((WORKFLOWS / "take-in.json").read_text())
    wanted = {one["name"]: deepcopy(one["credentials"]) for one in workflow["nodes"] if "credentials" in one}
    for node in workflow["nodes"]:
        for one in node.get("credentials", {}).values():
            one["id"] = "ofAnotherN8n"
    saved = {name: workflow[name] for name in ("name", "nodes", "connections", "settings")}
    made = stage.n8n.http.post("/rest/workflows", json=saved).raise_for_status().json()["data"]
    assert made["id"] != workflow["id"]
    assert {one["name"]: one["credentials"] for one in made["nodes"] if "credentials" in one} == wanted
    stage.n8n.http.post(f"/rest/workflows/{made['id']}/archive").raise_for_status()


def test_the_record_of_nodes_is_that_of_this_n8n() -> None:
    types = json.loads((HOME / "node_modules" / "n8n-nodes-base" / "dist" / "types" / "nodes.json").read_text())
    assert json.loads(RECORD.read_text())["nodes"] == described(types, used())


def test_n8n_asks_nobody_else(stage: Stage, elsewhere: Elsewhere) -> None:
    assert elsewhere.wanted == []
    stage.set(messages="http://messages.example/")
    try:
        stage.call("weighbridgeTakeIn", uri="nowhere:x", asked_by="Ada", approved_by="Grace")
        stage.n8n.until(lambda _: [one for one in elsewhere.wanted if "messages.example" in one])
        stage.n8n.settled()
    finally:
        stage.set(messages=stage.web.put("/messages"))
        elsewhere.wanted.clear()
