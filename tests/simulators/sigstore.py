"""A Sigstore of the tests: an authority, a log of certificates and a log of signatures, which sign without a network.

It gives short-lived certificates to identities and writes bundles as keyless signers do; its trusted root is what a
policy names. Nothing listens: verifying a bundle asks nobody.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
_SHA256 = ec.ECDSA(hashes.SHA256())
_KIND = "application/vnd.in-toto+json"
_ISSUER, _ISSUER_TEXT, _TIMESTAMPS = "1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8", "1.3.6.1.4.1.11129.2.4.2"


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def _id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_der(key)).digest()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass
class Sigstore:
    """One Sigstore with keys of its own."""

    authority: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    certificates: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    log: ec.EllipticCurvePrivateKey = field(default_factory=_key)

    def __post_init__(self) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sigstore of the tests")])
        builder = self._builder(self.authority, timedelta(days=3650)).subject_name(self._name)
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        self.root = builder.sign(self.authority, hashes.SHA256())

    @property
    def trusted_root(self) -> dict[str, Any]:
        """The trusted root, as a policy names it."""
        since = {"start": (NOW - timedelta(days=1)).isoformat().replace("+00:00", "Z")}
        logs = [
            {
                "baseUrl": "https://log.invalid",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": _text(_der(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": since},
                "logId": {"keyId": _text(_id(key))},
            }
            for key in (self.log, self.certificates)
        ]
        root = _text(self.root.public_bytes(serialization.Encoding.DER))
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": logs[:1],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "tests", "commonName": "tests"},
                    "uri": "https://authority.invalid",
                    "certChain": {"certificates": [{"rawBytes": root}]},
                    "validFor": since,
                }
            ],
            "ctlogs": logs[1:],
            "timestampAuthorities": [],
        }

    def signed(self, statement: bytes, identity: str, issuer: str) -> bytes:
        """Return the bundle of a statement by an identity: a mail address or a URI."""
        key = _key()
        certificate = self._certified(key, identity, issuer)
        pae = f"DSSEv1 {len(_KIND)} {_KIND} {len(statement)} ".encode() + statement
        signature = key.sign(pae, _SHA256)
        envelope = {"payload": _text(statement), "payloadType": _KIND, "signatures": [{"sig": _text(signature)}]}
        bundle = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": _text(certificate.public_bytes(serialization.Encoding.DER))},
                "tlogEntries": [self._entry(statement, signature, certificate)],
                "timestampVerificationData": {"rfc3161Timestamps": []},
            },
            "dsseEnvelope": envelope,
        }
        return json.dumps(bundle).encode()

    def _builder(self, key: ec.EllipticCurvePrivateKey, life: timedelta) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(NOW - timedelta(minutes=1)).not_valid_after(NOW + life)
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key())
        return builder.add_extension(own, critical=False).add_extension(by, critical=False)

    def _certified(self, key: ec.EllipticCurvePrivateKey, identity: str, issuer: str) -> x509.Certificate:
        builder = self._builder(key, timedelta(minutes=10)).subject_name(x509.Name([]))
        names = [x509.UniformResourceIdentifier(identity) if "://" in identity else x509.RFC822Name(identity)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        written = {_ISSUER: issuer.encode(), _ISSUER_TEXT: bytes([0x0C, len(issuer)]) + issuer.encode()}
        for name, value in written.items():
            builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(name), value), False)
        unlogged = builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes
        stamps = x509.UnrecognizedExtension(x509.ObjectIdentifier(_TIMESTAMPS), self._stamp(unlogged))
        return builder.add_extension(stamps, critical=False).sign(self.authority, hashes.SHA256())

    def _stamp(self, certificate: bytes) -> bytes:
        """Return the list of one signed timestamp for a certificate (RFC 6962), as its extension has it."""
        at = int(NOW.timestamp() * 1000)
        length = struct.pack("!I", len(certificate))[1:]
        signed = struct.pack("!BBQH", 0, 0, at, 1) + _id(self.authority) + length + certificate + b"\0\0"
        signature = self.certificates.sign(signed, _SHA256)
        stamp = b"\0" + _id(self.certificates) + struct.pack("!QH", at, 0) + b"\x04\x03"
        stamp += struct.pack("!H", len(signature)) + signature
        listed = struct.pack("!HH", len(stamp) + 2, len(stamp)) + stamp
        assert len(listed) < 128
        return bytes([0x04, len(listed)]) + listed

    def _entry(self, statement: bytes, signature: bytes, certificate: x509.Certificate) -> dict[str, Any]:
        """Return the entry of a signature in a log of which it is the only one."""
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(statement).hexdigest()},
            "signatures": [{"signature": _text(signature), "verifier": _text(pem)}],
        }
        body = rfc8785.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        root, at = hashlib.sha256(b"\0" + body).digest(), int(NOW.timestamp())
        note = f"log.invalid - 1\n1\n{_text(root)}\n"
        signed_note = _text(_id(self.log)[:4] + self.log.sign(note.encode(), _SHA256))
        promise = {"body": _text(body), "integratedTime": at, "logID": _id(self.log).hex(), "logIndex": 0}
        return {
            "logIndex": "0",
            "logId": {"keyId": _text(_id(self.log))},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(at),
            "inclusionPromise": {"signedEntryTimestamp": _text(self.log.sign(rfc8785.dumps(promise), _SHA256))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": _text(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n— log.invalid {signed_note}\n"},
            },
            "canonicalizedBody": _text(body),
        }
