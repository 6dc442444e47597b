"""Ollama's own keys: each Ollama signs with one of its own (`~/.ollama/id_ed25519`), and has no other credential.

A key of the catalog whose name is `ollama-` and a digest of that public key is this Ollama's: with its role, models
and end, and in the audit log. Not here: which requests are signed (web.oci.ollama_tokens).
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from weighbridge.domain.access import Caller
from weighbridge.errors import NotAuthenticated
from weighbridge.intake.resources import Resources

_PREFIX = "ollama-"
_HEX_DIGITS = 40
#: What SSH writes before the 32 bytes of a public key of this kind.
_WIRE = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
#: A public key and a signature, as Ollama has them in the header `Authorization`.
_HEADER = re.compile(r"([A-Za-z0-9+/]{68}):([A-Za-z0-9+/]{86}==)")
#: In what is signed, a GET has this for the digest of its body.
_NO_BODY = b64encode(sha256(b"").hexdigest().encode()).decode()


def is_signature(header: str) -> bool:
    """Return whether a header `Authorization` is one of Ollama's."""
    return _HEADER.fullmatch(header.strip()) is not None


def signing_caller(header: str, url: str, resources: Resources) -> Caller:
    """Return the caller whose Ollama signed a GET.

    Args:
        header: its header `Authorization`.
        url: what it asked for, with scheme, host and query.
        resources: those of the process.

    Raises:
        NotAuthenticated: the signature is not right, or this Ollama has no valid key here.
    """
    matched = _HEADER.fullmatch(header.strip())
    wire = _decoded(matched[1]) if matched else b""
    if matched is None or not wire.startswith(_WIRE):
        raise NotAuthenticated("The header `Authorization` is no signature of Ollama's.")
    try:
        public = Ed25519PublicKey.from_public_bytes(wire.removeprefix(_WIRE))
        public.verify(_decoded(matched[2]), f"GET,{url},{_NO_BODY}".encode())
    except (InvalidSignature, ValueError) as error:
        raise NotAuthenticated("The signature of this Ollama is not right.") from error
    name = _PREFIX + sha256(wire).hexdigest()[:_HEX_DIGITS]
    key = resources.catalog.keys.named(name)
    if key is None or key.state(resources.clock()) != "valid":
        raise NotAuthenticated(
            "This Ollama has no valid key here.",
            f"Whoever runs this registry can make one: weighbridge token create {name} --role reader",
            name=name,
        )
    return key.caller


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        return b""
