"""Receivers that cannot be, or may not be asked: whose field is wrong is told so, and nothing private is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.services.weighbridge import Served, serving
from tests.web.api.test_ingests import environment
from tests.web.api.test_webhooks import HERE, until

pytestmark = pytest.mark.xdist_group("web")
PRIVATE = [
    *("https://127.0.0.1/", "https://localhost/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/"),
    *("https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://0.0.0.0/", "https://0/"),
    *("https://2130706433/", "https://0x7f.1/", "https://[fd00::1]/", "https://[64:ff9b::7f00:1]/"),
    *("http://8.8.8.8/", "file:///etc/passwd", "gopher://8.8.8.8/", "https://user:hunter2@8.8.8.8/", "hooks", ""),
]


@pytest.mark.parametrize("url", PRIVATE)
def test_by_default_nothing_goes_to_private_addresses(served: Served, url: str) -> None:
    key = served.key("publisher")
    body = {"url": url, "events": ["version.passed"]}
    is_url = "//" in url and "@" not in url and "///" not in url
    refused = served.request("POST", "/webhooks", json=body, headers=key)
    assert refused.status_code == (400 if is_url else 422)
    assert refused.json()["remedy"]
    assert [one["field"] for one in refused.json().get("errors", [])] == ([] if is_url else ["body.url"])
    order = {"uri": "mock:org/name", "name": "private/a", "callback_url": url or "x"}
    refused = served.request("POST", "/models/import", json=order, headers=key)
    assert refused.status_code == (400 if is_url else 422)
    assert [one["field"] for one in refused.json().get("errors", [])] == ([] if is_url else ["body.callback_url"])
    assert "hunter2" not in refused.text
    assert served.catalog.jobs.listed(names=["private/*"]) == []
    if "127.0.0.1" in url and "[" not in url:
        assert 'WEIGHBRIDGE_WEBHOOK_NETWORKS=["127.0.0.1"]' in refused.json()["remedy"]


def test_where_a_name_leads_is_in_the_log_alone(served: Served) -> None:
    body = {"url": "https://localhost/", "events": ["version.passed"]}
    refused = served.request("POST", "/webhooks", json=body, headers=served.key("publisher"))
    assert "localhost leads to an address that is not public" in refused.json()["detail"]
    assert not any(address in refused.text for address in ("127.0.0.1", "::1"))
    until(lambda: "\n".join(served.said), lambda said: "localhost is at " in said)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"events": []}, 422),
        ({"events": ["version.loved"]}, 422),
        ({"models": ["/x"]}, 422),
        ({"models": ["a,b"]}, 422),
        ({"models": ["*a" * 17]}, 422),
        ({"models": [f"m{n}" for n in range(21)]}, 422),
        ({"models": "team-a/*"}, 422),
        ({"url": 7}, 422),
        ({"url": "https://8.8.8.8/" + "x" * 3000}, 422),
        ({"secret": "whsec_eA=="}, 422),
    ],
)
def test_subscriptions_that_cannot_be(served: Served, change: dict[str, Any], status: int) -> None:
    body = {"url": "https://8.8.8.8/", "events": ["version.passed"], **change}
    refused = served.request("POST", "/webhooks", json=body, headers=served.key("publisher"))
    assert refused.status_code == status
    (field,) = change
    assert all(one["field"].startswith(f"body.{field}") for one in refused.json()["errors"])
    assert refused.json()["errors"]


def test_an_operator_s_secret_that_cannot_be_read_is_no_fault_of_the_caller_s(tmp_path: Path) -> None:
    """And it keeps nobody from seeing and ending subscriptions."""
    (tmp_path / "webhook-secret").write_text("")
    with serving(tmp_path, environment(tmp_path, **HERE)) as served:
        sender = served.key("admin")
        for method, path in (("GET", "/webhooks/callback-secret"), ("POST", "/webhooks")):
            body = {"url": "https://8.8.8.8/", "events": ["version.passed"]} if method == "POST" else None
            refused = served.request(method, path, json=body, headers=sender)
            assert (refused.status_code, "webhook-secret" in refused.text) == (500, False)
        until(lambda: "\n".join(served.said), lambda said: "webhook-secret is empty" in said)
        assert served.get("/webhooks", headers=sender).json()["items"] == []
