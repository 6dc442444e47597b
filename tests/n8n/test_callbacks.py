"""Whatever reaches the waiting run, only the end of its own job, signed, lets it go on; and none is lost."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.n8n.conftest import Stage, signed, until

pytestmark = [pytest.mark.n8n, pytest.mark.timeout(1200)]
CONFIG = b'{"model_type": "llama"}'


def begun(stage: Stage, name: str, times: int = 1) -> tuple[str, str]:
    """Have a model taken in that hangs while it is fetched; return its job and the address that the run waits at."""
    stage.hub.add(name, {"config.json": CONFIG, "README.md": name.encode() * 1000})
    stage.hub.fault(f"{name}/resolve/main/README.md", times=times, hang_after=0)
    for commit in stage.hub.repositories["models", name].commits:
        stage.hub.fault(f"{name}/resolve/{commit}/README.md", times=times, hang_after=0)
    stage.call("weighbridgeTakeIn", uri=f"hf:{name}", asked_by="Ada", approved_by="Grace")
    (job,) = until(lambda: [one for one in jobs(stage) if one["name"] == name])
    address = stage.waiting("weighbridgeTakeIn")
    assert job["ended_at"] is None
    return job["id"], address


def jobs(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.registry.get("/ingests", headers=stage.key).json()["items"]
    return found


def post(address: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """Post to the waiting run, again while n8n puts it to wait."""

    def posted() -> httpx.Response | None:
        response = httpx.post(address, content=body, headers=headers, trust_env=False, timeout=180)
        return None if response.status_code == 409 else response

    found: httpx.Response = until(posted)
    return found


def test_a_forged_message_is_refused_and_a_server_that_dies_is_waited_for(stage: Stage) -> None:
    job, address = begun(stage, "org/slow")
    end = json.dumps({"type": "job.done", "data": {"job": job, "status": "PASSED"}}).encode()
    other = json.dumps({"type": "job.done", "data": {"job": "another"}}).encode()
    forged = {
        "no signature": (end, {}),
        "a made-up one": (end, {**signed(end, "whsec_forged", "msg_1")}),
        "of another receiver": (end, signed(end, stage.alerts, "msg_1")),
        "old": (end, signed(end, stage.secret(), "msg_1", time.time() - 600)),
        "of other bytes": (end + b" ", signed(end, stage.secret(), "msg_1")),
        "about another job": (other, signed(other, stage.secret(), "msg_1")),
    }
    answers = {name: post(address, *given).status_code for name, given in forged.items()}
    assert set(answers.values()) == {401}, answers
    assert stage.waiting("weighbridgeTakeIn") == address
    assert httpx.post(address.partition("?")[0], content=end, trust_env=False, timeout=180).status_code == 401
    stage.down()
    time.sleep(1)
    assert stage.messages() == []
    stage.up()
    assert stage.message("org/slow 1.0.0 passed")["data"]["job"] == job


def test_a_message_that_comes_twice_is_told_once(stage: Stage) -> None:
    stage.hub.add("org/twice", {"config.json": CONFIG})
    stage.call("weighbridgeTakeIn", uri="hf:org/twice", asked_by="Ada", approved_by="Grace")
    job = stage.message("org/twice 1.0.0 passed")["data"]["job"]
    stage.n8n.settled()
    (delivery,) = stage.registry.get(f"/ingests/{job}/deliveries", headers=stage.key).json()["items"]
    path = f"/ingests/{job}/deliveries/{delivery['id']}/repeat"
    assert stage.registry.request("POST", path, headers=stage.key).is_success
    tried = until(lambda: [one for one in deliveries(stage, job) if one["tried"]])
    assert [one["status"] for one in tried[0]["tried"]][-1] == 409
    assert len([one for one in stage.messages() if "org/twice" in one["title"]]) == 1


def deliveries(stage: Stage, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.registry.get(f"/ingests/{job}/deliveries", headers=stage.key).json()["items"]
    return [one for one in found if one["attempts"] and one["tried"][-1]["status"] != 204]


def test_n8n_is_down_when_the_job_ends(stage: Stage) -> None:
    job, _ = begun(stage, "org/away")
    stage.n8n.stop()
    stage.down()
    served = stage.up()
    until(lambda: served.get(f"/ingests/{job}", headers=stage.key).json()["status"] == "PASSED")
    until(lambda: served.get(f"/ingests/{job}/deliveries", headers=stage.key).json()["items"][0]["tried"])
    stage.n8n.start()
    stage.n8n.log_in()
    stage.message("org/away 1.0.0 passed")


def test_a_job_that_nobody_tells_the_end_of_is_asked_for(stage: Stage) -> None:
    """n8n looks once a minute which runs have waited long enough."""
    stage.set(job_hours=0.001)
    try:
        job, _ = begun(stage, "org/untold", times=5)
        message = stage.message("org/untold was not taken in", 150)
        assert "The job has not ended" in message["text"]
        assert stage.registry.request("DELETE", f"/ingests/{job}", headers=stage.key).is_success
    finally:
        stage.set(job_hours=24)
