"""Callbacks and subscriptions of a served registry, with real receivers: slow, dead, redirecting, broken, and good."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.catalog.test_catalog import settle
from tests.catalog.test_results import result
from tests.net.test_webhook_post import answering
from tests.services.weighbridge import holds, serving
from tests.simulators.web import Page, Request, WebServer
from tests.test_documents import ROOT, blocks
from tests.web.api.test_ingests import Works, environment
from weighbridge.domain.clock import utc_now
from weighbridge.domain.webhooks import EVENTS
from weighbridge.intake.callers import create_key
from weighbridge.web.api.webhook_documents import (
    CallbackSecret,
    DeliveryDocument,
    DeliveryList,
    MadeSubscription,
    SubscriptionDocument,
    SubscriptionList,
)

pytestmark = pytest.mark.xdist_group("web")
HERE = {
    "WEBHOOK_NETWORKS": "127.0.0.0/8",
    "WEBHOOK_SCHEMES": "https,http",
    "WEBHOOK_TIMEOUT_S": "1",
    "WEBHOOK_RETRIES_S": "0.1,0.2",
    "JOB_LEASE_S": "1",
    "SERVE_URL": "https://models.example",
}


class Hooks(Works):
    """A served registry that sends messages to receivers on this machine."""

    def secret(self) -> str:
        """Return the secret of the publisher's callbacks."""
        found: str = holds(CallbackSecret, self.ask("GET", "/webhooks/callback-secret"))["secret"]
        return found

    def subscribe(self, url: str, *events: str, models: tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
        body = {"url": url, "events": events or EVENTS, "models": models}
        response = self.ask("POST", "/webhooks", body, **options)
        made: dict[str, Any] = holds(MadeSubscription, response, 201)
        assert response.headers["location"] == f"/api/webhooks/{made['id']}"
        assert response.headers["cache-control"] == "no-store"
        return made

    def deliveries(self, path: str, role: str = "publisher") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = holds(DeliveryList, self.ask("GET", f"{path}/deliveries", role=role))["items"]
        return found

    def delivered(self, path: str, state: str = "delivered", role: str = "publisher") -> list[dict[str, Any]]:
        return until(lambda: self.deliveries(path, role), lambda all_: [one["state"] for one in all_] == [state])


def until(look: Callable[[], Any], enough: Callable[[Any], Any], timeout_s: float = 30) -> Any:
    deadline = time.monotonic() + timeout_s
    while not enough(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.03)
    return found


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def verified(request: Request, secret: str) -> dict[str, Any]:
    """Return a message whose signature is right."""
    message: dict[str, Any] = Webhook(secret).verify(request.body, request.headers)
    return message


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hooks]:
    folder = tmp_path_factory.mktemp("hooks")
    with serving(folder / "home", environment(folder, **HERE)) as served:
        yield Hooks(served, folder)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as found:
        yield found


# Callbacks


def test_the_end_of_a_job_is_posted_signed(hooks: Hooks, web: WebServer) -> None:
    body = {"source": "mock", "model_id": "org/name", "name": "callback/a", "callback_url": web.put("/hook")}
    key = {"Idempotency-Key": "callback"}
    job = hooks.queued("/models/import", body, headers=key)
    assert hooks.queued("/models/import", body, headers=key)["id"] == job["id"]
    assert hooks.ask("POST", "/models/import", {**body, "callback_url": web.url("/x")}, headers=key).status_code == 422
    (delivery,) = hooks.delivered(f"/ingests/{job['id']}")
    # A message that was not acknowledged within the second that this server waits is sent again.
    (request,) = {one.headers["webhook-id"]: one for one in web.requests}.values()
    message = verified(request, hooks.secret())
    assert message == delivery["message"]
    assert (message["type"], request.headers["content-type"]) == ("job.done", "application/json")
    data = message["data"]
    assert (data["job"], data["state"], data["model"], data["version"], data["status"]) == (
        *(job["id"], "done", "callback/a", "1.0.0"),
        "PASSED",
    )
    assert data["reasons"] == hooks.done(job)["reasons"]
    assert data["links"] == {
        "job": f"https://models.example/api/ingests/{job['id']}",
        "model": "https://models.example/api/models/callback%2Fa",
        "version": "https://models.example/api/models/callback%2Fa/versions/1.0.0",
    }
    assert (delivery["id"], delivery["to"]) == (request.headers["webhook-id"], web.url(""))
    with pytest.raises(WebhookVerificationError):
        Webhook(hooks.secret()).verify(request.body + b" ", request.headers)


def test_ends_of_every_kind_have_a_callback(hooks: Hooks, web: WebServer) -> None:
    url = web.put("/hook")
    gone = {"storage_path": f"file:{hooks.folder}/models/gone", "callback_url": url}
    spec = {"name": "callback/gone", "source": "custom", "architecture": "llama", "parameter_count": 1}
    job = hooks.queued("/models", spec | gone)
    (failed,) = hooks.delivered(f"/ingests/{job['id']}")
    assert failed["type"] == "job.failed"
    assert failed["message"]["data"]["error"] == hooks.done(job)["error"]
    hooks.done(hooks.queued("/models/import", {"uri": "mock:org/name", "name": "callback/b"}))
    job = hooks.queued("/models/callback/b/scan", {"callback_url": url})
    (scanned,) = hooks.delivered(f"/ingests/{job['id']}")
    assert (scanned["type"], scanned["message"]["data"]["kind"]) == ("job.done", "rescan")
    body = {"storage_path": hooks.model("callback"), "callback_url": url}
    job = hooks.queued("/models/callback/b/versions", body)
    assert hooks.delivered(f"/ingests/{job['id']}")[0]["message"]["data"]["version"]
    assert hooks.deliveries(f"/ingests/{hooks.queued('/models/callback/b/scan')['id']}") == []
    assert {verified(request, hooks.secret())["type"] for request in web.requests} == {"job.failed", "job.done"}


def test_a_callback_is_its_asker_s_alone(hooks: Hooks, web: WebServer) -> None:
    job = hooks.queued(
        "/models/import", {"uri": "mock:org/name", "name": "callback/own", "callback_url": web.put("/x")}
    )
    path = f"/ingests/{job['id']}/deliveries"
    (delivery,) = hooks.delivered(f"/ingests/{job['id']}")
    for method, where in (("GET", path), ("POST", f"{path}/{delivery['id']}/repeat")):
        assert hooks.ask(method, where, models="callback/*").status_code == 404  # Another publisher of the model.
        assert hooks.ask(method, where, role="admin").is_success
    assert hooks.ask("GET", f"/ingests/{job['id']}", models="callback/*").status_code == 200


def test_each_key_has_a_secret_of_its_own(hooks: Hooks) -> None:
    other = hooks.ask("GET", "/webhooks/callback-secret", role="admin")
    assert other.json()["secret"] != hooks.secret()
    assert other.headers["cache-control"] == "no-store"
    assert hooks.ask("GET", "/webhooks/callback-secret", role="reader").status_code == 403


# Receivers


def test_a_receiver_that_fails_gets_the_same_message_again(hooks: Hooks, web: WebServer) -> None:
    made = hooks.subscribe(web.put("/hook", status=500, next=Page(status=503, next=Page())), models=("retry/*",))
    settle(hooks.served.catalog, name="retry/a")
    (delivery,) = hooks.delivered(f"/webhooks/{made['id']}")
    assert [one["status"] for one in delivery["tried"]] == [500, 503, 200]
    assert (delivery["attempts"], delivery["next_attempt_at"], delivery["tried"][2]["problem"]) == (3, None, "")
    assert len({request.headers["webhook-id"] for request in web.requests}) == 1
    assert len({json.dumps(verified(request, made["secret"])) for request in web.requests}) == 1


def test_a_receiver_that_stays_broken_is_given_up_and_tried_again_on_request(hooks: Hooks, web: WebServer) -> None:
    web.put("/inside")
    made = hooks.subscribe(web.redirect("/hook", web.url("/inside")), models=("broken/*",))
    settle(hooks.served.catalog, name="broken/a")
    path = f"/webhooks/{made['id']}"
    (failed,) = hooks.delivered(path, "failed")
    assert [one["status"] for one in failed["tried"]] == [302] * 3
    assert "not followed" in failed["tried"][0]["problem"]
    assert {request.path for request in web.requests} == {"/hook"}
    web.put("/hook")
    repeat = f"{path}/deliveries/{failed['id']}/repeat"
    assert hooks.ask("POST", repeat, role="reader").status_code == 403
    again = holds(DeliveryDocument, hooks.ask("POST", repeat), 202)
    assert (again["id"], again["state"], again["attempts"]) == (failed["id"], "waiting", 0)
    (delivered,) = hooks.delivered(path)
    assert [one["status"] for one in delivered["tried"]] == [302, 302, 302, 200]
    (row,) = hooks.served.catalog.audit.rows(object_=f"delivery:{failed['id']}")
    assert (row.action, row.actor) == ("delivery.repeated", made["owner"])
    holds(DeliveryDocument, hooks.ask("POST", repeat), 202)  # A delivered one, too.
    until(lambda: len(web.requests), lambda count: count == 5)
    other = hooks.subscribe(web.url("/other"), models=("nothing",))
    assert hooks.ask("POST", repeat.replace(made["id"], other["id"])).status_code == 404


def test_a_receiver_that_wants_no_more_is_asked_once(hooks: Hooks, web: WebServer) -> None:
    made = hooks.subscribe(web.put("/hook", status=410), models=("gone/*",))
    settle(hooks.served.catalog, name="gone/a")
    path = f"/webhooks/{made['id']}"
    (failed,) = hooks.delivered(path, "failed")
    assert ([one["status"] for one in failed["tried"]], "410" in failed["problem"]) == ([410], True)
    disabled = holds(SubscriptionDocument, hooks.ask("GET", path))
    assert (disabled["disabled_at"] is not None, "410" in disabled["disabled_because"]) == (True, True)
    settle(hooks.served.catalog, "more", "1.1.0", name="gone/a")
    repeat = f"{path}/deliveries/{failed['id']}/repeat"
    assert (len(hooks.deliveries(path)), hooks.ask("POST", repeat).status_code) == (1, 409)
    web.put("/hook")
    assert hooks.ask("POST", f"{path}/enable", models="gone/*").status_code == 404  # Another publisher of the model.
    enabled = holds(SubscriptionDocument, hooks.ask("POST", f"{path}/enable"))
    assert enabled == {**disabled, "failing_since": None, "disabled_at": None, "disabled_because": ""}
    settle(hooks.served.catalog, "even more", "1.2.0", name="gone/a")
    until(lambda: hooks.deliveries(path)[0], lambda newest: newest["state"] == "delivered")
    assert verified(web.requests[-1], made["secret"])["data"]["version"] == "1.2.0"


def test_a_revoked_key_s_receivers_get_nothing_more(hooks: Hooks, web: WebServer) -> None:
    """Neither does a later key of the same name see or sign anything of the first one's."""
    catalog = hooks.served.catalog

    def key() -> dict[str, str]:
        return {"Authorization": f"Bearer {create_key(catalog, 'twice', 'publisher', now=utc_now())[1]}"}

    def ask(method: str, path: str, sender: dict[str, str], **body: Any) -> httpx.Response:
        return hooks.served.request(method, path, json=body or None, headers=sender)

    first, url = key(), web.put("/hook")
    secret = ask("GET", "/webhooks/callback-secret", first).json()["secret"]
    assert ask("GET", "/webhooks/callback-secret", first).json()["secret"] == secret
    made = ask("POST", "/webhooks", first, url=url, events=["version.passed"], models=["twice/*"]).json()
    job = ask("POST", "/models/import", first, uri="mock:org/name", name="twice/job", callback_url=url).json()
    hooks.delivered(f"/ingests/{job['id']}", role="admin")
    received = until(lambda: list(web.requests), lambda all_: len(all_) == 2)
    catalog.keys.revoke("twice")
    second = key()
    assert ask("GET", "/webhooks/callback-secret", second).json()["secret"] != secret
    settle(catalog, name="twice/a")
    assert ask("GET", "/webhooks", second).json()["items"] == []
    for path in (f"/webhooks/{made['id']}", f"/ingests/{job['id']}/deliveries"):
        assert ask("GET", path, second).status_code == 404
    shown = hooks.ask("GET", f"/webhooks/{made['id']}", role="admin").json()
    assert (shown["owner"], "revoked" in shown["disabled_because"]) == ("key:twice", True)
    assert hooks.ask("POST", f"/webhooks/{made['id']}/enable", role="admin").status_code == 409
    ask("POST", "/webhooks", second, url=web.put("/later"), events=["version.passed"], models=["twice/*"])
    settle(catalog, name="twice/b")
    until(lambda: web.requests[-1].path, lambda path: path == "/later")
    assert web.requests[:-1] == received


def test_a_silent_receiver_holds_up_no_other(hooks: Hooks, web: WebServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        slow = [hooks.subscribe(f"http://127.0.0.1:{port}/{n}", models=("slow/*",)) for n in range(6)]
        quick = hooks.subscribe(web.put("/hook"), models=("slow/*",))
        settle(hooks.served.catalog, name="slow/a")
        hooks.delivered(f"/webhooks/{quick['id']}")
        waiting = [hooks.deliveries(f"/webhooks/{one['id']}")[0] for one in slow]
        assert {one["state"] for one in waiting} == {"waiting"}
        assert sum(one["attempts"] for one in waiting) <= 2  # One at a time goes to one receiver.
        for one in slow:
            assert hooks.ask("DELETE", f"/webhooks/{one['id']}").status_code == 200


def test_a_dead_receiver_and_one_that_never_ends(hooks: Hooks) -> None:
    with WebServer() as closed:
        dead = closed.url("/")
    made = hooks.subscribe(dead, models=("dead/*",))
    with answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n") as endless:
        other = hooks.subscribe(endless, models=("dead/*",))
        settle(hooks.served.catalog, name="dead/a")
        (failed,) = hooks.delivered(f"/webhooks/{made['id']}", "failed")
        assert [one["status"] for one in failed["tried"]] == [None] * 3
        assert "failed" in failed["tried"][0]["problem"]
        hooks.delivered(f"/webhooks/{other['id']}")


# Subscriptions


def test_changes_by_any_process_are_told(hooks: Hooks, web: WebServer) -> None:
    made = hooks.subscribe(web.put("/hook") + "?token=hunter2", models=("told/*",))
    catalog = hooks.served.catalog  # Another process than the one that serves.
    first = settle(catalog, "told 1", name="told/a")
    second = settle(catalog, "told 2", "1.1.0", name="told/a")
    catalog.add_result(result(first, 1.0))
    catalog.add_result(result(second, 1.5))
    settle(catalog, "told 3", "1.2.0", "FAILED", name="told/a")
    assert hooks.ask("DELETE", "/models/told/a/versions/1.0.0?reason=recalled").status_code == 200
    assert hooks.ask("POST", "/models/told/a/license/acknowledgements", {"person": "Ada"}).status_code == 201
    told = until(lambda: list(web.requests), lambda requests: len(requests) >= 6)
    of_versions = [event for event in EVENTS if not event.startswith("hub.")]
    assert sorted(verified(one, made["secret"])["type"] for one in told) == sorted([*of_versions, "version.passed"])
    until(
        lambda: hooks.deliveries(f"/webhooks/{made['id']}"),
        lambda all_: {one["state"] for one in all_} == {"delivered"},
    )
    page = holds(DeliveryList, hooks.ask("GET", f"/webhooks/{made['id']}/deliveries?limit=4"))
    rest = holds(DeliveryList, hooks.ask("GET", f"/webhooks/{made['id']}/deliveries?limit=4&cursor={page['next']}"))
    ids = [one["id"] for one in (*page["items"], *rest["items"])]
    assert (len(set(ids)), rest["next"]) == (6, None)


def test_subscriptions_belong_to_their_callers(hooks: Hooks) -> None:
    mine = hooks.subscribe("https://8.8.8.8/hunter2?token=hunter2", "version.passed", models=("mine/*",))
    other = hooks.subscribe("https://8.8.8.8/", models=("other",))
    team = hooks.ask("POST", "/webhooks", {"url": "https://8.8.8.8/", "events": ["version.passed"]}, models="team-a/*")
    assert team.status_code == 201
    shown = holds(SubscriptionDocument, hooks.ask("GET", f"/webhooks/{mine['id']}"))
    assert shown == {name: value for name, value in mine.items() if name != "secret"}
    assert (shown["to"], shown["events"], shown["models"]) == ("https://8.8.8.8", ["version.passed"], ["mine/*"])
    listed = holds(SubscriptionList, hooks.ask("GET", "/webhooks?limit=200"))["items"]
    assert {mine["id"], other["id"]} <= {one["id"] for one in listed}
    assert team.json()["id"] not in {one["id"] for one in listed}
    everything = holds(SubscriptionList, hooks.ask("GET", "/webhooks?limit=200", role="admin"))["items"]
    assert {mine["id"], team.json()["id"]} <= {one["id"] for one in everything}
    for path in (f"/webhooks/{team.json()['id']}", f"/webhooks/{team.json()['id']}/deliveries", "/webhooks/none"):
        assert hooks.ask("GET", path).status_code == 404
        assert hooks.ask("GET", path, role="reader").status_code == 403
        assert hooks.served.get(path).status_code == 401
    assert hooks.ask("DELETE", f"/webhooks/{team.json()['id']}").status_code == 404
    assert hooks.ask("DELETE", f"/webhooks/{team.json()['id']}", role="admin").status_code == 200
    assert hooks.ask("DELETE", f"/webhooks/{mine['id']}").status_code == 200
    assert hooks.ask("GET", f"/webhooks/{mine['id']}").status_code == 404
    actions = [row.action for row in hooks.served.catalog.audit.rows(object_=f"webhook:{mine['id']}", limit=10)]
    assert actions == ["webhook.created", "webhook.removed"]


def test_secrets_are_in_no_answer_log_or_database(hooks: Hooks) -> None:
    made = hooks.subscribe("https://8.8.8.8/", models=("secret/*",))
    secrets = [made["secret"], hooks.secret(), (hooks.folder / "home" / "webhook-secret").read_text()]
    answers = "".join(hooks.ask("GET", path, role="admin").text for path in ("/webhooks?limit=200", "/audit?limit=200"))
    stored = b"".join(path.read_bytes() for path in (hooks.folder / "home").glob("catalog.db*"))
    for secret in secrets:
        text = secret.removeprefix("whsec_").strip()
        assert text not in answers + "\n".join(hooks.served.said)
        assert text.encode() not in stored
    assert "hunter2" not in answers + "\n".join(hooks.served.said)


# Processes that end


def test_a_message_outlives_a_killed_process(tmp_path: Path, web: WebServer) -> None:
    variables = environment(tmp_path, **HERE | {"WEBHOOK_RETRIES_S": ",".join("1" * 20)})
    made_for = web.put("/hook", silent=True, next=Page())
    with serving(tmp_path / "home", variables) as served:
        first = Hooks(served, tmp_path)
        made = first.subscribe(made_for, models=("m",))
        settle(served.catalog, name="m")
        path = f"/webhooks/{made['id']}"
        waiting = until(lambda: first.deliveries(path), lambda all_: all_ and web.requests)
        served.stop(signal.SIGKILL)
        header = first.key("publisher")
    with serving(tmp_path / "home", variables) as served:
        second = Hooks(served, tmp_path)
        second._keys[("publisher",)] = header
        (delivered,) = second.delivered(path)
        assert (delivered["id"], delivered["attempts"]) == (waiting[0]["id"], 2)
        assert [verified(one, made["secret"])["type"] for one in web.requests] == ["version.passed"] * 2


# The page


def test_the_receiver_of_the_page_verifies_messages(hooks: Hooks) -> None:
    (program,) = blocks(ROOT / "docs/api.md", "python")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = hooks.subscribe(f"http://127.0.0.1:{port}/", models=("page/*",))
    variables = os.environ | {"WEBHOOK_SECRET": made["secret"], "PORT": str(port)}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            until(lambda: listens(port), bool)
            settle(hooks.served.catalog, name="page/a")
            hooks.delivered(f"/webhooks/{made['id']}")
            assert process.stdout is not None
            assert process.stdout.readline() == "version.passed page/a\n"
        finally:
            process.kill()
