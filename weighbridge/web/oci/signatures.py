"""Signatures of this registry's own: of addresses of blobs, and of tokens.

They are made with the operator's secret, so that every server that has it knows them. Not here: what is signed
(web.oci.signed_addresses, web.oci.ollama_tokens).
"""

from __future__ import annotations

import hmac

from weighbridge.intake.resources import Resources


def signature(use: str, parts: tuple[str, ...], resources: Resources) -> str:
    """Return the signature of some texts, none of which has a line break.

    Args:
        use: what it is for: one of another use is not valid.
        parts: the texts.
        resources: those of the process.

    Raises:
        InvalidConfiguration: the operator's secret cannot be read or made.
    """
    # The secret is that of webhooks, too, whose receivers' names do not begin with this sign.
    key = hmac.digest(resources.signing_key.secret, f"\0{use}".encode(), "sha256")
    return hmac.digest(key, "\n".join(parts).encode(), "sha256").hex()


def is_signature_of(text: str, use: str, parts: tuple[str, ...], resources: Resources) -> bool:
    """Return whether a text is the signature of some texts. Raises InvalidConfiguration."""
    return hmac.compare_digest(signature(use, parts, resources).encode(), text.encode())
