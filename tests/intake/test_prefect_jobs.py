"""Jobs are runs of a real Prefect server where PREFECT_API_URL names one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.conftest import model
from tests.intake.test_job_worker import LEASE_S, SLIP, end_of, ended, until
from tests.services.prefect import CREDENTIALS, PrefectServer
from tests.simulators.web import WebServer
from weighbridge.config.settings import Settings
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import InvalidConfiguration, SourceUnavailable
from weighbridge.intake.asker import Asker
from weighbridge.intake.job_orders import order_ingest
from weighbridge.intake.job_worker import JobWorker
from weighbridge.intake.prefect_jobs import DEPLOYMENT, run_server
from weighbridge.intake.workspace import open_resources, workspace_of
from weighbridge.net.prefect_runs import RunServer


@pytest.mark.prefect
@pytest.mark.xdist_group("prefect")
def test_a_worker_of_prefect_does_the_job(
    prefect_server: PrefectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server.environment["PREFECT_API_URL"])
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", CREDENTIALS)
    settings = Settings(
        home=Path(prefect_server.environment["WEIGHBRIDGE_HOME"]), registries=("export",), policy="minimal"
    )
    with open_resources(settings) as resources, JobWorker(resources, 2, LEASE_S):
        with workspace_of(resources, Asker(on_behalf=True, actor=SLIP.caller.actor)) as workspace:
            good, away = (
                order_ingest(IngestRequest(ModelRef.parse(uri), name), SLIP, workspace)
                for uri, name in ((model(tmp_path, "job"), "org/job"), (f"file:{tmp_path}/away", "org/away"))
            )
        started = until(resources, good, lambda found: found.run_url)
        assert started.run_url.startswith(prefect_server.environment["PREFECT_API_URL"].removesuffix("/api"))
        job = ended(resources, good, 180)
        assert (job.state, end_of(job).status, end_of(job).version) == ("done", "PASSED", "1.0.0")
        assert {step["state"] for step in job.progress["steps"] if step["name"] == "publish"} == {"done"}
        assert prefect_server.ended(job.run_url.rpartition("/")[2])["parameters"]["name"] == "org/job"
        failed = ended(resources, away, 180)
        assert (failed.state, end_of(failed).status) == ("failed", "")
        assert "away" in end_of(failed).problem


def test_a_server_without_the_deployment_or_without_prefect() -> None:
    with WebServer() as web:
        with pytest.raises(InvalidConfiguration, match="no deployment ingest/on-demand"):
            RunServer(web.url("/api")).start(DEPLOYMENT, {}, "key")
        web.put(f"/api/deployments/name/{DEPLOYMENT}", b"{}")
        with pytest.raises(SourceUnavailable, match="failed"):
            RunServer(web.url("/api")).start(DEPLOYMENT, {}, "key")
    with pytest.raises(SourceUnavailable):
        RunServer(web.url("/api")).start(DEPLOYMENT, {}, "key")


def test_who_does_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_server(Settings()) is None
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "user:word")
    assert run_server(Settings()) == RunServer("http://127.0.0.1:4200/api", "user:word")
    assert "word" not in repr(run_server(Settings()))
    assert run_server(Settings(via="direct")) is None
