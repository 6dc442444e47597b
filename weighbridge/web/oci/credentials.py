"""Credentials of OCI clients: a key as a bearer token or as the password of a user, and the endpoint of tokens.

Clients that were refused ask the endpoint that the challenge names for a token, with user and password (`docker login`,
`oras login`). The token is the key itself, which the client has anyway: it ends with the key, on every server. Not
here: tokens for Ollama (web.oci.ollama_tokens), and addresses that need no header (web.oci.signed_addresses).
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from urllib.parse import parse_qs

from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response

from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.errors import NotAuthenticated
from weighbridge.intake.ollama_keys import is_signature
from weighbridge.web.authentication import caller_of
from weighbridge.web.forwarded import called_by
from weighbridge.web.mirror.links import origin_of
from weighbridge.web.oci.ollama_tokens import is_token, signed_token, token_caller
from weighbridge.web.oci.paths import PREFIX
from weighbridge.web.oci.refusals import document
from weighbridge.web.peers import address_of

#: Seconds after which clients ask for a token again.
_LASTS_S = 300
_HOW = "Log in with any user, and a key as the password; `weighbridge token create NAME --role reader` makes one."


def challenge(request: Request, name: str) -> str:
    """Return where a client gets a token, for reading a repository; its host is the one that the client asked."""
    scope = f',scope="repository:{name}:pull"' if name else ""
    return f'Bearer realm="{origin_of(request)}{PREFIX}/token",service="{called_by(request)}"{scope}'


def caller(request: Request, state: State) -> Caller:
    """Return who asks. Raises as `caller_of`."""
    header = request.headers.get("authorization")
    return _known(None if header is None else _key(header), request, state)


def token(request: Request, body: bytes, state: State) -> Response:
    """Return the answer of the endpoint of tokens: for a key, itself; for nobody an empty one where reading is open.

    Args:
        request: with the header `Authorization`, or POST with a form of OAuth 2.
        body: of the request.
        state: what the process that serves shares.

    Raises:
        NotAuthenticated: the key is not valid, or one is needed.
    """
    header = request.headers.get("authorization", "")
    if request.method == "GET" and is_signature(header):
        text = _signed(request, header, state)
    else:
        form = parse_qs(body.decode(errors="replace"))
        sent = next((form[field][0] for field in ("password", "refresh_token") if form.get(field)), _key(header))
        text = "" if _known(sent if sent or header else None, request, state) is ANONYMOUS else sent
    content = {"token": text, "access_token": text, "expires_in": _LASTS_S}
    return document(content, headers={"cache-control": "no-store"})


def _known(key: str | None, request: Request, state: State) -> Caller:
    """Return who sends a key, or a token of Ollama's, or nothing."""
    try:
        if key is not None and is_token(key):
            return token_caller(key, state.resources)
        bearer = None if key is None else f"Bearer {key}"
        return caller_of(bearer, address_of(request), state.resources, state.failures)
    except NotAuthenticated as error:
        raise NotAuthenticated(error.problem, _HOW) from error


def _signed(request: Request, header: str, state: State) -> str:
    """Return a token for an Ollama; one that has none too often has to wait, as with keys."""
    address, failures = address_of(request), state.failures
    failures.refuse(address, header)
    try:
        return signed_token(request, header, state.resources)
    except NotAuthenticated:
        failures.record(address)
        raise


def _key(header: str) -> str:
    """Return the key in a header: after `Bearer`, or the password after `Basic`."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return value.strip() if value else header.strip()
    try:
        return b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
