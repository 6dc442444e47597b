"""Tokens of an issuer: what is accepted, and the forgeries that other verifiers have accepted."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.simulators.issuer import AUDIENCE, Issuer, new_key, part
from tests.simulators.web import WebServer
from weighbridge.errors import NotAuthenticated
from weighbridge.net.issuer_keys import IssuerKeys
from weighbridge.net.issuer_tokens import MAX_TOKEN, IssuerTokens
from weighbridge.net.retrying import Retrying
from weighbridge.net.transfer import Transfer

ALGORITHMS = ["RS256", "RS512", "PS256", "PS384", "ES256", "ES384", "ES512", "EdDSA"]
KEY, RSA, STRANGER = new_key("ES256", "ES256"), new_key("RS256", "RS256"), new_key("stranger", "RS256")


@dataclass(frozen=True)
class At:
    """A time of a claim, in seconds from when the test runs."""

    seconds: int


def times(claims: dict[str, Any]) -> dict[str, Any]:
    return {name: int(time.time()) + one.seconds if isinstance(one, At) else one for name, one in claims.items()}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with WebServer() as site:
        yield Issuer(site, *(new_key(name, name) for name in ALGORITHMS))


@pytest.fixture(scope="module")
def tokens(issuer: Issuer) -> IssuerTokens:
    transfer = Transfer(timeout_s=5, max_redirects=0, retrying=Retrying(attempts=1))
    return IssuerTokens(issuer.url, (AUDIENCE, "https://registry.example.com"), 30, IssuerKeys(issuer.url, transfer))


def refused(tokens: IssuerTokens, token: str, words: str = "The token is refused") -> None:
    with pytest.raises(NotAuthenticated, match=words) as caught:
        tokens.claims(token)
    assert token not in str(caught.value)


def forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    return f"{part(header)}.{part(claims)}.{part(signature)}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_of_the_issuer_are_accepted(issuer: Issuer, tokens: IssuerTokens, algorithm: str) -> None:
    claims = issuer.claims(email="anna@example.com")
    assert tokens.claims(issuer.token(new_key(algorithm, algorithm), email="anna@example.com")) == claims


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "at+jwt"}, {}),
        ({"typ": "application/AT+JWT"}, {}),
        ({"typ": None}, {}),
        ({}, {"aud": ["account", "https://registry.example.com"]}),
        ({}, {"nbf": At(-5)}),
        ({}, {"iat": At(20), "exp": At(40)}),
        ({}, {"exp": At(-20)}),
    ],
)
def test_what_tokens_may_be_like(
    issuer: Issuer, tokens: IssuerTokens, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    assert tokens.claims(issuer.token(KEY, header, **times(claims)))["sub"] == "anna"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": At(-100)}, "has expired"),
        ({"exp": None}, "no claim “exp”"),
        ({"exp": "soon"}, "malformed"),
        ({"iat": None}, "no claim “iat”"),
        ({"iat": At(100)}, "not valid yet"),
        ({"nbf": At(100)}, "not valid yet"),
        ({"nbf": []}, "malformed"),
        ({"iss": None}, "no claim “iss”"),
        ({"iss": "https://elsewhere.example.com"}, "another issuer"),
        ({"aud": None}, "no claim “aud”"),
        ({"aud": []}, "no claim “aud”"),
        ({"aud": "account"}, "another audience"),
        ({"aud": AUDIENCE[:-1]}, "another audience"),
        ({"aud": {AUDIENCE: True}}, "another audience"),
        ({"aud": [AUDIENCE, 7]}, "another audience"),
        ({"sub": None}, "no claim “sub”"),
        ({"sub": 7}, "malformed"),
        ({"cnf": {"jkt": "x"}}, "bound to a key"),
    ],
)
def test_claims_are_checked(issuer: Issuer, tokens: IssuerTokens, claims: dict[str, Any], words: str) -> None:
    refused(tokens, issuer.token(KEY, **times(claims)), words)


@pytest.mark.parametrize("change", [lambda url: url[:-1], lambda url: f"{url}/", lambda url: url.upper()])
def test_the_issuer_is_compared_whole(issuer: Issuer, tokens: IssuerTokens, change: Any) -> None:
    """PyJWT, CVE-2024-53861: a part of the issuer's name was enough."""
    refused(tokens, issuer.token(KEY, iss=change(issuer.url)), "another issuer")


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 7, ["none"], "RS257", "HS256", "ES256K"])
def test_unsigned_and_unknown_algorithms(issuer: Issuer, tokens: IssuerTokens, name: object) -> None:
    for kid in ("RS256", "ES256"):
        refused(tokens, forged({"alg": name, "kid": kid}, issuer.claims()))
        refused(tokens, forged({"alg": name, "kid": kid}, issuer.claims(), b"x" * 64))


@pytest.mark.parametrize("hash_", ["sha256", "sha384", "sha512"])
def test_a_public_key_is_no_secret(issuer: Issuer, tokens: IssuerTokens, hash_: str) -> None:
    """PyJWT CVE-2022-29217 and CVE-2026-48526, MinIO CVE-2026-33322, fast-jwt CVE-2026-34950: HS256."""
    public = RSA.private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets = [
        *(pem, pem.strip(), b" " + pem, b"", json.dumps(RSA.public).encode(), RSA.public["n"].encode()),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        base64.urlsafe_b64decode(RSA.public["n"] + "=="),
    ]
    for secret in secrets:
        unsigned = f"{part({'alg': 'HS' + hash_[3:], 'kid': 'RS256'})}.{part(issuer.claims())}"
        refused(tokens, f"{unsigned}.{part(hmac.digest(secret, unsigned.encode(), hash_))}", "no key for it")


def test_an_algorithm_that_the_key_is_not_for(issuer: Issuer, tokens: IssuerTokens) -> None:
    """Hono, CVE-2026-22817: the header chose the algorithm where the key did not say its own."""
    for kid in ("RS256", "EdDSA", "ES384"):
        refused(tokens, issuer.token(KEY, {"kid": kid}), "no key for it")


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "x5c"])
def test_keys_that_a_token_brings_are_not_believed(issuer: Issuer, tokens: IssuerTokens, header: str) -> None:
    """CVE-2018-0114 and its kind: the token names, or holds, the key to verify it with."""
    with WebServer() as other:
        url = other.put("/keys", json.dumps({"keys": [STRANGER.public]}).encode())
        value = {"jku": url, "x5u": url, "jwk": STRANGER.public, "x5c": [part(b"x")]}[header]
        for kid in ("stranger", "RS256", None):
            refused(tokens, issuer.token(STRANGER, {"kid": kid, header: value}))
        assert other.requests == []
    assert tokens.claims(issuer.token(RSA, {header: value}))["sub"] == "anna"


def test_a_signature_by_another_key_of_the_same_name(issuer: Issuer, tokens: IssuerTokens) -> None:
    refused(tokens, issuer.token(replace(STRANGER, id="RS256")), "signature is wrong")


@pytest.mark.parametrize("kid", ["../../dev/null", "' OR 1=1 --", "", "\0", 7, None, ["RS256"], {"a": 1}, "x" * 5000])
def test_an_id_is_only_compared(issuer: Issuer, tokens: IssuerTokens, kid: object) -> None:
    refused(tokens, forged({"alg": "RS256", "kid": kid}, issuer.claims(), b"x" * 256))


@pytest.mark.parametrize("size", [64, 132, 96])
def test_a_signature_of_nothing(issuer: Issuer, tokens: IssuerTokens, size: int) -> None:
    """Java, CVE-2022-21449: zeros verified as a signature of anything."""
    for name in ("ES256", "ES384", "ES512"):
        refused(tokens, forged({"alg": name, "kid": name}, issuer.claims(), bytes(size)))


@pytest.mark.parametrize(
    "header", [{"crit": ["x"], "x": 1}, {"crit": []}, {"b64": False, "crit": ["b64"]}, {"b64": True}]
)
def test_extensions_that_must_be_understood(issuer: Issuer, tokens: IssuerTokens, header: dict[str, Any]) -> None:
    """PyJWT CVE-2026-32597, python-jose #413: `crit` was not read."""
    head = {"alg": "ES256", "kid": "ES256", **header}
    unsigned = f"{part(head)}.{part(issuer.claims())}"
    signature = jwt.get_algorithm_by_name("ES256").sign(unsigned.encode(), KEY.private)
    refused(tokens, f"{unsigned}.{part(signature)}")


@pytest.mark.parametrize("typ", ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", 7])
def test_tokens_of_another_type_stand_for_no_caller(issuer: Issuer, tokens: IssuerTokens, typ: object) -> None:
    refused(tokens, issuer.token(KEY, {"typ": typ}), "type")


def test_a_token_within_a_token(issuer: Issuer, tokens: IssuerTokens) -> None:
    """pac4j, CVE-2026-29000: what was unwrapped was believed without a signature of its own."""
    inner = forged({"alg": "none"}, issuer.claims())
    head = f"{part({'alg': 'ES256', 'kid': 'ES256', 'cty': 'JWT'})}.{part(inner.encode())}"
    signature = jwt.get_algorithm_by_name("ES256").sign(head.encode(), KEY.private)
    refused(tokens, f"{head}.{part(signature)}", "malformed")


def test_a_changed_token(issuer: Issuer, tokens: IssuerTokens) -> None:
    head, body, signature = issuer.token(KEY).split(".")
    more = part(issuer.claims(roles=["admins"]))
    for token in (f"{head}.{more}.{signature}", f"{head}.{body}.{signature[:-4]}", f"{head}.{body}.{part(b'')}x"):
        refused(tokens, token)
    other = issuer.token(new_key("ES384", "ES384")).split(".")
    refused(tokens, ".".join((head, other[1], other[2])))


@pytest.mark.parametrize(
    "claims", [b"", b"[]", b"null", b'"text"', b"{", b"[" * 5000, b"\xff", b'{"exp": 1' + b"0" * 9000]
)
def test_a_body_that_is_no_object(tokens: IssuerTokens, claims: bytes) -> None:
    head = f"{part({'alg': 'ES256', 'kid': 'ES256'})}.{part(claims)}"
    signature = jwt.get_algorithm_by_name("ES256").sign(head.encode(), KEY.private)
    refused(tokens, f"{head}.{part(signature)}")


@pytest.mark.parametrize("header", [b"", b"[]", b"null", b"{", b"[" * 5000, b"\xff"])
def test_a_header_that_is_no_object(tokens: IssuerTokens, header: bytes) -> None:
    refused(tokens, f"{part(header)}.{part({})}.{part(b'x')}", "malformed")


def test_a_token_that_is_too_long(issuer: Issuer, tokens: IssuerTokens) -> None:
    assert tokens.claims(issuer.token(KEY, groups=["g" * 100] * 100))
    refused(tokens, issuer.token(KEY, groups=["g" * MAX_TOKEN]), str(MAX_TOKEN))


def test_nothing_of_a_forged_token_is_told(issuer: Issuer, tokens: IssuerTokens) -> None:
    """Which claim is wrong is said of tokens of the issuer only, so that forging tells nothing of the settings."""
    forgery = issuer.token(replace(STRANGER, id="RS256"), aud="other", iss="other", exp=1)
    refused(tokens, forgery, "signature is wrong")
