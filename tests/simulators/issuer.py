"""An OpenID Connect issuer on a real socket: discovery, keys made at run time, and the tokens that it signs."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.simulators.web import WebServer

AUDIENCE = "weighbridge"
DISCOVERY = "/realm/.well-known/openid-configuration"
KEYS = "/realm/keys"
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class IssuerKey:
    """A key pair of an issuer.

    Attributes:
        id: its `kid`.
        algorithm: with which it signs.
        private: the private half.
    """

    id: str
    algorithm: str
    private: Any

    @property
    def public(self) -> dict[str, Any]:
        """The public half as a JWK."""
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        jwk: dict[str, Any] = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**jwk, "kid": self.id, "use": "sig"}


@cache
def new_key(id_: str, algorithm: str = "ES256", bits: int = 2048) -> IssuerKey:
    """Return a key for an algorithm; the same one for the same arguments."""
    curves = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
    if algorithm in curves:
        return IssuerKey(id_, algorithm, ec.generate_private_key(curves[algorithm]()))
    if algorithm == "EdDSA":
        return IssuerKey(id_, algorithm, ed25519.Ed25519PrivateKey.generate())
    return IssuerKey(id_, algorithm, rsa.generate_private_key(65537, bits))


def part(value: object) -> str:
    """Return a part of a token: base64url of JSON, or of bytes."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Issuer:
    """The issuer; it serves as long as its web server does.

    Attributes:
        site: the web server.
        url: the issuer's, as its tokens have it.
    """

    def __init__(self, site: WebServer, *keys: IssuerKey) -> None:
        self.site, self.url = site, site.url("/realm")
        self.site.put(DISCOVERY, self.document(), headers=_JSON)
        self.publish(*(key.public for key in keys))

    def document(self, **changed: object) -> bytes:
        """Return the discovery document."""
        return json.dumps({"issuer": self.url, "jwks_uri": self.site.url(KEYS)} | changed).encode()

    def publish(self, *keys: object) -> None:
        """Replace the set of keys."""
        self.site.put(KEYS, json.dumps({"keys": keys}).encode(), headers=_JSON)

    def fail(self, status: int = 503) -> None:
        """Answer every request with a failure."""
        for path in (DISCOVERY, KEYS):
            self.site.put(path, b"down", status=status)

    @property
    def asked(self) -> int:
        """How often the keys were asked for."""
        return len([one for one in self.site.requests if one.path in (DISCOVERY, KEYS)])

    def claims(self, **changed: object) -> dict[str, Any]:
        """Return the claims of a valid token; a change to None leaves one out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "anna", "iat": now, "exp": now + 300, "roles": ["readers"]}
        return {name: value for name, value in (usual | changed).items() if value is not None}

    def token(self, key: IssuerKey, header: dict[str, Any] | None = None, **changed: object) -> str:
        """Return a token, signed with a key; a header or a claim that is None is left out."""
        headers = {name: value for name, value in ({"kid": key.id} | (header or {})).items() if value is not None}
        return jwt.encode(self.claims(**changed), key.private, key.algorithm, headers)
