"""Envelopes: statements with their signatures (DSSE 1), written, read strictly, and verified.

A file has one envelope a line (in-toto's bundle), or is one envelope. Nothing of a payload is looked at before a
signature by a trusted key was verified. Not here: keys (signing.keys).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Signature as LibrarySignature

from weighbridge.domain import strict_json
from weighbridge.domain.text import shown
from weighbridge.signing.keys import AttestationKey, AttesterKey

#: Bytes of a file that is read: a model of 100,000 files has five statements of 20 MB.
MAX_SIZE = 256 * 1024**2
MAX_ENVELOPES, MAX_SIGNATURES = 64, 16
#: Bytes of a signature: one of ECDSA on P-521 has 139.
_MAX_SIGNATURE = 1024
_STANDARD, _URL_SAFE = re.compile(r"[A-Za-z0-9+/]*={0,2}"), re.compile(r"[A-Za-z0-9_-]*={0,2}")


class InvalidEnvelope(ValueError):
    """A text that is not an envelope; its message says why, for a sentence."""


@dataclass(frozen=True)
class SignedPayload:
    """One envelope.

    Attributes:
        payload: the bytes that are signed.
        payload_type: what they are; signed with them.
        signatures: at least one; the key that each may be by is not known.
    """

    payload: bytes
    payload_type: str
    signatures: tuple[bytes, ...]

    @property
    def encoding(self) -> bytes:
        """The bytes that a signature is over (pre-authentication encoding): type and payload, each with its length."""
        return Envelope(self.payload, self.payload_type, {}).pae()

    def signer(self, keys: Sequence[AttesterKey]) -> AttesterKey | None:
        """Return the first of the keys that one of the signatures is by, or None."""
        encoding = self.encoding
        return next((key for key in keys for one in self.signatures if _is_by(key, one, encoding)), None)


def signed(payload: bytes, payload_type: str, key: AttestationKey) -> bytes:
    """Return the envelope of a payload with a key's signature: one line of JSON, without its end."""
    signature = key.sign(Envelope(payload, payload_type, {}).pae())
    value = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": key.public.id, "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(value, separators=(",", ":")).encode()


def read_envelopes(content: bytes) -> tuple[SignedPayload, ...]:
    """Return the envelopes of a file.

    Raises:
        InvalidEnvelope: it has none, too many, or something else.
    """
    if len(content) > MAX_SIZE:
        raise InvalidEnvelope(f"it has more than {MAX_SIZE:,} bytes")
    lines = [line for line in content.split(b"\n") if line.strip()]
    if not lines:
        raise InvalidEnvelope("it is empty")
    if lines[0].rstrip() == b"{" or len(lines) > MAX_ENVELOPES:  # One envelope that was written in several lines.
        return (_envelope(content),)
    return tuple(_envelope(line) for line in lines)


def _envelope(text: bytes) -> SignedPayload:
    try:
        value = strict_json.parse(text)
    except strict_json.AmbiguousJson as error:
        raise InvalidEnvelope(str(error)) from error
    if not isinstance(value, dict):
        raise InvalidEnvelope("it is not an object")
    kind, signatures = value.get("payloadType"), value.get("signatures")
    if not isinstance(kind, str) or not kind:
        raise InvalidEnvelope("its payloadType is missing")
    try:
        kind.encode()
    except UnicodeEncodeError as error:
        raise InvalidEnvelope("its payloadType is not valid Unicode") from error
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise InvalidEnvelope(f"it has no signature, or more than {MAX_SIGNATURES}")
    return SignedPayload(_decoded(value.get("payload"), "payload"), kind, tuple(_signature(one) for one in signatures))


def _signature(value: Any) -> bytes:
    if not isinstance(value, dict):
        raise InvalidEnvelope("a signature in it is not an object")
    signature = _decoded(value.get("sig"), "sig")
    if not 1 <= len(signature) <= _MAX_SIGNATURE:
        raise InvalidEnvelope("a signature in it is empty, or too long")
    return signature


def _decoded(text: Any, field: str) -> bytes:
    """Return the bytes of base64, of the standard or the URL-safe alphabet; of each value there is one text of both."""
    if not isinstance(text, str):
        raise InvalidEnvelope(f"its field {field} is missing, or not a text")
    encode = next(
        (
            encode
            for pattern, encode in ((_STANDARD, base64.b64encode), (_URL_SAFE, base64.urlsafe_b64encode))
            if pattern.fullmatch(text)
        ),
        None,
    )
    if encode is not None:
        try:
            content = base64.b64decode(text.translate(_TO_STANDARD))
        except binascii.Error:
            content = b""
        if encode(content).decode() == text:
            return content
    raise InvalidEnvelope(f"its field {field} is not base64: “{shown(text, 40)}”")


_TO_STANDARD = str.maketrans("-_", "+/")


def _is_by(key: AttesterKey, signature: bytes, encoding: bytes) -> bool:
    try:
        # What an envelope says of its key is not signed, and may be left out: every key is tried.
        key.key.verify_signature(LibrarySignature(key.id, signature.hex()), encoding)
    except (UnverifiedSignatureError, VerificationError):
        return False
    return True
