"""The keys of bundles (Ed25519): this installation's own, in a file of its owner's, and those of others that it trusts.

A public key is written `ed25519:` and its 32 bytes in base64. Not here: what is signed (domain.bundle).
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from weighbridge.config.settings import Settings
from weighbridge.domain.bundle import Signature
from weighbridge.domain.bundle_keys import KIND
from weighbridge.errors import InvalidConfiguration
from weighbridge.system import whole_files

#: The file below home; whoever has it can sign bundles that other installations believe.
FILE = "bundle-key"
_LOCK = ".bundle-key.lock"


class BundleKey:
    """This installation's key.

    Attributes:
        text: the public key, as the other side names it.
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        self.text = KIND + base64.b64encode(private.public_key().public_bytes(raw, form)).decode()

    def sign(self, content: bytes) -> Signature:
        """Return the signature of some bytes."""
        return Signature(self.text, self._private.sign(content))


def own_key(settings: Settings) -> BundleKey | None:
    """Return the key in the file of the settings; None where there is no such file.

    Raises:
        InvalidConfiguration: it cannot be read, holds another kind of key, or others than its owner may read it.
    """
    path = _place(settings)
    try:
        with open(path, "rb") as file:
            others = stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
            content = file.read(64 * 1024)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}", "Let this user read it.") from error
    if others:
        raise _unusable(path, "can be read or changed by other users", f"Take that from them: chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise _unusable(path, "is not an unencrypted private key in PEM", "Make one: weighbridge bundle key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "is not an Ed25519 key", "Make one: weighbridge bundle key")
    return BundleKey(key)


def made_key(settings: Settings) -> tuple[BundleKey, bool]:
    """Return the key in the file of the settings, and whether it was made now, with mode 0600, because there was none.

    Raises:
        InvalidConfiguration: as `own_key`, or it cannot be made.
    """
    path = _place(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.parent / _LOCK, "a") as lock:  # Of processes that start at once, one makes the file.
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = own_key(settings)
            if found is not None:
                return found, False
            private = Ed25519PrivateKey.generate()
            encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
            content = private.private_bytes(encoding, form, serialization.NoEncryption())
            whole_files.write(path, content, mode=0o600, durable=True)
            return BundleKey(private), True
    except OSError as error:
        raise _unusable(path, f"cannot be made: {error.strerror}", "Let this user write there.") from error


def is_valid(signature: Signature, content: bytes) -> bool:
    """Return whether a signature is that of some bytes by the key that it names."""
    try:
        raw = base64.b64decode(signature.key.removeprefix(KIND), validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(signature.value, content)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return signature.key.startswith(KIND)


def trusted_name(signature: Signature, trusted: Mapping[str, str]) -> str:
    """Return the name of the trusted key that a signature names; empty where it is none of them."""
    return next((name for name, key in trusted.items() if key == signature.key), "")


def _place(settings: Settings) -> Path:
    return settings.bundle_key_file.expanduser().absolute() if settings.bundle_key_file else settings.folder / FILE


def _unusable(path: Path, why: str, remedy: str) -> InvalidConfiguration:
    return InvalidConfiguration(f"The key of bundles in {path} {why}.", remedy)
