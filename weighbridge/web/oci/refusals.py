"""Refusals in the OCI distribution protocol: the status and the code of each error, with the words for a person.

Clients print the message of a body: oras, skopeo and crane of every status, Ollama of every one but 401 and 404. Not
here: why something is refused (intake.mirroring).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from weighbridge.errors import (
    BeingWeighed,
    FileNotInVersion,
    InvalidName,
    InvalidReference,
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    SourceUnavailable,
    TooManyAtOnce,
    TooManyFailures,
    UnknownRevision,
    UsageError,
    WeighbridgeError,
)
from weighbridge.web.answers import written
from weighbridge.web.problems import of_error

#: Status and code of each kind of error; the nearest kind above an error counts.
_ANSWERS: dict[type[WeighbridgeError], tuple[int, str]] = {
    NotAuthenticated: (401, "UNAUTHORIZED"),
    NotPermitted: (403, "DENIED"),
    FileNotInVersion: (404, "BLOB_UNKNOWN"),
    UnknownRevision: (404, "MANIFEST_UNKNOWN"),
    NotInCatalog: (404, "NAME_UNKNOWN"),
    InvalidName: (400, "NAME_INVALID"),
    InvalidReference: (400, "DIGEST_INVALID"),
    BeingWeighed: (429, "TOOMANYREQUESTS"),
    SourceUnavailable: (429, "TOOMANYREQUESTS"),
    TooManyAtOnce: (429, "TOOMANYREQUESTS"),
    TooManyFailures: (429, "TOOMANYREQUESTS"),
    UsageError: (400, "UNSUPPORTED"),
}
#: Of what else may happen.
_OTHER = "UNKNOWN"
#: What every answer says; docker's clients look for it.
VERSION = {"docker-distribution-api-version": "registry/2.0"}


def refusal(error: WeighbridgeError, challenge: str, evidence: str = "") -> Response:
    """Return the answer for an error.

    Args:
        error: the error.
        challenge: says where a client gets a token, if it needs one.
        evidence: the address at which the reasons are; empty for none.
    """
    kind = next((one for one in type(error).__mro__ if one in _ANSWERS), None)
    if kind is None:
        problem, headers = of_error(error)
        named = f" ({problem.instance})" if problem.instance else ""
        return answer(problem.status, _OTHER, f"{problem.detail} {problem.remedy}{named}", headers)
    status, code = _ANSWERS[kind]
    headers = {"www-authenticate": challenge} if status == 401 else {}
    if "retry_after_s" in error.facts:
        headers["retry-after"] = str(error.facts["retry_after_s"])
    return answer(status, code, f"{error} Evidence: {evidence}" if evidence else str(error), headers)


def answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with an error."""
    return document({"errors": [{"code": code, "message": message}]}, status, headers)


def document(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a document as JSON."""
    return Response(written(content), status, {**VERSION, **(headers or {})}, "application/json")
