"""Writes down which nodes of the installed n8n the workflows use: `python -m tests.n8n.nodes`.

The ordinary tests hold the workflows against this file, without n8n (tests.deployments.test_n8n).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.services.n8n import HOME

WORKFLOWS = Path(__file__).parents[2] / "deployments" / "n8n"
RECORD = Path(__file__).parents[1] / "deployments" / "n8n_nodes.json"
_PACKAGE = "n8n-nodes-base"


def used() -> set[tuple[str, str]]:
    """Return the names of the nodes that the workflows use, without their package, and their versions."""
    workflows = [json.loads(file.read_text()) for file in WORKFLOWS.glob("*.json")]
    nodes = [node for one in workflows for node in one["nodes"]]
    return {(node["type"].removeprefix(f"{_PACKAGE}."), str(node["typeVersion"])) for node in nodes}


def described(nodes: list[dict[str, Any]], wanted: set[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Return what of each node and version is kept: names of parameters, of options, and of credentials."""
    kept: dict[str, dict[str, Any]] = {name: {} for name, _ in sorted(wanted)}
    for node in nodes:
        versions = node["version"] if isinstance(node["version"], list) else [node["version"]]
        for version in (version for version in map(str, versions) if (node["name"], version) in wanted):
            kept[node["name"]][version] = _version(node)
    return kept


def _version(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "parameters": sorted({one["name"] for one in node["properties"]}),
        "options": sorted({option["name"] for one in node["properties"] for option in _options(one)}),
        "credentials": sorted({one["name"] for one in node.get("credentials", [])}),
    }


def _options(one: dict[str, Any]) -> list[dict[str, Any]]:
    return one.get("options") or [] if one["type"] == "collection" else []


def main() -> None:
    """Write the record."""
    base = HOME / "node_modules" / _PACKAGE / "dist" / "types"
    nodes = described(json.loads((base / "nodes.json").read_text()), used())
    known = {one["name"] for one in json.loads((base / "credentials.json").read_text())}
    version = json.loads((HOME / "node_modules" / "n8n" / "package.json").read_text())["version"]
    workflows = [json.loads(file.read_text()) for file in WORKFLOWS.glob("*.json")]
    asked = {kind for one in workflows for node in one["nodes"] for kind in node.get("credentials", {})}
    lines = {"n8n": version, "credentials": sorted(asked & known), "nodes": nodes}
    RECORD.write_text(json.dumps(lines, separators=(",", ":")).replace("},", "},\n") + "\n")


if __name__ == "__main__":
    main()
