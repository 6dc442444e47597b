"""Asks the libraries whose signature it is; runs in a child process without a network.

`model_signing` checks those of keys and certificates, `sigstore` those of Sigstore. Both read the signature again;
`statement` has read it so strictly that they cannot find another statement in it. Not here: the child
(content.sandbox), and what it is given (checking).
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from weighbridge.content.findings import plain
from weighbridge.content.model_signatures.statement import PAYLOAD_TYPE, SignedStatement, read_statement

#: What the folder of a child has: the signature, and a list of anchors: `kind` and the name of a file, or none.
SIGNATURE, ANCHORS = "model.sig", "anchors.json"
#: The identity's issuer in a certificate of Fulcio: as text in DER, and as it was written first.
_ISSUER, _FIRST_ISSUER = "1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.57264.1.1"
_TRUST_CONFIG = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
_SIGNING_CONFIG = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
_HASHES: dict[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
_DONE = "verified"


def check_folder(folder: Path) -> dict[str, Any]:
    """Return `intact`, `claims`, and of each anchor `valid`, `identity`, `issuer`, `problem`.

    Args:
        folder: with the signature's file, the list of anchors, and their files.
    """
    statement = read_statement((folder / SIGNATURE).read_bytes())
    try:
        certificate = _certificate(statement.material)
    except (ValueError, LookupError, TypeError):
        no = {"valid": False, "identity": "", "issuer": "", "problem": "its certificate cannot be read"}
        return {"intact": False, "claims": "", "checks": [no] * len(json.loads((folder / ANCHORS).read_bytes()))}
    checks = []
    for anchor in json.loads((folder / ANCHORS).read_bytes()):
        place = folder / anchor["file"] if anchor["file"] else None
        with redirect_stdout(io.StringIO()):  # The library prints warnings.
            checks.append(_checked(lambda a=anchor["kind"], p=place: _CHECKS[a](folder, p, statement, certificate)))  # type: ignore[misc]
    return {
        "intact": _intact(statement, certificate) if certificate else None,
        "claims": _claims(certificate) if certificate else "",
        "checks": checks,
    }


def _checked(check: Callable[[], dict[str, str]]) -> dict[str, Any]:
    try:
        return {"valid": True, "problem": "", **check()}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (libraries refuse a signature by errors of any kind)
        said = plain(str(error), 300) or type(error).__name__
        return {"valid": False, "identity": "", "issuer": "", "problem": said}


def _by_key(
    folder: Path, key: Path | None, _statement: SignedStatement, _certificate: x509.Certificate | None
) -> dict[str, str]:
    from model_signing import verifying

    _verified(_new(verifying.Config).use_elliptic_key_verifier(public_key=str(key)), folder)
    return {"identity": "", "issuer": ""}


def _by_certificate(
    folder: Path, authority: Path | None, _statement: SignedStatement, certificate: x509.Certificate | None
) -> dict[str, str]:
    from model_signing import verifying

    assert authority is not None, "without one the library would take those of the web"
    _verified(_new(verifying.Config).use_certificate_verifier(certificate_chain=[str(authority)]), folder)
    return {"identity": _claims(certificate) if certificate else "", "issuer": ""}


def _new(kind: Any) -> Any:
    """Return a new object of a class that the library does not annotate."""
    return kind()


def _verified(config: Any, folder: Path) -> None:
    """Raise unless the library accepts the signature; it is stopped before it would hash files."""
    from model_signing import hashing

    class Accepted(BaseException):
        """The signature was accepted."""

    class Hashing(hashing.Config):
        """Stops where files would be hashed: after the check of the signature."""

        def hash(self, *_: object, **__: object) -> Any:
            raise Accepted

    with suppress(Accepted):
        config.set_hashing_config(_new(Hashing)).verify(folder, folder / SIGNATURE)
        raise ValueError("the library compared files that it was not given")


def _by_sigstore(
    folder: Path, root: Path | None, statement: SignedStatement, certificate: x509.Certificate | None
) -> dict[str, str]:
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.verify import Verifier, policy

    if certificate is None:
        raise ValueError("it has no certificate of a Sigstore")
    trusted = json.loads(root.read_bytes() if root is not None else _shipped_root())
    configuration = {
        "mediaType": _TRUST_CONFIG,
        "trustedRoot": trusted,
        "signingConfig": {"mediaType": _SIGNING_CONFIG},
    }
    verifier = Verifier(trusted_root=ClientTrustConfig.from_json(json.dumps(configuration)).trusted_root)
    identity, issuer = _claims(certificate), _issuer(certificate)
    bundle = Bundle.from_json((folder / SIGNATURE).read_bytes())
    kind, payload = verifier.verify_dsse(bundle, policy.Identity(identity=identity, issuer=issuer))
    if (kind, payload) != (PAYLOAD_TYPE, statement.payload):
        raise ValueError("two readers find different statements in it")
    return {"identity": identity, "issuer": issuer}


def _shipped_root() -> bytes:
    """Return the trusted root of the public Sigstore that the library brings; it needs no network."""
    import sigstore

    found = sorted(Path(sigstore.__file__).parent.glob("_store/*sigstore.dev/trusted_root.json"))
    if not found:
        raise ValueError("the library sigstore brings no trusted root: name one with trusted_root")
    return found[0].read_bytes()


_CHECKS: Mapping[str, Callable[..., dict[str, str]]] = {
    "key": _by_key,
    "certificate": _by_certificate,
    "sigstore": _by_sigstore,
}


def _certificate(material: Mapping[str, Any]) -> x509.Certificate | None:
    chain = material.get("x509CertificateChain")
    one = (
        chain["certificates"][0]
        if isinstance(chain, dict) and chain.get("certificates")
        else material.get("certificate")
    )
    if not isinstance(one, dict):
        return None
    return x509.load_der_x509_certificate(base64.b64decode(one["rawBytes"], validate=True))


def _intact(statement: SignedStatement, certificate: x509.Certificate) -> bool | None:
    """Return whether the certificate's key made the signature; None for a key of another kind."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.key_size not in _HASHES:
        return None
    payload = statement.payload
    head = f"{len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)}"
    signed = (f"DSSEv1 {head} ".encode() + payload, _HASHES[key.curve.key_size])
    first = (f"DSSEV1 {head} {payload!r}".encode(), hashes.SHA256())  # As the first tools wrote it.
    return any(_fits(key, statement.signature, *one) for one in (signed, first))


def _fits(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes, algorithm: hashes.HashAlgorithm) -> bool:
    try:
        key.verify(signature, signed, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _claims(certificate: x509.Certificate) -> str:
    """Return who a certificate says that it is for: an address, a URI, or its subject."""
    with suppress(x509.ExtensionNotFound, ValueError):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [str(one.value) for one in names if isinstance(one, x509.RFC822Name | x509.UniformResourceIdentifier)]
        if len(found) == 1:
            return found[0]
    return certificate.subject.rfc4514_string()


def _issuer(certificate: x509.Certificate) -> str:
    for name in (_ISSUER, _FIRST_ISSUER):
        with suppress(x509.ExtensionNotFound, ValueError):
            value = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(name)).value
            if isinstance(value, x509.UnrecognizedExtension):
                content = value.value
                return content[2:].decode() if name == _ISSUER else content.decode()
    raise ValueError("its certificate does not say who vouches for the signer")
