"""Answers: JSON with an entity tag, and `304 Not Modified` for a client that has it already.

Not here: problems (web.problems).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from weighbridge.errors import ChangedMeanwhile

#: Clients may keep an answer and have to ask whether it is still true; no shared cache may keep it.
_CACHING = "private, no-cache"


@dataclass(frozen=True)
class Body:
    """A document as it is sent: JSON in UTF-8 with its entity tag."""

    content: bytes
    etag: str


def body_of(document: Any) -> Body:
    """Return a document as it is sent."""
    content = written(document)
    return Body(content, _etag(content))


def answer(request: Request, document: Any, status: int = 200) -> Response:
    """Return a document as JSON with its ETag; status 304 without a body where the client's copy is equal."""
    return answer_body(request, body_of(document), status)


def answer_body(request: Request, body: Body, status: int = 200) -> Response:
    """Return the answer to a request, as `answer` does, of a body that was made before."""
    headers = {"etag": body.etag, "cache-control": _CACHING}
    if status == 200 and request.method == "GET" and names_tag(request, "if-none-match", body.etag):
        return Response(status_code=304, headers=headers)
    return Response(body.content, status, headers, media_type="application/json")


def answer_once(document: Any, status: int = 200) -> Response:
    """Return a document that holds a secret: nobody keeps a copy of the answer."""
    return Response(written(document), status, {"cache-control": "no-store"}, media_type="application/json")


def refuse_changed(request: Request, document: Any) -> None:
    """Refuse a change whose preconditions the document does not fulfil that there is.

    `If-Match` names the one that may be changed; `If-None-Match` the ones that may not, `*` every one.

    Raises:
        ChangedMeanwhile: it is another one.
    """
    etag = body_of(document).etag
    if "if-match" in request.headers and not names_tag(request, "if-match", etag):
        raise ChangedMeanwhile(
            "The model changed after you read the ETag in If-Match.",
            "Read it again, look at what changed, and send its ETag.",
        )
    if "if-none-match" in request.headers and names_tag(request, "if-none-match", etag):
        raise ChangedMeanwhile(
            "The model is the one that If-None-Match excludes.", "Leave the header out, or send If-Match."
        )


def written(document: Any) -> bytes:
    """Return a document as JSON in UTF-8."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        # A lone surrogate in a publisher's text becomes “?”, as no UTF-8 has it, and numbers may have any length.
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def names_tag(request: Request, condition: str, etag: str) -> bool:
    """Return whether a condition's header names a tag; a proxy that compresses answers makes their tags weak."""
    wanted = request.headers.get(condition, "")
    return wanted.strip() == "*" or etag in (part.strip().removeprefix("W/") for part in wanted.split(","))
