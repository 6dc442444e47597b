"""Refusals in the Hub's protocol: the status and the headers with which clients show a message to their user.

Clients show the message that comes with `GatedRepo`, `RepoNotFound`, `RevisionNotFound` and `EntryNotFound` only. They
take everything else for a broken connection, and fall back on their cache, except after `RevisionNotFound`. 429 makes
them wait. Not here: why something is refused (intake.mirroring).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from weighbridge.domain.text import shown
from weighbridge.errors import (
    BeingWeighed,
    FileNotInVersion,
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    SourceUnavailable,
    UnknownRevision,
    UsageError,
    VersionRecalled,
    WeighbridgeError,
)
from weighbridge.web.answers import written
from weighbridge.web.problems import of_error

#: Status and code of each kind of error; the nearest kind above an error counts. The codes are the Hub's words.
_ANSWERS: dict[type[WeighbridgeError], tuple[int, str]] = {
    NotAuthenticated: (401, "GatedRepo"),
    NotPermitted: (403, "GatedRepo"),
    VersionRecalled: (404, "RevisionNotFound"),  # Nothing else reaches caches.
    FileNotInVersion: (404, "EntryNotFound"),
    UnknownRevision: (404, "RevisionNotFound"),
    NotInCatalog: (404, "RepoNotFound"),
    BeingWeighed: (429, ""),
    SourceUnavailable: (429, ""),  # After 503, huggingface_hub asks for no file again.
    UsageError: (400, ""),
}
#: Signs that our messages have and headers have not.
_ASCII = str.maketrans({"“": '"', "”": '"', "…": "..."})
_MOST_CHARACTERS = 2000
#: How the user agents of huggingface_hub's command and of datasets begin, and the codes for which these have words of
#: their own alone.
_WITH_OWN_WORDS = ("huggingface-cli/", "datasets/")
_HIDDEN = frozenset({"GatedRepo", "RepoNotFound", "RevisionNotFound"})


def refusal(error: WeighbridgeError, evidence: str = "") -> Response:
    """Return the answer for an error.

    Args:
        error: the error.
        evidence: the address at which its reasons are; empty for none.
    """
    kind = next((one for one in type(error).__mro__ if one in _ANSWERS), None)
    if kind is None:
        problem, headers = of_error(error)
        named = f" ({problem.instance})" if problem.instance else ""
        return answer(problem.status, f"{problem.detail} {problem.remedy}{named}", headers=headers)
    status, code = _ANSWERS[kind]
    headers = {"www-authenticate": 'Bearer realm="weighbridge"'} if status == 401 else {}
    if "retry_after_s" in error.facts:
        headers["retry-after"] = str(error.facts["retry_after_s"])
    if isinstance(error, FileNotInVersion):
        headers["x-repo-commit"] = str(error.facts["commit"])
    return answer(status, f"{error} Evidence: {evidence}" if evidence else str(error), code, headers)


def answer(status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a message for the user of a client."""
    text = header_text(message)
    named = {"x-error-code": code} if code else {}
    return document({"error": text}, status, {**(headers or {}), **named, "x-error-message": text})


def also_as_warning(response: Response, client: str) -> Response:
    """Return a refusal for a client that shows its message only as a warning: the command `hf`, and datasets.

    Args:
        response: the refusal, or another response.
        client: what the client calls itself.
    """
    if response.status_code < 400:
        return response
    message = response.headers.get("x-error-message", "")
    if client.startswith(_WITH_OWN_WORDS) and response.headers.get("x-error-code") in _HIDDEN:
        response.headers.append("x-hf-warning", f"{response.headers['x-error-code']}; {message}")
    return response


def document(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a document as JSON."""
    return Response(written(content), status, dict(headers or {}), "application/json")


def header_text(text: str) -> str:
    """Return text as a header may have it: one line of ASCII, with the codes of other characters."""
    return shown(text, _MOST_CHARACTERS).translate(_ASCII).encode("ascii", "backslashreplace").decode()
