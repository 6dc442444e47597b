"""Schedules make runs: on SQLite, on PostgreSQL, and as the doctor sees them, with no error in the server's log."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.flows.conftest import SHIPPED, model
from tests.services.prefect import CREDENTIALS, PrefectServer, serving
from weighbridge.cli import app
from weighbridge.intake.doctor_check import DoctorCheck
from weighbridge.intake.doctor_prefect import prefect_checks

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]
SYNC, MEASURE, PRELOAD = "sync/nightly", "benchmark/nightly", "preload/on-demand"


def checks(server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, DoctorCheck]:
    monkeypatch.setenv("PREFECT_API_URL", server.url)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", CREDENTIALS)
    return {check.what: check for check in prefect_checks()}


def test_a_schedule_makes_a_run_that_a_worker_does(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """The nightly deployment with a models file of its own, due in a few seconds."""
    listed = tmp_path / "models.yaml"
    bytes_of_its_own = SHIPPED["model.safetensors"][:-16] + b"by a schedule..."  # Other tests scan theirs first.
    texts = {"README__md": b"---\nlicense: mit\n---\n", "config__json": b'{"model_type": "gpt2"}'}
    source = model(tmp_path, "scheduled", model__safetensors=bytes_of_its_own, **texts)
    listed.write_text(f"models: [{{name: by/schedule, source: '{source}'}}]\n")
    made = prefect_server.schedule(SYNC, {"models": str(listed), "only": ""})
    try:
        first = prefect_server.scheduled(SYNC, str(listed))[0]
        run = prefect_server.ended(first["id"])
        assert (run["auto_scheduled"], run["state_name"]) == (True, "Completed"), run["state"]["message"]
        assert prefect_server.children(run["id"]) == {"by/schedule": "Completed"}
        assert prefect_server.errors() == []
    finally:
        prefect_server.http.delete(f"/deployments/{prefect_server.deployment(SYNC)}/schedules/{made['id']}")


def test_the_nights_to_come_are_scheduled(prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for deployment in (SYNC, MEASURE):
        assert prefect_server.scheduled(deployment)
    found = checks(prefect_server, monkeypatch)
    assert {found[f"schedule {name}"].state for name in (SYNC, MEASURE)} == {"ok"}
    assert "prefect scheduler" not in found, "the pin of SQLAlchemy does not hold"


def test_a_schedule_without_runs_is_a_warning(prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks as every schedule does where the scheduler does not work; here the rule has ended."""
    ended = {"rrule": "FREQ=DAILY;UNTIL=20200101T000000Z"}
    path = f"/deployments/{prefect_server.deployment(PRELOAD)}/schedules"
    made = prefect_server.write(path, [{"active": True, "schedule": ended}]).json()[0]
    try:
        check = checks(prefect_server, monkeypatch)[f"schedule {PRELOAD}"]
        assert (check.state, "sqlalchemy<2.1" in check.mend) == ("warning", True)
    finally:
        prefect_server.http.delete(f"{path}/{made['id']}")


def test_the_doctor_names_a_server_that_does_not_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    app.run(["doctor", "--json"])
    found = {check["what"]: check for check in json.loads(capsys.readouterr().out)}
    assert found["prefect"]["state"] == "missing"


def test_schedules_work_on_postgresql(postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs here: what is due and not taken is late, and the doctor says so."""
    database = postgresql_url.replace("+psycopg", "+asyncpg")
    with serving(tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL=database) as server:
        flow = server.http.post("/flows/", json={"name": "sync"}).json()["id"]
        wanted = {"name": "nightly", "flow_id": flow, "schedules": []}
        server.http.post("/deployments/", json=wanted).raise_for_status()
        server.schedule(SYNC, {})
        first, second, *_ = server.scheduled(SYNC)
        assert first["expected_start_time"] < second["expected_start_time"]
        deadline = time.monotonic() + 90
        while (check := checks(server, monkeypatch)[f"schedule {SYNC}"]).state == "ok":
            assert time.monotonic() < deadline, check
            time.sleep(0.5)
        assert "prefect worker start" in check.mend
        assert server.errors() == []
