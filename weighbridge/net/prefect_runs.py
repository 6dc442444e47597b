"""Runs of a Prefect server's deployments: starting one, following it, and cancelling it, by Prefect's REST API.

Not here: the requests (net.prefect_server), and schedules (net.prefect_schedules).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from weighbridge.errors import InvalidConfiguration
from weighbridge.net.prefect_server import prefect_client
from weighbridge.net.responses import shown

_ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})


@dataclass(frozen=True)
class PrefectRun:
    """A run of a deployment at a moment.

    Attributes:
        id: of the run.
        state: the type of its state, such as RUNNING.
        message: of its state.
        url: its page.
    """

    id: str
    state: str
    message: str
    url: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in _ENDED


@dataclass(frozen=True)
class RunServer:
    """A Prefect server on which runs are started.

    Attributes:
        api_url: its URL, as in PREFECT_API_URL.
        credentials: `user:password`, or empty.
    """

    api_url: str
    credentials: str = field(default="", repr=False)

    def start(self, deployment: str, parameters: Mapping[str, Any], key: str) -> PrefectRun:
        """Start a run, and return it; with the key of an earlier call, that one's run.

        Raises:
            InvalidConfiguration: the server has no such deployment, or refuses the parameters.
            SourceUnavailable: it does not answer, or not in Prefect's form.
        """
        with prefect_client(self.api_url, self.credentials) as client:
            found = client.get(f"/deployments/name/{deployment}")
            if found.status_code == httpx.codes.NOT_FOUND:
                raise InvalidConfiguration(
                    f"The Prefect server has no deployment {deployment}.",
                    "Deploy it: python deployments/setup_prefect.py; or have `serve` do the work with "
                    "WEIGHBRIDGE_VIA=direct.",
                )
            id_ = found.raise_for_status().json()["id"]
            body = {"parameters": dict(parameters), "idempotency_key": key}
            return self._run(client.post(f"/deployments/{id_}/create_flow_run", json=body).raise_for_status().json())

    def look(self, run: PrefectRun) -> PrefectRun:
        """Return a run as it is now. Raises SourceUnavailable."""
        with prefect_client(self.api_url, self.credentials) as client:
            return self._run(client.get(f"/flow_runs/{run.id}").raise_for_status().json())

    def cancel(self, run: PrefectRun) -> None:
        """Ask for the end of a run. Raises SourceUnavailable."""
        with prefect_client(self.api_url, self.credentials) as client:
            body = {"state": {"type": "CANCELLING"}, "force": False}
            client.post(f"/flow_runs/{run.id}/set_state", json=body).raise_for_status()

    def _run(self, content: Mapping[str, Any]) -> PrefectRun:
        state = content.get("state") or {}
        url = f"{shown(self.api_url).removesuffix('/').removesuffix('/api')}/runs/flow-run/{content['id']}"
        return PrefectRun(str(content["id"]), str(state.get("type", "")), str(state.get("message") or ""), url)
