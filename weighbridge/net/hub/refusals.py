"""Refusals in a Hub's documents, with its codes: which repository, revision or right there is not.

Not here: the exceptions of huggingface_hub (net.hub.errors), and refusals of other servers (net.refusals).
"""

from __future__ import annotations

from typing import Any

from weighbridge.errors import AccessDenied, ModelNotFound
from weighbridge.net.responses import one_line
from weighbridge.net.transfer import FetchedDocument

#: Statuses of such documents.
REFUSED = frozenset({401, 403, 404, 410, 451})


def refusal_of(found: FetchedDocument, url: str) -> ModelNotFound | AccessDenied:
    """Return the error that a document with such a status is.

    `facts` have the Hub's own `words`, `revision` where the repository lacks the revision, and `credentials` where the
    token is not valid.
    """
    code = found.headers.get("x-error-code", "")
    words = one_line(found.headers.get("x-error-message", ""))
    why = f" It says: “{words}”." if words else ""
    facts: dict[str, Any] = {"url": url, "http_status": found.status, "words": words}
    if code == "RevisionNotFound":
        return ModelNotFound(f"There is no such branch, tag or commit at {url}.{why}", "", revision=True, **facts)
    if code == "RepoNotFound" or found.status in (404, 410):
        return ModelNotFound(f"There is nothing at {url} (HTTP {found.status}).{why}", "Check its name.", **facts)
    if found.status == 401 and not code:
        facts["credentials"] = True
    return AccessDenied(
        f"{url} refuses access (HTTP {found.status}).{why}", "The mirror's own token has to be one that may.", **facts
    )
