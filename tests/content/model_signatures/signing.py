"""Publishers who sign models with the reference implementation, and what becomes of a signature when it is altered."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from model_signing import hashing, signing

from weighbridge.content.model_signatures.library import check_folder
from weighbridge.content.model_signatures.statement import PAYLOAD_TYPE
from weighbridge.content.sandbox import HeaderReading
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.store.local import LocalBlobStore

FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": bytes(range(256)) * 20,
    "sub/größe ½.txt": b"text",
    "README.md": b"# A model\n",
}
Files = Mapping[str, bytes]
_SINCE, _UNTIL = datetime(2026, 1, 1), datetime(2036, 1, 1)


@dataclass(frozen=True)
class Publisher:
    """A publisher with a key in a folder.

    Attributes:
        folder: where the files are.
        name: of them: `NAME.key`, `NAME.pub`, and `NAME.crt` where an authority issued a certificate.
    """

    folder: Path
    name: str

    @property
    def key(self) -> Path:
        return self.folder / f"{self.name}.key"

    @property
    def public(self) -> Path:
        return self.folder / f"{self.name}.pub"

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.crt"

    def private_key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key


def publisher(folder: Path, name: str, curve: ec.EllipticCurve | None = None) -> Publisher:
    """Return a publisher with a new key."""
    made, key = Publisher(folder, name), ec.generate_private_key(curve or ec.SECP256R1())
    pem, nothing = serialization.Encoding.PEM, serialization.NoEncryption()
    made.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, nothing))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    made.public.write_bytes(key.public_key().public_bytes(pem, form))
    return made


def certify(whom: Publisher, by: Publisher, *, authority: bool = False, mail: str = "") -> None:
    """Write a certificate: of an authority for itself, or for a publisher whose key it vouches for."""
    public = whom.private_key().public_key()
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one.name)]) for one in (whom, by)]
    builder = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(public)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(_SINCE).not_valid_after(_UNTIL)
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    of_key = x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage)
    builder = builder.add_extension(of_key, critical=True)
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    if mail:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(mail)]), critical=False)
    made = builder.sign(by.private_key(), hashes.SHA256())
    whom.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def signed(
    folder: Path, files: Files, by: Publisher, how: Callable[[hashing.Config], Any] | None = None, **paths: Any
) -> bytes:
    """Return the signature of some files by the reference implementation, and leave the files in a new folder.

    Args:
        folder: an empty one.
        files: by path.
        by: who signs.
        how: chooses how files are hashed.
        paths: `ignored`: paths that are left out; `chain`: certificates, so that they sign instead of the key.
    """
    model = folder / "model"
    for path, content in files.items():
        (model / path).parent.mkdir(parents=True, exist_ok=True)
        (model / path).write_bytes(content)
    configuration = hashing.Config()
    if how is not None:
        how(configuration)
    configuration.set_ignored_paths(paths=["model.sig", *paths.get("ignored", ())])
    config = signing.Config()
    if "chain" in paths:
        config.use_certificate_signer(
            private_key=by.key, signing_certificate=by.certificate, certificate_chain=paths["chain"]
        )
    else:
        config.use_elliptic_key_signer(private_key=by.key)
    config.set_hashing_config(configuration).sign(model, folder / "made.sig")
    return (folder / "made.sig").read_bytes()


def statement_of(signature: bytes) -> dict[str, Any]:
    """Return what was signed."""
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"]))
    return found


def resigned(signature: bytes, statement: Mapping[str, Any] | bytes, by: Publisher) -> bytes:
    """Return a signature over another statement: a publisher who writes what the reference implementation would not."""
    payload = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
    pae = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    bundle = json.loads(signature)
    made = by.private_key().sign(pae, ec.ECDSA(hashes.SHA256()))
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    bundle["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(made).decode(), "keyid": ""}]
    return json.dumps(bundle).encode()


def model(store: LocalBlobStore, files: Files, uri: str = "mock:o/n@1") -> Manifest:
    """Return the manifest of files that are in the store."""
    entries = (FileEntry(path, len(content), store.put([content])) for path, content in files.items())
    return Manifest(ModelRef.parse(uri), tuple(entries))


def in_this_process(folder: Path) -> HeaderReading:
    """Ask the libraries without a child, which takes seconds to import them."""
    return HeaderReading(check_folder(folder))
