"""The keys of an issuer: read by discovery, read again when one is unknown or old, and never in a storm."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.simulators.issuer import DISCOVERY, KEYS, Issuer, new_key
from tests.simulators.web import WebServer
from weighbridge.errors import IssuerUnavailable, SourceError, SourceMisbehaved
from weighbridge.net import issuer_keys
from weighbridge.net.issuer_keys import ASK_EVERY_S, KEEP_S, REFRESH_S, IssuerKeys
from weighbridge.net.retrying import Retrying
from weighbridge.net.transfer import Transfer


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with WebServer() as site:
        yield Issuer(site, new_key("one"))


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture(scope="module")
def transfer() -> Transfer:
    return Transfer(timeout_s=1, max_redirects=0, retrying=Retrying(attempts=1))


@pytest.fixture
def keys(issuer: Issuer, clock: _Clock, transfer: Transfer) -> IssuerKeys:
    return IssuerKeys(issuer.url, transfer, clock)


def ids(keys: IssuerKeys, id_: str | None) -> list[str]:
    return [key.id for key in keys.named(id_)]


def settle(keys: IssuerKeys) -> None:
    """Wait until nobody asks the issuer any more."""
    if question := keys._question:
        question.answered.wait()


def test_they_are_read_once_and_kept(issuer: Issuer, keys: IssuerKeys) -> None:
    assert issuer.asked == 0
    assert [ids(keys, "one") for _ in range(3)] == [["one"]] * 3
    assert issuer.asked == 2


def test_a_new_key_is_found_and_a_withdrawn_one_ends(issuer: Issuer, keys: IssuerKeys, clock: _Clock) -> None:
    assert ids(keys, "one") == ["one"]
    issuer.publish(new_key("two").public)
    assert ids(keys, "two") == [], "it was asked a moment ago"
    clock.now += ASK_EVERY_S
    assert ids(keys, "two") == ["two"]
    assert ids(keys, "one") == []


def test_old_keys_are_read_again_beside_the_request(issuer: Issuer, keys: IssuerKeys, clock: _Clock) -> None:
    assert ids(keys, "one") == ["one"]
    issuer.publish(new_key("two").public)
    clock.now += REFRESH_S + 1
    assert ids(keys, "one") == ["one"], "it is answered with what is known"
    settle(keys)
    assert (ids(keys, "one"), ids(keys, "two")) == ([], ["two"])


def test_forged_ids_are_no_storm_of_requests(issuer: Issuer, keys: IssuerKeys, clock: _Clock) -> None:
    """fastapi-zitadel-auth #149 and others: each unknown id was a request, and emptied what was known."""
    assert ids(keys, "one") == ["one"]
    clock.now += ASK_EVERY_S
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(partial(became_of, keys), (f"forged {number}" for number in range(8)))
        assert {*found} <= {"refused", "unavailable"}
    settle(keys)
    assert issuer.asked == 4
    assert ids(keys, "one") == ["one"]
    assert ids(keys, "forged") == [], "it is refused by what is known, and the issuer is not asked"
    assert issuer.asked == 4


def test_an_issuer_that_hangs_holds_up_nobody_until_it_answers(issuer: Issuer, clock: _Clock) -> None:
    patient = Transfer(timeout_s=60, max_redirects=0, retrying=Retrying(attempts=1))
    keys = IssuerKeys(issuer.url, patient, clock)
    assert ids(keys, "one") == ["one"]
    issuer.site.put(DISCOVERY, b"", silent=True)
    clock.now += ASK_EVERY_S
    with ThreadPoolExecutor(12) as pool:
        found = pool.map(partial(became_of, keys), (f"forged {number}" for number in range(12)))
        assert {*found} == {"unavailable"}
    question = keys._question
    assert question is not None, "the issuer still has not answered"
    assert ids(keys, "one") == ["one"]
    issuer.site.stopping.set()
    settle(keys)
    assert became_of(keys, "forged") == "unavailable", "the issuer is away, so that the key may be a new one of it"


def test_few_requests_wait_for_the_issuer_at_once(
    issuer: Issuer, keys: IssuerKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "_WAIT_S", 60.0)
    asked, answering = threading.Event(), threading.Event()
    read = keys.read

    def slow() -> tuple[issuer_keys.VerifyingKey, ...]:
        asked.set()
        answering.wait()
        return read()

    monkeypatch.setattr(keys, "read", slow)
    with ThreadPoolExecutor(issuer_keys._MOST_WAITING) as pool:
        waiting = [pool.submit(became_of, keys, "one") for _ in range(issuer_keys._MOST_WAITING)]
        asked.wait()
        while keys._waiting._value:  # type: ignore[attr-defined]
            time.sleep(0.01)
        assert became_of(keys, "one") == "unavailable", "another one does not wait"
        answering.set()
        assert [one.result() for one in waiting] == ["found"] * issuer_keys._MOST_WAITING
    assert issuer.asked == 2


def became_of(keys: IssuerKeys, id_: str) -> str:
    """Ask for a key, and say what became of it."""
    try:
        return "found" if keys.named(id_) else "refused"
    except IssuerUnavailable:
        return "unavailable"


@pytest.mark.parametrize(
    "content", [b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AAAA", "kid": "one"}]}', b"down"]
)
def test_an_answer_without_keys_is_no_storm_either(
    content: bytes, issuer: Issuer, keys: IssuerKeys, clock: _Clock
) -> None:
    """mobula #28: a set without usable keys switched the limit off."""
    issuer.site.put(KEYS, content)
    for _ in range(5):
        try:
            assert ids(keys, "one") == []
        except IssuerUnavailable:
            assert content == b"down"
    assert issuer.asked == 2
    clock.now += ASK_EVERY_S
    issuer.publish(new_key("one").public)
    assert ids(keys, "one") == ["one"]


def test_keys_outlive_the_issuer_for_a_day(issuer: Issuer, keys: IssuerKeys, clock: _Clock) -> None:
    assert ids(keys, "one") == ["one"]
    issuer.fail()
    for _ in range(3):
        clock.now += REFRESH_S + 1
        assert ids(keys, "one") == ["one"]
        settle(keys)
    clock.now += KEEP_S
    with pytest.raises(IssuerUnavailable, match="cannot be verified now"):
        keys.named("one")


def test_an_issuer_that_hangs_holds_up_no_known_key(issuer: Issuer, keys: IssuerKeys, clock: _Clock) -> None:
    assert ids(keys, "one") == ["one"]
    issuer.site.put(DISCOVERY, b"{}", hang_after=1)
    clock.now += REFRESH_S + 1
    assert ids(keys, "one") == ["one"]
    assert ids(keys, "one") == ["one"]
    issuer.site.stopping.set()
    settle(keys)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"issuer": "https://elsewhere.example.com"}, "not of"),
        ({"issuer": None}, "not of"),
        ({"jwks_uri": None}, "no protected address"),
        ({"jwks_uri": "http://keys.example.com/"}, "no protected address"),
        ({"jwks_uri": "file:///etc/keys.json"}, "no protected address"),
        ({"jwks_uri": "https://[x"}, "no protected address"),
        ({"jwks_uri": ["https://example.com"]}, "no protected address"),
    ],
)
def test_a_wrong_discovery_is_refused(changed: dict[str, Any], words: str, issuer: Issuer, keys: IssuerKeys) -> None:
    issuer.site.put(DISCOVERY, issuer.document(**changed))
    with pytest.raises(SourceMisbehaved, match=words):
        keys.read()


@pytest.mark.parametrize("content", [b"", b"[]", b"nothing", b'{"keys": {}}', b"{}", b"[" * 100_000, b" " * 300_000])
@pytest.mark.parametrize("path", [DISCOVERY, KEYS])
def test_what_is_no_document_is_refused(path: str, content: bytes, issuer: Issuer, keys: IssuerKeys) -> None:
    issuer.site.put(path, content)
    with pytest.raises(SourceMisbehaved):
        keys.read()


def test_redirects_are_not_followed(issuer: Issuer, keys: IssuerKeys) -> None:
    issuer.site.put("/moved", issuer.document())
    issuer.site.redirect(DISCOVERY, issuer.site.url("/moved"))
    with pytest.raises(SourceError):
        keys.read()
    assert "/moved" not in {one.path for one in issuer.site.requests}


RSA = new_key("k", "RS256").public


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        [],
        {},
        {"kty": "oct", "k": "AAAA"},
        {**RSA, "use": "enc"},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "alg": "HS256"},
        {**RSA, "alg": "RSA-OAEP"},
        {**RSA, "alg": "none"},
        {**RSA, "kid": 7},
        {**RSA, "kty": ["RSA"]},
        {**RSA, "n": 7},
        {**RSA, "n": "!"},
        {**RSA, "d": RSA["n"]},
        new_key("weak", "RS256", 1024).public,
        {**new_key("curve").public, "crv": "secp256k1"},
        {**new_key("curve").public, "x": "AAAA"},
        {**new_key("edwards", "EdDSA").public, "crv": "X25519"},
    ],
)
def test_what_verifies_nothing_is_left_out(jwk: object, issuer: Issuer, keys: IssuerKeys) -> None:
    issuer.publish(jwk, new_key("good").public)
    assert [key.id for key in keys.read()] == ["good"]


def test_what_each_key_may_verify(issuer: Issuer, keys: IssuerKeys) -> None:
    bound = {**new_key("bound", "PS256").public, "alg": "PS256"}
    issuer.publish(RSA, bound, *(new_key(name, name).public for name in ("ES256", "ES384", "ES512", "EdDSA")))
    assert {key.id: key.algorithms for key in keys.read()} == {
        "k": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        "bound": ("PS256",),
        "ES256": ("ES256",),
        "ES384": ("ES384",),
        "ES512": ("ES512",),
        "EdDSA": ("EdDSA",),
    }


def test_without_an_id_only_a_single_key_is_meant(issuer: Issuer, keys: IssuerKeys, clock: _Clock) -> None:
    assert ids(keys, None) == ["one"]
    issuer.publish(new_key("one").public, new_key("two").public)
    clock.now += ASK_EVERY_S
    keys.named("two")
    assert ids(keys, None) == []
