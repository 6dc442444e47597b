"""Every deployment of prefect.yaml loads, takes the parameters it shows, and reads nothing at import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


def loaded(deployment: dict[str, Any]) -> Flow[..., Any]:
    return load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda found: f"{found['entrypoint']}-{found['name']}")
def test_loads(deployment: dict[str, Any]) -> None:
    found = loaded(deployment)
    assert found.fn.__module__ == deployment["entrypoint"].rpartition(".")[0]
    assert set(deployment.get("parameters", {})) <= set(parameter_schema(found.fn).properties)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda found: f"{found['entrypoint']}-{found['name']}")
def test_every_parameter_is_explained_and_none_is_a_secret(deployment: dict[str, Any]) -> None:
    for name, shown in parameter_schema(loaded(deployment).fn).properties.items():
        assert shown["description"], name
        assert name not in {"token", "password", "secret", "key"}
        assert shown.get("type") in {"string", "boolean", "array", "integer"}, name


def test_schedules_are_in_utc() -> None:
    """Where clocks are changed, a local hour comes twice or never (PrefectHQ/prefect#7381, #7461)."""
    schedules = [schedule for found in DEPLOYMENTS for schedule in found.get("schedules", [])]
    assert schedules
    assert {schedule["timezone"] for schedule in schedules} == {"UTC"}


def test_one_form_of_entrypoint() -> None:
    assert all(":" not in found["entrypoint"] for found in DEPLOYMENTS)


def test_the_library_needs_no_prefect() -> None:
    check = "import sys, weighbridge.cli; sys.exit('prefect' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
