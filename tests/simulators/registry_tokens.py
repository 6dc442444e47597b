"""A realm that gives tokens for an OCI registry: real ones, which a real docker-registry verifies.

A page of a `WebServer` stands for each answer of the realm; who asked, and with what, is in the server's requests.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from tests.simulators.web import Page, Request, WebServer

PATH, SERVICE, ISSUER = "/token", "models.example", "issuer.example"


class TokenRealm:
    """The realm at `PATH` of a web server."""

    def __init__(self, web: WebServer, folder: Path) -> None:
        self._web = web
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._bundle = folder / "issuer.pem"
        self._bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def settings(self, host: str = "127.0.0.1") -> dict[str, Any]:
        """What docker-registry's `auth` says, so that it sends for tokens to this realm."""
        realm = self._web.url(PATH, host)
        return {"token": {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(self._bundle)}}

    def token(self, repository: str, *actions: str, lifetime_s: int = 300) -> str:
        """Make a token (RFC 7519) for a repository."""
        now = int(time.time())
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [b64encode(der).decode()]}
        claims = {
            "iss": ISSUER,
            "sub": "",
            "aud": SERVICE,
            "exp": now + lifetime_s,
            "nbf": now - 60,
            "iat": now,
            "jti": f"{repository} {time.monotonic_ns()}",
            "access": [{"type": "repository", "name": repository, "actions": list(actions)}],
        }
        signed = ".".join(_coded(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_coded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def grant(self, repository: str, *actions: str, **answer: Any) -> str:
        """Give everybody who asks this token from now on; further fields of the answer are the caller's."""
        token = self.token(repository, *(actions or ("pull",)))
        self._web.pages[PATH] = Page(json.dumps({"token": token, "expires_in": 300} | answer).encode())
        return token

    @property
    def requests(self) -> list[Request]:
        """What the realm was asked."""
        return [request for request in self._web.requests if request.path.startswith(PATH)]


def _coded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
