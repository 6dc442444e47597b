"""Tokens for Ollama, which has no key to send, but signs its request for a token with a key of its own.

It signs the whole address, so the host in it has to be this server's: what it signed for another registry, which
whoever runs that one could send on, is worth nothing here. Not here: whose key it is (intake.ollama_keys).
"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlsplit

from starlette.requests import Request

from weighbridge.config.settings import Settings
from weighbridge.domain.access import Caller
from weighbridge.domain.name_patterns import matches
from weighbridge.domain.text import shown
from weighbridge.errors import NotAuthenticated
from weighbridge.intake.ollama_keys import signing_caller
from weighbridge.intake.resources import Resources
from weighbridge.web.forwarded import called_by
from weighbridge.web.hosts import named
from weighbridge.web.mirror.links import origin_of
from weighbridge.web.oci.signatures import is_signature_of, signature

#: Seconds for which a token is valid; Ollama gets another one when it is refused.
LASTS_S = 900
#: Seconds by which the clocks of Ollama and this server may differ.
_CLOCKS_S = 300
_USE = "tokens for Ollama"
_TOKEN = re.compile(r"wbo_([A-Za-z0-9.-]{1,64})_([0-9]{1,12})_([0-9a-f]{64})")


def signed_token(request: Request, header: str, resources: Resources) -> str:
    """Return a token for the Ollama that signed a request.

    Raises:
        NotAuthenticated: it signed for another server, at another time, or has no key here.
    """
    if not _is_for_us(request, resources.settings):
        raise NotAuthenticated(
            f"This Ollama signed for {shown(called_by(request), 100)}, which is not known to be this registry.",
            "Name it in WEIGHBRIDGE_SERVE_URL or WEIGHBRIDGE_SERVE_NAMES.",
        )
    at, now = request.query_params.get("ts", ""), int(resources.clock().timestamp())
    if not (at.isascii() and at.isdigit() and len(at) < 13 and abs(int(at) - now) <= _CLOCKS_S):
        raise NotAuthenticated("This Ollama signed at another time.", "Set the clocks of both machines.")
    query = request.scope["query_string"].decode("latin-1")
    url = f"{origin_of(request)}{request.scope['raw_path'].decode('latin-1')}?{query}"
    caller, expires = signing_caller(header, url, resources), str(now + LASTS_S)
    return f"wbo_{caller.name}_{expires}_{signature(_USE, (caller.name, expires), resources)}"


def is_token(text: str) -> bool:
    """Return whether a text looks like a token of `signed_token`."""
    return _TOKEN.fullmatch(text) is not None


def token_caller(text: str, resources: Resources) -> Caller:
    """Return the caller whose token it is.

    Raises:
        NotAuthenticated: it was not made here, or is too old, or the caller's key is not valid any more.
    """
    matched, now = _TOKEN.fullmatch(text), resources.clock()
    if matched is None or not is_signature_of(matched[3], _USE, (matched[1], matched[2]), resources):
        raise NotAuthenticated("The token is not one of this registry.")
    key = resources.catalog.keys.named(matched[1])
    if datetime.fromtimestamp(int(matched[2]), now.tzinfo) <= now or key is None or key.state(now) != "valid":
        raise NotAuthenticated("The token is not valid any more.")
    return key.caller


def _is_for_us(request: Request, settings: Settings) -> bool:
    """Return whether the host in a request is this server's, whatever other names it answers."""
    host = called_by(request).lower()
    name = named(host)
    if settings.serve_url and host == urlsplit(settings.serve_url).netloc.lower():
        return True
    if any(matches(name, pattern.lower()) for pattern in settings.serve_names):
        return True
    address = str((request.scope.get("server") or ("",))[0]).removeprefix("::ffff:")
    return (bool(name) and name == address) or (name == "localhost" and address in ("127.0.0.1", "::1"))
