"""Answers: JSON with an entity tag, and `304 Not Modified` for a client that has it already.

Not here: problems (web.problems).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

#: Clients may keep an answer and have to ask whether it is still true; no shared cache may keep it.
_CACHING = "private, no-cache"


def answer(request: Request, document: BaseModel | Any, status: int = 200) -> Response:
    """Return a document as JSON with its ETag; status 304 without a body where the client's copy is equal."""
    content = document.model_dump() if isinstance(document, BaseModel) else document
    # A lone surrogate in a publisher's text becomes “?”: no UTF-8 has it.
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    headers = {"etag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "cache-control": _CACHING}
    if status == 200 and request.method in ("GET", "HEAD") and _matches(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, media_type="application/json")


def _matches(request: Request, etag: str) -> bool:
    """Whether `If-None-Match` names this tag; it is compared weakly (RFC 9110, 13.1.2)."""
    wanted = request.headers.get("if-none-match", "")
    return wanted.strip() == "*" or etag in (part.strip().removeprefix("W/") for part in wanted.split(","))
