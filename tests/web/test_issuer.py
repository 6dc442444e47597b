"""Bearer tokens of the organisation's issuer, asked of a real server beside a real issuer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import Served, serving
from tests.simulators.issuer import AUDIENCE, Issuer, new_key
from tests.simulators.web import WebServer
from weighbridge.web.failures import LIMIT

pytestmark = pytest.mark.xdist_group("web")
KEY = new_key("first", "RS256")
MODEL = "issued/model"


def environment(issuer: Issuer, **more: str) -> dict[str, str]:
    chosen = {
        "ISSUER": issuer.url,
        "ISSUER_AUDIENCES": AUDIENCE,
        "ISSUER_ROLES": json.dumps({"readers": "reader", "writers": "publisher", "admins": "admin"}),
        "API_READING": "closed",
        "SERVE_PROXIES": "127.0.0.1",
        **more,
    }
    return {f"WEIGHBRIDGE_{name}": value for name, value in chosen.items()}


@dataclass
class Site:
    """A served registry and its issuer."""

    served: Served
    issuer: Issuer

    def ask(self, token: str, method: str = "GET", path: str = f"/models/{MODEL}") -> httpx.Response:
        return self.served.request(method, path, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with WebServer() as web:
        issuer = Issuer(web, KEY)
        home = tmp_path_factory.mktemp("issued")
        with serving(home, environment(issuer, ISSUER_MODELS_CLAIM="wb.models")) as served:
            settle(served.catalog, name=MODEL)
            yield Site(served, issuer)


@pytest.mark.parametrize(
    ("roles", "reads", "withdraws"),
    [("readers", 200, 403), (["other", "writers"], 200, 200), (["admins"], 200, 200), ("nobody", 403, 403)],
)
def test_each_role(site: Site, roles: object, reads: int, withdraws: int) -> None:
    token = site.issuer.token(KEY, roles=roles, wb={"models": "*"})
    assert site.ask(token).status_code == reads
    refused = site.ask(token, "DELETE")
    assert refused.status_code == withdraws
    if withdraws == 403:
        assert "token" in refused.json()["detail"]


def test_a_role_for_some_models_and_the_audit_log(site: Site) -> None:
    settle(site.served.catalog, name="issued/audited")
    token = site.issuer.token(KEY, roles="writers", wb={"models": ["issued/*"]}, sub="anna@example.com")
    assert site.ask(token, "DELETE", "/models/issued/audited").status_code == 200
    assert site.ask(token, "DELETE", "/models/other/x").status_code == 403
    assert site.ask(site.issuer.token(KEY, roles="writers"), "DELETE").status_code == 403
    some = site.issuer.token(KEY, roles="admins", wb={"models": ["issued/*"]})
    refused = site.ask(some, path="/audit")
    assert (refused.status_code, "the token is for issued/*" in refused.json()["detail"]) == (403, True)
    rows = site.served.catalog.audit.of_model("issued/audited")
    assert "issuer:anna@example.com" in {row.actor for row in rows if row.action == "version.withdrawn"}


def test_what_is_no_valid_token_is_refused(site: Site) -> None:
    for token, words in (
        (site.issuer.token(KEY, exp=1), "expired"),
        (site.issuer.token(KEY, aud="other"), "audience"),
        (site.issuer.token(new_key("stranger", "RS256")), "no key for it"),
        ("a.b.c", "malformed"),
        ("a.b.c.d.e", "not a key of this registry"),
    ):
        response = site.ask(token)
        assert (response.status_code, words in response.json()["detail"]) == (401, True), response.text
        assert response.headers["www-authenticate"].startswith("Bearer")
    assert site.ask(site.served.key("reader")["Authorization"].removeprefix("Bearer ")).status_code == 200


def test_refused_tokens_count_as_failures(site: Site) -> None:
    """Without a role they do not: who sends such a token is known."""
    headers = {"X-Forwarded-For": "192.0.2.77"}
    for token, last in ((site.issuer.token(KEY, roles="nobody"), 403), (site.issuer.token(KEY, exp=1), 429)):
        sent = {"Authorization": f"Bearer {token}", **headers}
        statuses = [site.served.get("/models", headers=sent).status_code for _ in range(LIMIT + 1)]
        assert statuses[-1] == last


def test_several_processes_and_an_issuer_that_is_away(tmp_path: Path) -> None:
    with WebServer() as web:
        issuer = Issuer(web, KEY)
        with serving(tmp_path, environment(issuer), "--workers", "2") as served:
            try:
                _is_told(Site(served, issuer))
            finally:
                served.stop()  # It ends its processes, too.


def _is_told(site: Site) -> None:
    document, token = site.issuer.site.pages.copy(), site.issuer.token(KEY)
    site.issuer.fail()
    response = site.ask(token, path="/models")
    assert (response.status_code, response.headers["retry-after"]) == (503, "10")
    assert "its issuer does not answer" in response.json()["detail"]
    assert site.issuer.url not in response.text
    assert site.served.get("/models", headers=site.served.key("reader")).status_code == 200
    site.issuer.site.pages.update(document)
    header = {"Authorization": f"Bearer {token}"}
    with httpx.Client(trust_env=False, headers={**header, "Connection": "close"}) as client:
        statuses = {client.get(f"{site.served.url}/models").status_code for _ in range(8)}
    assert statuses <= {200, 503}, "the process that has not asked yet asks now, the other one after a while"
