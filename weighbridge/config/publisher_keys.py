"""The keys, certificates and trusted roots that a policy names for publishers' signatures, read from their files.

Each is checked when the policy is read, so that a wrong file is an error there, and not a rejected model. Not here:
what is checked with them (content.model_signatures).
"""

from __future__ import annotations

import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from weighbridge.domain.publishers import Anchor
from weighbridge.errors import InvalidConfiguration

_CURVES = ("secp256r1", "secp384r1", "secp521r1")
#: Bytes of such a file.
_MAX_SIZE = 1024**2


def key_anchor(path: Path) -> Anchor:
    """Return the anchor of a public key in PEM: an elliptic curve key of P-256, P-384 or P-521.

    Raises:
        InvalidConfiguration: the file cannot be read, or holds something else.
    """
    content = _content(path)
    try:
        key = serialization.load_pem_public_key(content)
    except Exception as error:  # cryptography raises errors of many kinds for a text that is no key
        private = b"PRIVATE KEY" in content
        raise _wrong(path, "a private key" if private else "no public key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise _wrong(path, "no key of the curves P-256, P-384 or P-521, which model signatures have")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return Anchor("key", key.public_bytes(serialization.Encoding.PEM, form).decode())


def certificate_anchor(path: Path) -> Anchor:
    """Return the anchor of an authority's certificates in PEM. Raises InvalidConfiguration as `key_anchor` does."""
    try:
        found = x509.load_pem_x509_certificates(_content(path))
    except ValueError as error:
        raise _wrong(path, "no certificate in PEM") from error
    return Anchor("certificate", "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in found))


def sigstore_anchor(path: Path | None) -> Anchor:
    """Return the anchor of a Sigstore: of its trusted root, or of the public one, whose root the library brings.

    Raises:
        InvalidConfiguration: the file cannot be read, or holds something else.
    """
    if path is None:
        return Anchor("sigstore")
    try:
        root = json.loads(_content(path))
        media_type = root["mediaType"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _wrong(path, "no trusted root of a Sigstore") from error
    if not str(media_type).startswith("application/vnd.dev.sigstore.trustedroot"):
        raise _wrong(path, "no trusted root of a Sigstore")
    return Anchor("sigstore", json.dumps(root, sort_keys=True, separators=(",", ":")))


def _content(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise InvalidConfiguration(
            f"{path} cannot be read: {error.strerror}.",
            "The policy names it under `signatures`; a path counts from the policy's folder.",
            path=str(path),
        ) from error
    if len(content) > _MAX_SIZE:
        raise _wrong(path, "more than 1 MiB")
    return content


def _wrong(path: Path, what: str) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"{path} holds {what}.", "docs/how-to/publishers.md says which files a policy may name.", path=str(path)
    )
