"""Loops: a mirror that is asked by itself, as its `base_url` or Weighbridge's own `HF_ENDPOINT` leads back to it.

Each request to a Hub has a `Via` with a random token of the catalog, which all processes of an installation share. A
Weighbridge that is asked by another one knows that one's token for a stranger's. Not here: sending it
(sources.huggingface).
"""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.domain.text import shown
from weighbridge.web.mirror.refusals import answer
from weighbridge.web.peers import address_of

_log = logging.getLogger(__name__)
_WORDS = (
    "This is the mirror of the same Weighbridge that asks. The address of the Hub leads back to it: name the Hub "
    "itself in base_url of the mirror's file or in WEIGHBRIDGE_HUGGINGFACE_ENDPOINT; HF_ENDPOINT is for clients."
)


def is_own(request: Request, via: str) -> bool:
    """Return whether a request comes from this installation; `via` is what it writes into `Via`."""
    return any(part.strip() == via for value in request.headers.getlist("via") for part in value.split(","))


def asked_by_itself(request: Request) -> Response:
    """Return the answer to such a request: 508, which is not sent again."""
    _log.error("%s (asked for %s by %s)", _WORDS, shown(request.scope["path"], 200), address_of(request))
    return answer(508, _WORDS)
