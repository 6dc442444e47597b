"""Changes of a model: who may make them, and what is refused."""

from __future__ import annotations

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served, holds
from weighbridge.web.api.withdrawals import DefaultNow, Reinstated, Withdrawn

pytestmark = pytest.mark.xdist_group("web")
CHANGES = [
    ("DELETE", "/models/{name}", None),
    ("DELETE", "/models/{name}/versions/1.0.0", None),
    ("PUT", "/models/{name}/default-version", b'{"version": "1.0.0"}'),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_nothing_is_changed_without_a_key(served: Served, method: str, path: str, body: bytes | None) -> None:
    settle(served.catalog, "a", "1.0.0", name="withdrawals/a")
    settle(served.catalog, "b", "1.1.0", name="withdrawals/a")
    before = served.get("/models/withdrawals/a")
    response = served.request(method, path.replace("{name}", "withdrawals/a"), content=body)
    assert response.status_code == 401
    assert "only be read" in response.json()["detail"]
    assert served.get("/models/withdrawals/a").content == before.content


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_role_and_a_pattern_decide(served: Served, method: str, path: str, body: bytes | None) -> None:
    settle(served.catalog, "a", "1.0.0", name="withdrawals/roles")
    url = path.replace("{name}", "withdrawals/roles")
    for key, status in (
        (served.key("reader"), 403),
        (served.key("publisher", "other/*"), 403),
        (served.key("publisher", "withdrawals/*"), 200),
        (served.key("admin"), 200),
    ):
        response = served.request(method, url, content=body, headers={"Content-Type": "application/json", **key})
        assert response.status_code == status, response.text
        served.catalog.reinstate("withdrawals/roles", "1.0.0")


def test_the_default_version(served: Served) -> None:
    for number in ("1.0.0", "1.1.0"):
        settle(served.catalog, number, number, name="withdrawals/default")
    settle(served.catalog, "bad", "1.2.0", "FAILED", name="withdrawals/default")
    path, key = "/models/withdrawals/default/default-version", served.key("publisher")
    read = served.get("/models/withdrawals/default")
    first = served.request("PUT", path, json={"version": "1.0.0"}, headers={**key, "If-Match": read.headers["etag"]})
    assert holds(DefaultNow, first) == {"name": "withdrawals/default", "default_version": "1.0.0", "fixed": True}
    stale = served.request("PUT", path, json={"version": "1.1.0"}, headers={**key, "If-Match": read.headers["etag"]})
    assert (stale.status_code, stale.json()["type"]) == (412, "urn:weighbridge:problem:changed-meanwhile")
    newest = holds(DefaultNow, served.request("PUT", path, json={"version": None}, headers=key))
    assert (newest["default_version"], newest["fixed"]) == ("1.1.0", False)
    for body, status in (
        ({"version": "1.2.0"}, 409),
        ({"version": "9.0.0"}, 404),
        ({"version": 1}, 422),
        ({}, 422),
        ({"version": "1.0.0", "force": True}, 422),
        ([], 422),
    ):
        assert served.request("PUT", path, json=body, headers=key).status_code == status
    assert served.get("/models/withdrawals/default").json()["default_version"] == "1.1.0"


def test_what_is_withdrawn_is_given_to_nobody_and_stays(served: Served) -> None:
    for number in ("1.0.0", "1.1.0"):
        settle(served.catalog, number, number, name="withdrawals/b")
    key = served.key("publisher", "withdrawals/*")
    one = served.request("DELETE", "/models/withdrawals/b/versions/1.1.0?reason=recalled", headers=key)
    assert (holds(Withdrawn, one)["withdrawn"], one.json()["default_version"]) == (["1.1.0"], "1.0.0")
    version = served.get("/models/withdrawals/b/versions/1.1.0").json()
    assert (version["status"], version["decision"]["reasons"][0]["message"]) == ("FAILED", "recalled")
    whole = holds(Withdrawn, served.request("DELETE", "/models/withdrawals/b", headers=key))
    assert (whole["withdrawn"], whole["default_version"]) == (["1.0.0"], None)
    assert "No byte was deleted" in whole["kept"]
    assert holds(Withdrawn, served.request("DELETE", "/models/withdrawals/b", headers=key))["withdrawn"] == []
    assert len(served.get("/models/withdrawals/b/versions").json()["items"]) == 2
    assert served.request("DELETE", "/models/withdrawals/none", headers=key).status_code == 404


@pytest.mark.parametrize(
    ("method", "tail"),
    [("DELETE", ""), ("DELETE", "/versions/1.0.0"), ("DELETE", "?purge=true"), ("POST", "/versions/1.0.0/reinstate")],
)
def test_what_changed_meanwhile_is_not_withdrawn(served: Served, method: str, tail: str) -> None:
    settle(served.catalog, name="withdrawals/changed")
    path, key = "/models/withdrawals/changed", served.key("admin")
    etag = served.get(path).headers["etag"]
    served.catalog.declarations.change("withdrawals/changed", {"tags": [f"{method} {tail}"]})
    before = served.get(path)
    for condition in ({"If-Match": etag}, {"If-None-Match": "*"}):
        refused = served.request(method, f"{path}{tail}", headers={**key, **condition})
        assert (refused.status_code, refused.json()["type"]) == (412, "urn:weighbridge:problem:changed-meanwhile")
    assert served.get(path).content == before.content
    now = {**key, "If-Match": before.headers["etag"], "Idempotency-Key": f"changed{tail}"}
    sent = [served.request(method, f"{path}{tail}", headers=now) for _ in range(2)]
    if "purge" in tail:
        assert [one.status_code for one in sent] == [202, 202], "sent again, it is the same order"
    elif method == "DELETE":
        assert [one.status_code for one in sent] == [200, 412]
        served.catalog.reinstate("withdrawals/changed", "1.0.0")


def test_a_withdrawal_is_taken_back(served: Served) -> None:
    """Versions whose last verdict is not PASSED; one that is given out again is in test_ingests.py."""
    settle(served.catalog, "unread", "1.0.0", "SKIPPED", name="withdrawals/back")
    settle(served.catalog, "bad", "1.1.0", "FAILED", name="withdrawals/back")
    key, path = served.key("publisher", "withdrawals/*"), "/models/withdrawals/back/versions"
    served.request("DELETE", f"{path}/1.0.0", headers=key)
    assert served.get(f"{path}/1.0.0").json()["status"] == "FAILED"
    for number, status in (("1.0.0", "SKIPPED"), ("1.0.0", "SKIPPED"), ("1.1.0", "FAILED")):
        now = holds(Reinstated, served.request("POST", f"{path}/{number}/reinstate", headers=key))
        assert (now["version"], now["status"], now["default_version"]) == (number, status, None)
    assert served.request("POST", f"{path}/9.0.0/reinstate", headers=key).status_code == 404
    assert served.request("POST", f"{path}/1.0.0/reinstate", headers=served.key("reader")).status_code == 403
    served.catalog.purge("withdrawals/back", "1.1.0")
    purged = served.request("POST", f"{path}/1.1.0/reinstate", headers=key)
    assert (purged.status_code, "bytes" in purged.json()["detail"]) == (409, True)
    rows = [row for row in served.catalog.audit.of_model("withdrawals/back") if row.action == "version.reinstated"]
    assert {row.actor.partition("-")[0] for row in rows} == {"key:publisher"}


def test_who_changed_something_is_in_the_audit_log(served: Served) -> None:
    settle(served.catalog, name="withdrawals/audited")
    key = served.key("publisher")
    served.request("DELETE", "/models/withdrawals/audited?reason=recalled", headers=key)
    rows = [row for row in served.catalog.audit.of_model("withdrawals/audited") if row.action == "version.withdrawn"]
    assert [row.actor.partition("-")[0] for row in rows] == ["key:publisher"]


def test_a_list_has_only_what_a_key_is_for(served: Served) -> None:
    for name in ("withdrawals/x", "Withdrawals/y", "withdrawals_z", "hidden/x"):
        settle(served.catalog, name=name)
    key = served.key("reader", "withdrawals/*", "hidden_x")
    names = {model["name"] for model in served.get("/models?limit=200", headers=key).json()["items"]}
    assert "withdrawals/x" in names
    assert all(name.startswith("withdrawals/") for name in names)
    assert served.get("/models/hidden/x", headers=key).status_code == 403
    assert served.get("/models/hidden/none", headers=key).status_code == 403


def test_what_an_admin_withdrew_takes_an_admin_to_come_back(served: Served) -> None:
    settle(served.catalog, "a", "1.0.0", "SKIPPED", name="withdrawals/higher")
    settle(served.catalog, "b", "1.1.0", "FAILED", name="withdrawals/higher")
    publisher, admin = served.key("publisher"), served.key("admin")
    model = "/models/withdrawals/higher"
    path = f"{model}/versions/1.0.0"

    def reinstated(key: dict[str, str], number: str = "1.0.0") -> int:
        return served.request("POST", f"{model}/versions/{number}/reinstate?reason=looked+at", headers=key).status_code

    served.request("DELETE", f"{path}?reason=stolen", headers=admin)
    refused = served.request("POST", f"{path}/reinstate", headers=publisher)
    assert (refused.status_code, "the role admin" in refused.json()["detail"]) == (403, True)
    again = served.request("DELETE", f"{path}?reason=mine", headers=publisher)
    assert again.status_code == 200
    assert reinstated(publisher) == 403, "withdrawing it once more makes it no publisher's withdrawal"
    assert served.get(path).json()["decision"]["reasons"][0]["message"] == "stolen"
    assert reinstated(admin) == 200
    served.request("DELETE", path, headers=publisher)
    assert reinstated(publisher) == 200, "their own one"
    served.request("DELETE", path, headers=publisher)
    whole = holds(Withdrawn, served.request("DELETE", f"{model}?reason=stolen", headers=admin))
    assert whole["withdrawn"] == ["1.1.0", "1.0.0"], "also what a publisher withdrew, and what did not pass"
    assert (reinstated(publisher), reinstated(publisher, "1.1.0")) == (403, 403)
    settle(served.catalog, "b", "1.1.0", "PASSED", name="withdrawals/higher")
    assert served.get(f"{model}/versions/1.1.0").json()["status"] == "FAILED", "a later verdict does not undo it"
    assert served.request("DELETE", model, headers=publisher).json()["withdrawn"] == []
    rows = [row for row in served.catalog.audit.of_model("withdrawals/higher") if row.action == "version.reinstated"]
    assert [row.after for row in rows] == [{"status": "SKIPPED", "reason": "looked at"}] * 2


def test_nobody_reinstates_what_the_gate_refused(served: Served) -> None:
    """Whoever wants it to pass changes the policy, which has the reason; a withdrawal is a person's word alone."""
    settle(served.catalog, "a", "1.0.0", "FAILED", name="withdrawals/gate")
    path, admin = "/models/withdrawals/gate/versions/1.0.0", served.key("admin")
    served.request("DELETE", path, headers=admin)
    now = holds(Reinstated, served.request("POST", f"{path}/reinstate?reason=please", headers=admin))
    assert (now["status"], now["default_version"]) == ("FAILED", None)


def test_nobody_reinstates_what_the_store_has_lost(served: Served) -> None:
    settle(served.catalog, "a", "1.0.0", name="withdrawals/lost")
    path, admin = "/models/withdrawals/lost/versions/1.0.0", served.key("admin")
    served.request("DELETE", path, headers=admin)
    refused = served.request("POST", f"{path}/reinstate", headers=admin)
    assert refused.status_code == 409
    assert "fsck --repair" in refused.json()["remedy"]
    assert served.get(path).json()["status"] == "FAILED"
