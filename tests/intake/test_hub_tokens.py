"""Tokens of a Hub: each opens what its Hub lets it read, for a minute, and nothing that another one may see."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.intake.test_mirror_ingests import FILES, READER, Door, work
from tests.simulators.hub import Hub
from weighbridge.domain.access import Caller, hash_of, new_key
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import (
    BeingWeighed,
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    SourceUnavailable,
    WeighbridgeError,
)
from weighbridge.intake import hub_tokens
from weighbridge.intake.asker import Asker
from weighbridge.intake.hub_permits import HubTokens
from weighbridge.intake.hub_tokens import holder_of, is_passed
from weighbridge.intake.job_orders import OrderSlip, order_ingest
from weighbridge.intake.mirroring import revisions, served
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import workspace_of

CONFIG = "mode: gated, pass_tokens: true, token: hf_mirror, ingest_by: anyone"
ALICE, BOB = "hf_alice", "hf_bob"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Hub() as hub:
        hub.add("org/private", FILES, private=True)
        hub.add("org/gated", FILES, gated=True)
        hub.tokens |= {
            "hf_mirror": frozenset({"org/private", "org/gated"}),
            ALICE: frozenset({"org/private"}),
            BOB: frozenset({"org/gated"}),
        }
        yield Door(tmp_path, hub)


@pytest.fixture
def passing(door: Door) -> Iterator[Resources]:
    with door.open(CONFIG, api_reading="closed") as resources:
        yield resources


def owner(resources: Resources, token: str, name: str = "org/private") -> Caller:
    return holder_of(token, "models", name, resources)


def checks(door: Door) -> list[str]:
    return [request.token for request in door.hub.asked(path="/auth-check")]


def test_a_token_opens_the_repository_that_its_hub_lets_it_read(door: Door, passing: Resources) -> None:
    alice = owner(passing, ALICE)
    assert alice == Caller(hash_of(ALICE)[:16], "reader", ("org/private",), kind="hub")
    with pytest.raises(BeingWeighed):
        served("models", "org/private", "", alice, passing)
    work(passing)
    assert served("models", "org/private", "", alice, passing).version.status == "PASSED"
    assert revisions("models", "org/private", alice, passing).numbers
    with pytest.raises(NotInCatalog, match="shows this token no repository org/private"):
        owner(passing, BOB)
    with pytest.raises(NotPermitted, match="does not let this token read org/gated"):
        owner(passing, ALICE, "org/gated")
    assert owner(passing, BOB, "org/gated").models == ("org/gated",)
    for name in ("org/gated", "org/private/x"):
        with pytest.raises(NotPermitted):
            served("models", name, "", alice, passing)
    sent = {request.token for request in door.hub.requests if "/auth-check" not in request.path}
    assert sent == {"hf_mirror"}, "jobs have no token of a client's"


def test_nothing_is_written_down_but_the_beginning_of_a_hash(door: Door, passing: Resources) -> None:
    with pytest.raises(BeingWeighed):
        served("models", "org/private", "", owner(passing, ALICE), passing)
    asker = passing.catalog.jobs.listed()[0].order.asker
    assert asker == f"hub:{hash_of(ALICE)[:16]}"
    for path in (door.folder / "home").rglob("*"):
        assert not path.is_file() or ALICE.encode() not in path.read_bytes()
    assert ALICE not in repr(vars(passing.hub_tokens))


def test_an_answer_counts_for_a_minute_and_a_refusal_for_seconds(door: Door, passing: Resources) -> None:
    now = [0.0]
    passing.hub_tokens = HubTokens(lambda: now[0])
    for _ in range(3):
        owner(passing, ALICE)
        with pytest.raises(NotInCatalog):
            owner(passing, BOB)
    assert checks(door) == [ALICE, BOB]
    door.hub.tokens[ALICE] = frozenset()
    now[0] = 11.0
    owner(passing, ALICE)
    with pytest.raises(NotInCatalog):
        owner(passing, BOB)
    assert checks(door) == [ALICE, BOB, BOB]
    now[0] = 61.0
    with pytest.raises(NotInCatalog):
        owner(passing, ALICE)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 503}, SourceUnavailable),
        ({"status": 429, "headers": {"Retry-After": "50"}}, SourceUnavailable),
        ({"status": 500}, SourceUnavailable),
        ({"status": 418}, NotInCatalog),
        ({"status": 302, "headers": {"Location": "http://10.255.0.1/"}}, NotInCatalog),
        ({"status": 404}, NotInCatalog),
        ({"status": 403}, NotPermitted),
        ({"status": 401}, NotAuthenticated),
    ],
)
def test_without_an_answer_nothing_is_let_through(
    door: Door, passing: Resources, fault: dict[str, object], kind: type[WeighbridgeError]
) -> None:
    now = [0.0]
    passing.hub_tokens = HubTokens(lambda: now[0])
    owner(passing, ALICE)
    door.hub.fault("/auth-check", **fault)
    now[0] = 61.0
    with pytest.raises(kind) as caught:
        owner(passing, ALICE)
    assert ALICE not in str(caught.value)
    assert kind is not SourceUnavailable or caught.value.facts["retry_after_s"] >= 2


def test_a_token_that_is_none(passing: Resources) -> None:
    with pytest.raises(NotAuthenticated, match="its Hub does not accept it"):
        owner(passing, "hf_invented")


def test_another_host_gets_no_token(door: Door) -> None:
    place = f"{door.hub.cdn_url}/elsewhere/auth-check-moved"
    door.hub.fault("/auth-check", status=302, headers={"Location": place})
    networks = ("127.0.0.0/8", "::1/128")
    with (
        door.open(CONFIG, api_reading="closed", private_networks=networks) as resources,
        pytest.raises(WeighbridgeError),
    ):
        owner(resources, ALICE)
    assert [request.token for request in door.hub.asked(path="/elsewhere")] == [""]


def test_a_model_of_that_name_from_elsewhere_stays_unknown(door: Door, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "own"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    door.hub.add("company/own", FILES)
    door.hub.add("company/own-7b", FILES)
    with door.open(CONFIG, api_reading="closed", file_roots=(tmp_path / "models",)) as resources:
        for name in ("company/own", "company/own:7b"):
            with workspace_of(resources, Asker(on_behalf=True, actor="key:ci")) as workspace:
                order_ingest(IngestRequest(ModelRef("file", str(folder)), name), OrderSlip(READER), workspace)
        work(resources)
        caller = owner(resources, ALICE, "company/own")
        for ask in (served, revisions):
            with pytest.raises(NotInCatalog, match="has no model company/own"):
                ask(
                    *(
                        ("models", "company/own", "", caller, resources)
                        if ask is served
                        else ("models", "company/own", caller, resources)
                    )
                )  # type: ignore[operator]
        assert served("models", "company/own", "", READER, resources).version
    with door.open(CONFIG.replace("gated", "catalog"), api_reading="closed") as resources:
        with pytest.raises(NotInCatalog):
            served("models", "company/own-7b", "", owner(resources, ALICE, "company/own-7b"), resources)
        assert served("models", "company/own-7b", "", READER, resources).version.name == "company/own:7b"


def test_a_token_starts_no_job_unless_anyone_may(door: Door) -> None:
    config = CONFIG.replace("anyone", "reader")
    with door.open(config, api_reading="closed") as resources, pytest.raises(NotAuthenticated):
        served("models", "org/private", "", owner(resources, ALICE), resources)


def test_keys_of_ours_go_nowhere(door: Door, passing: Resources) -> None:
    assert is_passed(ALICE, "org/private", passing)
    for token in (new_key(), new_key()[:-1], "eyJ.a.b", ""):
        assert not is_passed(token, "org/private", passing)
    assert not is_passed(ALICE, "", passing)
    with door.open("mode: gated") as plain:
        assert not is_passed(ALICE, "org/private", plain)


def test_many_questions_at_once_hold_up_a_few_requests(
    door: Door, passing: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_tokens, "_TIMEOUT_S", 0.3)
    door.hub.fault("/auth-check", hang_after=-1)

    def ask(number: int) -> str:
        try:
            owner(passing, f"hf_{number}")
        except SourceUnavailable as error:
            return error.problem
        return ""

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(ask, range(12)))
    assert len([text for text in found if "what other tokens may read" in text]) >= 8
    assert all(found)
