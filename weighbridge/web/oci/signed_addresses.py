"""Signed addresses: one blob for one caller for a while, without a header.

Ollama asks for a blob once with its token, and for the parts of it at the address that the answer names, without.
Whether the caller still may have the blob is asked at each request anew. Not here: blobs themselves (web.oci.blobs).
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from starlette.requests import Request

from weighbridge.domain.access import Caller
from weighbridge.errors import NotAuthenticated
from weighbridge.intake.resources import Resources
from weighbridge.web.oci.paths import OciPath
from weighbridge.web.oci.signatures import is_signature_of, signature

#: Seconds for which an address is valid, and those for each further MB: a client opens it anew for each part.
_LEAST_S, _MOST_S, _BYTES_A_SECOND = 900, 24 * 3600, 1_000_000
_USE = "addresses of blobs"
_FIELDS = _CALLER, _EXPIRES, _SIGNATURE = ("caller", "expires", "signature")


def is_signed(request: Request) -> bool:
    """Return whether a request is for a signed address."""
    return _SIGNATURE in request.query_params


def signed_address(request: Request, path: OciPath, size: int, caller: Caller, resources: Resources) -> str:
    """Return the address, without the host, at which a caller who has a key gets a blob.

    Args:
        request: for the blob.
        path: what it asks for.
        size: of the blob, in bytes.
        caller: who asks.
        resources: those of the process.

    Raises:
        InvalidConfiguration: the operator's secret cannot be read or made.
    """
    lasts_s = min(_MOST_S, _LEAST_S + size // _BYTES_A_SECOND)
    expires = str(int(resources.clock().timestamp()) + lasts_s)
    signed = signature(_USE, (path.name, str(path.digest), caller.name, expires), resources)
    query = urlencode(dict(zip(_FIELDS, (caller.name, expires, signed), strict=True)))
    return f"{request.scope['raw_path'].decode('latin-1')}?{query}"


def signed_caller(request: Request, path: OciPath, resources: Resources) -> Caller:
    """Return the caller for whom an address was signed.

    Raises:
        NotAuthenticated: it was not signed here, or is too old, or the caller's key is not valid any more.
    """
    name, expires, given = (request.query_params.get(field, "") for field in _FIELDS)
    if not is_signature_of(given, _USE, (path.name, str(path.digest), name, expires), resources):
        raise NotAuthenticated("The address was not signed by this registry.", "Ask for the blob without its query.")
    now = resources.clock()
    if datetime.fromtimestamp(int(expires), now.tzinfo) <= now:
        raise NotAuthenticated("The address is not valid any more.", "Ask for the blob without its query.")
    key = resources.catalog.keys.named(name)
    if key is None or key.state(now) != "valid":
        raise NotAuthenticated(f"The key {name} is not valid any more.", name=name)
    return key.caller
