"""The keys of attestations: this installation's own (ECDSA P-256), in a file of its owner's, and those that it trusts.

Public keys are in PEM, as cosign and openssl read them. The private key leaves its file for the memory of this process,
and is in no message. Not here: what is signed (signing.envelopes).
"""

from __future__ import annotations

import fcntl
import hashlib
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from securesystemslib.signer import CryptoSigner, SSlibKey

from weighbridge.errors import InvalidConfiguration
from weighbridge.system import whole_files

#: The file below home; whoever has it can attest in the organisation's name.
FILE = "attestation-key"
#: The folder below home with the public keys that are trusted, a file each: `NAME.pem` or `NAME.pub`.
TRUSTED = "attestation-keys"
#: By what name this installation's own key is trusted.
OWN = "own"
_LOCK = ".attestation-key.lock"
_MAX_SIZE = 64 * 1024
_MAX_KEYS = 100
_MAKE_ONE = "Make one: weighbridge attest key"
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True)
class AttesterKey:
    """A public key that signatures are verified with.

    Attributes:
        name: by what name it is trusted here.
        pem: the key in PEM.
        id: sha256 of the key in DER, in hex; envelopes give it as a hint.
        key: the library's form of it.
    """

    name: str
    pem: str
    id: str
    key: SSlibKey


class AttestationKey:
    """This installation's key.

    Attributes:
        public: its public half.
    """

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.public = _verifying(OWN, private.public_key())
        self._signer = CryptoSigner(private, self.public.key)

    def sign(self, content: bytes) -> bytes:
        """Return the signature of some bytes, in DER."""
        return bytes.fromhex(self._signer.sign(content).signature)


def own_key(home: Path) -> AttestationKey | None:
    """Return the key in the file below home; None where there is no such file.

    Raises:
        InvalidConfiguration: it cannot be read, holds another kind of key, or others than its owner may read it.
    """
    path = home / FILE
    try:
        with open(path, "rb") as file:
            others = stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
            content = file.read(_MAX_SIZE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}", "Let this user read it.") from error
    if others:
        raise _unusable(path, "can be read or changed by other users", f"Take that from them: chmod 600 {path}")
    try:
        private = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        raise _unusable(path, "is not an unencrypted private key in PEM", _MAKE_ONE) from None  # It may quote the key.
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise _unusable(path, "is not an ECDSA key on the curve P-256", _MAKE_ONE)
    return AttestationKey(private)


def made_key(home: Path, *, rotate: bool = False) -> tuple[AttestationKey, bool]:
    """Return the key in the file below home, and whether it was made now, with mode 0600.

    Args:
        home: the folder of all state.
        rotate: whether another one takes the place of the one that there is, which stays trusted here.

    Raises:
        InvalidConfiguration: as `own_key`, or it cannot be made.
    """
    path = home / FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        with open(home / _LOCK, "a") as lock:  # Of processes that start at once, one makes the file.
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = own_key(home)
            if found is not None and not rotate:
                return found, False
            if found is not None:  # Written first: a kill in between leaves the old key, trusted twice.
                _trust(home, f"{OWN}-{found.public.id[:12]}", found.public.pem)
            private = ec.generate_private_key(ec.SECP256R1())
            encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
            content = private.private_bytes(encoding, form, serialization.NoEncryption())
            whole_files.write(path, content, mode=0o600, durable=True)
            return AttestationKey(private), True
    except OSError as error:
        raise _unusable(path, f"cannot be made: {error.strerror}", "Let this user write there.") from error


def trusted_keys(home: Path) -> tuple[AttesterKey, ...]:
    """Return the keys that are trusted here: this installation's own, and those of the folder below home.

    Raises:
        InvalidConfiguration: one of them cannot be read, is not a public key, or anybody may change it.
    """
    own = own_key(home)
    folder = home / TRUSTED
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".pem", ".pub"))
        if _anybody_writes(folder):
            raise InvalidConfiguration(
                f"Anybody may put keys into {folder}.", f"Take that from them: chmod o-w {folder}"
            )
    except FileNotFoundError:
        paths = []
    except OSError as error:
        raise InvalidConfiguration(f"{folder} cannot be read: {error.strerror}.", "Let this user read it.") from error
    return (*((own.public,) if own is not None else ()), *keys_of(paths))


def keys_of(paths: Iterable[Path]) -> tuple[AttesterKey, ...]:
    """Return the public keys in files, each trusted by the name of its file.

    Raises:
        InvalidConfiguration: one of them cannot be read, is not a public key, or anybody may change it.
    """
    keys = tuple(_key_of(path) for path in paths)
    if len(keys) > _MAX_KEYS:
        raise InvalidConfiguration(f"{len(keys)} keys are too many.", f"Trust {_MAX_KEYS} at most.")
    return keys


def _key_of(path: Path) -> AttesterKey:
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_SIZE)
        if _anybody_writes(path):
            raise InvalidConfiguration(f"Anybody may change the key in {path}.", f"chmod o-w {path}")
    except OSError as error:
        raise InvalidConfiguration(f"The key in {path} cannot be read: {error.strerror}.", "Name another.") from error
    remedy = "Name a file with a public key, as `weighbridge attest key` prints it."
    if b"PRIVATE KEY" in content:
        raise InvalidConfiguration(f"{path} holds a private key, which is for its owner alone.", remedy)
    try:
        public = serialization.load_pem_public_key(content)
    except (ValueError, TypeError):
        raise InvalidConfiguration(f"{path} is not a public key in PEM.", remedy) from None
    curves = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
    if isinstance(public, ed25519.Ed25519PublicKey) or (
        isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, curves)
    ):
        return _verifying(path.stem, public)
    raise InvalidConfiguration(f"The key in {path} is neither ECDSA (P-256, P-384, P-521) nor Ed25519.", remedy)


def _verifying(name: str, public: PublicKey) -> AttesterKey:
    encodings, form = serialization.Encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    id_ = hashlib.sha256(public.public_bytes(encodings.DER, form)).hexdigest()
    pem = public.public_bytes(encodings.PEM, form).decode()
    return AttesterKey(name, pem, id_, SSlibKey.from_crypto(public, keyid=id_))


def _trust(home: Path, name: str, pem: str) -> None:
    (home / TRUSTED).mkdir(exist_ok=True)
    whole_files.write(home / TRUSTED / f"{name}.pem", pem, mode=0o644, durable=True)


def _anybody_writes(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IWOTH)


def _unusable(path: Path, why: str, remedy: str) -> InvalidConfiguration:
    return InvalidConfiguration(f"The key of attestations in {path} {why}.", remedy)
