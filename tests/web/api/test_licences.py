"""Licences over HTTP: terms with their sources, acknowledgements that the policy demands, and planned uses."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.values import REF, decision, digest
from tests.services.weighbridge import Served, holds, serving
from weighbridge.catalog import Catalog
from weighbridge.config.settings import Settings
from weighbridge.domain.access import Caller
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.errors import LicenceNotAcknowledged, StateConflict
from weighbridge.intake import licensing
from weighbridge.intake.licensing import refuse_unacknowledged
from weighbridge.intake.workspace import open_workspace
from weighbridge.web.api import licence_documents as documents

pytestmark = pytest.mark.xdist_group("web")
POLICY = "extends: standard\nlicence: {acknowledge: restricted}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("licences")
    (folder / "policy.yaml").write_text(POLICY)
    return folder


@pytest.fixture(scope="module")
def strict(home: Path) -> Iterator[Served]:
    """Serve a catalog whose policy demands acknowledgements of licences that restrict the use."""
    with serving(home, {"WEIGHBRIDGE_POLICY": str(home / "policy.yaml")}) as found:
        yield found


def settle(catalog: Catalog, name: str, licence: str = "", number: str = "1.0.0", text: str = "terms") -> None:
    """Settle a version whose README states a licence, with a licence's text."""
    card = ModelCard({"licence": Field(licence, "README.md#license")} if licence else {})
    files = (FileEntry("LICENSE", 5, digest(text)), FileEntry("model.bin", 7, digest(number)))
    manifest = Manifest(REF, files)
    catalog.settle_version(name, REF.uri, manifest, card, decision(), (), lambda _: number)


def test_a_licence_with_the_source_of_each_statement(strict: Served) -> None:
    settle(strict.catalog, "licences/llama", "llama3.1")
    found = holds(documents.LicenceDocument, strict.get("/models/licences/llama/license"))
    assert (found["license_type"], found["origin"], found["read_from"]) == ("llama3.1", "files", "README.md#license")
    assert found["license_restrictions"] == {
        "commercial_use": True,
        "derivatives": True,
        "monthly_active_users_limit": 700_000_000,
        "note": "up to 700 million monthly users",
    }
    assert {(one["about"], one["license"], one["clause"], one["verified"]) for one in found["statements"]} == {
        ("commercial_use", "llama3.1", "§1(a), §2", True),
        ("derivatives", "llama3.1", "§1(a)", True),
        ("monthly_active_users_limit", "llama3.1", "§2", True),
    }
    assert found["alternatives"] == [[{"name": "llama3.1", "title": "Llama 3.1 Community License Agreement"}]]
    assert found["texts"] == [{"path": "LICENSE", "sha256": digest("terms").hex}]
    assert (found["acknowledgement_needed"], found["acknowledged"]) == (True, False)
    assert any("/license/acknowledgements" in warning for warning in found["warnings"])
    assert any("limits the use: up to 700 million monthly users" in warning for warning in found["warnings"])
    model = strict.get("/models/licences/llama").json()
    assert model["license_restrictions"] == found["license_restrictions"]


def test_what_is_unknown_is_called_unknown(strict: Served) -> None:
    for name, licence in (("licences/none", ""), ("licences/ours", "our-terms")):
        settle(strict.catalog, name, licence)
        found = holds(documents.LicenceDocument, strict.get(f"/models/{name}/license"))
        assert (found["license_type"], found["license_restrictions"]) == (licence or None, None)
        assert found["statements"] == found["conditions"] == []
        assert len(found["warnings"]) == 2
        planned = strict.request("POST", f"/models/{name}/license/check", json={"purpose": "research"})
        assert holds(documents.Checked, planned)["result"] == "allowed_with_conditions"


def test_what_was_not_compared_with_the_text_is_called_unverified(strict: Served) -> None:
    settle(strict.catalog, "licences/unread", "apple-amlr")
    found = holds(documents.LicenceDocument, strict.get("/models/licences/unread/license"))
    assert {one["verified"] for one in (*found["statements"], *found["conditions"])} == {False}
    assert any("apple-amlr was not compared with its text" in warning for warning in found["warnings"])


def test_what_is_declared_is_said_by_its_person(strict: Served) -> None:
    settle(strict.catalog, "licences/declared", "CC-BY-NC-4.0")
    said = {"license_type": "mit", "license_restrictions": {"commercial_use": True}}
    strict.catalog.acting("key:ci").declarations.change("licences/declared", said)
    found = holds(documents.LicenceDocument, strict.get("/models/licences/declared/license"))
    assert (found["license_type"], found["declared"], found["declared_by"]) == ("CC-BY-NC-4.0", "mit", "key:ci")
    assert found["license_restrictions"]["commercial_use"] is False
    assert {"about": "commercial_use", "value": True, "origin": "declaration", "license": "", "clause": "",
            "verified": False, "declared_by": "key:ci"} in found["statements"]  # fmt: skip
    assert [warning.partition(":")[0] for warning in found["warnings"]][:2] == ["license_type", "license_restrictions"]


def test_an_acknowledgement_counts_for_its_key_and_its_text(strict: Served, home: Path) -> None:
    name = "licences/acknowledged"
    settle(strict.catalog, name, "llama3.1")
    path, mine, other = f"/models/{name}/license", strict.key("reader", "licences/*"), strict.key("reader")
    assert strict.request("POST", f"{path}/acknowledgements", json={"person": "Ada"}).status_code == 401
    stale = {"person": "Ada", "text_sha256": "0" * 64}
    assert strict.request("POST", f"{path}/acknowledgements", json=stale, headers=mine).status_code == 409
    body = {"person": " Ada Lovelace ", "text_sha256": digest("terms").hex}
    given = holds(
        documents.AcknowledgementDocument,
        strict.request("POST", f"{path}/acknowledgements", json=body, headers=mine),
        201,
    )
    assert (given["person"], given["version"], given["license"]) == ("Ada Lovelace", "1.0.0", "llama3.1")
    assert given["texts"] == [{"path": "LICENSE", "sha256": digest("terms").hex}]
    assert strict.request("POST", f"{path}/acknowledgements", json=body, headers=mine).json() == given, "stored once"
    assert [strict.get(path, headers=key).json()["acknowledged"] for key in (mine, other, {})] == [True, False, False]
    lacking = [
        any(
            "is acknowledged before" in warning
            for warning in strict.get(f"/models/{name}/versions/1.0.0", headers=key).json()["warnings"]
        )
        for key in (mine, other)
    ]
    assert lacking == [False, True]
    listed = strict.get(f"{path}/acknowledgements", headers=strict.key("publisher"))
    assert holds(documents.AcknowledgementList, listed)["items"] == [given]
    assert strict.get(f"{path}/acknowledgements", headers=mine).status_code == 403

    settle(strict.catalog, name, "llama3.1", "1.1.0")
    assert strict.get(path, headers=mine).json()["acknowledged"] is True, "the same text of a later version"
    settle(strict.catalog, name, "llama3.1", "1.2.0", text="other terms")
    assert strict.get(path, headers=mine).json()["acknowledged"] is False, "the text has to be read again"
    rows = strict.catalog.audit.rows(action="licence.acknowledged")
    assert (rows[-1].object, rows[-1].actor) == (f"{name}@1.0.0", given["acknowledged_by"])
    _files_are_given_out(strict, home, name, given["acknowledged_by"].removeprefix("key:"))


def test_an_acknowledgement_that_is_sent_many_times_at_once_is_stored_once(strict: Served) -> None:
    settle(strict.catalog, "licences/at-once", "llama3.1")
    path, key = "/models/licences/at-once/license/acknowledgements", strict.key("reader")
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(strict.request, "POST", path, json={"person": "Ada"}, headers=key) for _ in range(8)]
    assert {one.result().status_code for one in sent} == {201}
    assert len({one.result().json()["id"] for one in sent}) == 1
    assert len(strict.catalog.acknowledgements.of("licences/at-once")) == 1


def _files_are_given_out(strict: Served, home: Path, name: str, key: str) -> None:
    """What gives out files asks one function: the key that acknowledged gets them, another one and nobody do not."""
    settings = Settings(home=home, policy=str(home / "policy.yaml"))
    version = strict.catalog.get(name, "1.0.0")
    assert version is not None
    with open_workspace(settings, on_behalf=True) as workspace:
        refuse_unacknowledged(version, Caller(key, "reader"), workspace)
        for other in (
            Caller("other", "admin"),
            Caller("", "reader", kind="anonymous"),
            Caller(key, "reader", kind="issuer"),
        ):
            with pytest.raises(LicenceNotAcknowledged, match="acknowledgements"):
                refuse_unacknowledged(version, other, workspace)
        strict.catalog.keys.revoke(key)
        strict.catalog.keys.add(key, f"hash of {key}", "reader", (), None)
        with pytest.raises(LicenceNotAcknowledged):
            refuse_unacknowledged(version, Caller(key, "reader"), workspace)


def test_a_policy_that_cannot_be_read_demands_everything(strict: Served, home: Path) -> None:
    settle(strict.catalog, "licences/free", "MIT")
    free = strict.get("/models/licences/free/license").json()
    assert (free["acknowledgement_needed"], free["warnings"]) == (False, [])
    (home / "policy.yaml").write_text("extends: [")
    try:
        response = strict.get("/models/licences/free/license")
        assert (response.status_code, response.json()["acknowledgement_needed"]) == (200, True)
        assert str(home) not in response.text
    finally:
        (home / "policy.yaml").write_text(POLICY)


def test_the_warnings_of_a_version_are_the_caller_s_own_and_follow_the_policy(strict: Served, home: Path) -> None:
    settle(strict.catalog, "licences/own", "llama3.1")
    mine, other = strict.key("reader"), strict.key("reader")
    path = "/models/licences/own/versions/1.0.0"

    def lacks(key: dict[str, str]) -> bool:
        return any("acknowledged before" in warning for warning in strict.get(path, headers=key).json()["warnings"])

    assert [lacks(key) for key in (mine, other, mine)] == [True, True, True]
    body = {"person": "Ada Lovelace"}
    strict.request("POST", "/models/licences/own/license/acknowledgements", json=body, headers=mine)
    assert [lacks(key) for key in (mine, other, mine, other)] == [False, True, False, True]
    (home / "policy.yaml").write_text("extends: standard\n")
    try:
        assert not lacks(other)
    finally:
        (home / "policy.yaml").write_text(POLICY)
    assert lacks(other)


def test_a_planned_use_is_judged(strict: Served) -> None:
    settle(strict.catalog, "licences/apache", "Apache-2.0")
    settle(strict.catalog, "licences/check", "llama3.1")

    def check(name: str, **use: Any) -> Any:
        body = {"purpose": "commercial", **use}
        return holds(documents.Checked, strict.request("POST", f"/models/licences/{name}/license/check", json=body))

    assert (check("apache")["result"], check("apache")["because"]) == ("allowed", [])
    assert check("apache", redistribution=True)["conditions"][0]["clause"] == "§4"
    refused = check("check", users_per_month=700_000_001)
    assert (refused["result"], refused["because"][0]["clause"]) == ("refused", "§2")
    allowed = check("check", users_per_month=1000)
    assert allowed["result"] == "allowed_with_conditions"
    assert any("acknowledged" in one["text"] for one in allowed["conditions"])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("check", {"purpose": "world domination"}, 422),
        ("check", {}, 422),
        ("check", {"purpose": "research", "users_per_month": -1}, 422),
        ("check", {"purpose": "research", "users": 1}, 422),
        ("check", {"purpose": "research", "version": "9.0.0"}, 404),
        ("acknowledgements", {}, 422),
        ("acknowledgements", {"person": "  "}, 422),
        ("acknowledgements", {"person": "\x1c\x85\xa0\ufeff"}, 422),
        ("acknowledgements", {"person": "Ada", "version": "9.0.0"}, 404),
        ("acknowledgements", {"person": "Ada", "at": "2020"}, 422),
    ],
)
def test_what_is_wrong_is_refused(strict: Served, path: str, body: dict[str, Any], status: int) -> None:
    settle(strict.catalog, "licences/wrong", "MIT")
    url = f"/models/licences/wrong/license/{path}"
    response = strict.request("POST", url, json=body, headers=strict.key("reader"))
    assert response.status_code == status, response.text
    assert strict.catalog.acknowledgements.of("licences/wrong") == []
    assert strict.request("POST", url, json=body, headers=strict.key("admin", "other/*")).status_code in (403, 422)


def test_one_caller_stores_only_so_many(strict: Served, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, caller = "licences/many", Caller("many", "reader")
    settle(strict.catalog, name, "llama3.1")
    monkeypatch.setattr(licensing, "MOST_EACH", 2)
    with open_workspace(Settings(home=home), on_behalf=True, actor=caller.actor) as workspace:

        def send(person: str, number: str = "1.0.0") -> int:
            return licensing.acknowledge(name, number, person, caller, workspace).id

        first, _ = send("Ada"), send("Bo")
        with pytest.raises(StateConflict, match="You have sent 2"):
            send("Cy")
        assert send("Ada") == first, "it is stored already"
        settle(strict.catalog, name, "llama3.1", "1.1.0", text="other terms")
        assert send("Cy", "1.1.0") > first, "without it the caller would lack one"
        with pytest.raises(StateConflict):
            send("Di", "1.1.0")
    strict.catalog.acting("key:other").acknowledgements.add(name, "1.0.0", "llama3.1", {}, "Ada", most=1)
    long = {"person": "A" * 201}
    path = f"/models/{name}/license/acknowledgements"
    assert strict.request("POST", path, json=long, headers=strict.key("reader")).status_code == 422
