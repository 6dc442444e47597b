"""Who may do what, for every operation of the OpenAPI document and every sort of caller.

`OPERATIONS` has a line for each operation: the role that it needs, and what a key for other models gets; one that needs
more for some requests has a second line, with their query. An operation without a line fails: decide what it needs, and
add the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.catalog.test_catalog import settle
from tests.services.weighbridge import NO_HUB, Served, serving
from weighbridge.catalog import JobOrder, Subscription
from weighbridge.config.settings import Settings
from weighbridge.domain.access import ROLES, Caller, Role, new_key
from weighbridge.domain.clock import utc_now
from weighbridge.domain.webhooks import EVENTS, Destination
from weighbridge.intake.callers import create_key
from weighbridge.web.app import create_api

pytestmark = pytest.mark.xdist_group("web")
DOCUMENT = create_api(Settings()).openapi()
#: A model that there is, and one that there is not: what changes something is asked of the second.
MODEL, NO_MODEL = "matrix/model", "matrix/none"


@dataclass(frozen=True)
class Access:
    """What an operation needs.

    Attributes:
        role: the lowest role that may.
        elsewhere: the status for a key of that role whose patterns match other models.
        body: a valid body, where one is needed to come to the question of the model.
    """

    role: Role
    elsewhere: int = 403
    body: dict[str, Any] | None = None


_IMPORT = {"uri": f"mock:{NO_MODEL}", "name": NO_MODEL}
_CUSTOM = {"name": NO_MODEL, "source": "custom", "architecture": "llama", "parameter_count": 1}
OPERATIONS: dict[tuple[str, str], Access] = {
    ("get", "/api/audit"): Access("admin"),
    ("get", "/api/hub/changes?since=2026-11-28T00:00:00Z"): Access("reader", elsewhere=200),  # The Hub is everybody's.
    ("get", "/api/hub/models"): Access("reader", elsewhere=200),
    ("get", "/api/hub/models/{repo_id}"): Access("reader", elsewhere=404),
    ("get", "/api/ingests"): Access("publisher", elsewhere=200),  # A list has what the key is for.
    ("delete", "/api/ingests/{job}"): Access("publisher", elsewhere=404),  # To others there is no such job.
    ("get", "/api/ingests/{job}"): Access("reader", elsewhere=404),
    ("get", "/api/ingests/{job}/events"): Access("reader", elsewhere=404),
    ("get", "/api/ingests/{job}/deliveries"): Access("publisher", elsewhere=404),
    ("post", "/api/ingests/{job}/deliveries/{delivery}/repeat"): Access("publisher", elsewhere=404),
    ("get", "/api/models"): Access("reader", elsewhere=200),
    ("post", "/api/models"): Access("publisher", body={**_CUSTOM, "storage_path": "s3://bucket/none/"}),
    ("post", "/api/models/import"): Access("publisher", body=_IMPORT),
    ("get", "/api/models/leaderboard"): Access("reader", elsewhere=200),
    ("delete", "/api/models/{id}"): Access("publisher"),
    ("delete", "/api/models/{id}?purge=true"): Access("admin"),
    ("get", "/api/models/{id}"): Access("reader"),
    ("put", "/api/models/{id}"): Access("publisher"),
    ("put", "/api/models/{id}/default-version"): Access("publisher"),
    ("get", "/api/models/{id}/diff"): Access("reader"),
    ("get", "/api/models/{id}/license"): Access("reader"),
    ("get", "/api/models/{id}/license/acknowledgements"): Access("publisher"),
    ("post", "/api/models/{id}/license/acknowledgements"): Access("reader"),
    ("post", "/api/models/{id}/license/check"): Access("reader"),
    ("get", "/api/models/{id}/scan"): Access("reader"),
    ("post", "/api/models/{id}/scan"): Access("publisher"),
    ("get", "/api/models/{id}/versions"): Access("reader"),
    ("post", "/api/models/{id}/versions"): Access("publisher"),
    ("delete", "/api/models/{id}/versions/{version}"): Access("publisher"),
    ("delete", "/api/models/{id}/versions/{version}?purge=true"): Access("admin"),
    ("get", "/api/models/{id}/versions/{version}"): Access("reader"),
    ("get", "/api/models/{id}/versions/{version}/files"): Access("reader"),
    ("get", "/api/models/{id}/versions/{version}/findings"): Access("reader"),
    ("post", "/api/models/{id}/versions/{version}/reinstate"): Access("publisher"),
    ("get", "/api/models/{id}/versions/{version}/reports"): Access("reader"),
    ("get", "/api/webhooks"): Access("publisher", elsewhere=200),  # The caller's own ones.
    ("post", "/api/webhooks"): Access("publisher", elsewhere=422),  # Its messages are about the key's models only.
    ("get", "/api/webhooks/callback-secret"): Access("publisher", elsewhere=200),  # The caller's own one.
    ("get", "/api/webhooks/{webhook}"): Access("publisher", elsewhere=404),
    ("delete", "/api/webhooks/{webhook}"): Access("publisher", elsewhere=404),
    ("post", "/api/webhooks/{webhook}/enable"): Access("publisher", elsewhere=404),
    ("get", "/api/webhooks/{webhook}/deliveries"): Access("publisher", elsewhere=404),
    ("post", "/api/webhooks/{webhook}/deliveries/{delivery}/repeat"): Access("publisher", elsewhere=404),
}


def test_every_operation_has_its_line() -> None:
    found = {(method, path) for path, operations in DOCUMENT["paths"].items() for method in operations}
    assert found == {(method, path.partition("?")[0]) for method, path in OPERATIONS}, (
        "add a line to OPERATIONS: the role that the operation needs"
    )


@dataclass(frozen=True)
class Keys:
    """A closed registry and the headers of every sort of caller."""

    served: Served
    refused: dict[str, dict[str, str]]
    roles: dict[Role, dict[str, str]]
    elsewhere: dict[Role, dict[str, str]]
    ids: dict[str, str]

    def status(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None = None) -> int:
        """Ask for an operation; what would change something is asked of what there is not."""
        ids = self.ids if method == "get" else dict.fromkeys(self.ids, "none") | {"id": NO_MODEL}
        where = re.sub(r"{(\w+)}", lambda found: ids[found[1]], path.removeprefix("/api"))
        options: dict[str, Any] = {} if body is None else {"json": body}
        return self.served.request(method.upper(), where, headers=headers, **options).status_code


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    environment = {"WEIGHBRIDGE_API_READING": "closed", "WEIGHBRIDGE_SERVE_JOBS": "0"}
    environment["WEIGHBRIDGE_HUGGINGFACE_ENDPOINT"] = NO_HUB
    # Each of these callers is at an address of its own, so that none is refused for the failures of others.
    environment["WEIGHBRIDGE_SERVE_PROXIES"] = "127.0.0.1"
    with serving(tmp_path_factory.mktemp("matrix"), environment) as served:
        settle(served.catalog, name=MODEL)
        _, expired = create_key(served.catalog, "expired", "admin", now=utc_now() - timedelta(hours=2), expires="1h")
        _, revoked = create_key(served.catalog, "revoked", "admin", now=utc_now())
        served.catalog.keys.revoke("revoked")
        text = new_key()
        refused = {
            "no key": {},
            "a malformed key": {"Authorization": f"Bearer {text[:-1]}"},
            "another key": {"Authorization": f"Bearer {text}"},
            "another scheme": {"Authorization": "Basic eDp5"},
            "an expired key": {"Authorization": f"Bearer {expired}"},
            "a revoked key": {"Authorization": f"Bearer {revoked}"},
        }
        roles = {role: served.key(role) for role in ROLES}
        elsewhere = {role: served.key(role, "elsewhere/*") for role in ROLES}
        yield Keys(served, refused, roles, elsewhere, _ids(served))


def _ids(served: Served) -> dict[str, str]:
    """Return what the parameters of paths may name: a model, a job that has ended, and somebody's subscription."""
    job = served.catalog.jobs.cancel(served.catalog.jobs.add(JobOrder("ingest", MODEL, {}, "key:somebody")).id)
    made = served.catalog.subscriptions.add(
        Subscription(Destination("https://8.8.8.8/", "x"), EVENTS, (), "key:somebody")
    )
    return {"id": MODEL, "version": "1.0.0", "job": job.id, "webhook": made.id, "delivery": "none", "repo_id": "none"}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_who_may(keys: Keys, method: str, path: str) -> None:
    needed = OPERATIONS[method, path]
    for number, (what, headers) in enumerate(keys.refused.items()):
        address = {"X-Forwarded-For": f"192.0.{list(OPERATIONS).index((method, path))}.{number}"}
        assert keys.status(method, path, headers | address) == 401, what
    for role, headers in keys.roles.items():
        status = keys.status(method, path, headers)
        if Caller("", role).may(needed.role):
            assert status not in (401, 403, 429), (role, status)
            assert status < 500, (role, status)
        else:
            assert status == 403, (role, status)
    assert keys.status(method, path, keys.elsewhere[needed.role], needed.body) == needed.elsewhere
    assert [job.id for job in keys.served.catalog.jobs.listed()] == [keys.ids["job"]]


#: What everybody may do without a key where reading is open, though it is no GET.
QUESTIONS = {"/api/models/{id}/license/check"}


def test_without_a_key_an_open_registry_can_be_read_and_no_more(served: Served) -> None:
    asked = Keys(served, {}, {}, {}, dict.fromkeys(("id", "version", "job", "webhook", "delivery", "repo_id"), "none"))
    for (method, path), access in OPERATIONS.items():
        is_open = access.role == "reader" and (method == "get" or path in QUESTIONS)
        assert (asked.status(method, path, {}, access.body) != 401) == is_open, (method, path)
