"""Problems: every error as `application/problem+json` (RFC 9457), with the remedy and the fields that are wrong.

What the server could not do is told in its log, under the problem's `instance`: messages of such errors name folders
and services of the operator's, which are nothing to a caller. Not here: the errors themselves (errors).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from weighbridge.domain.text import shown
from weighbridge.errors import (
    ChangedMeanwhile,
    IssuerUnavailable,
    KeyReused,
    NameTaken,
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    RegistryError,
    SourceError,
    StateConflict,
    TooManyAtOnce,
    TooManyFailures,
    UsageError,
    WeighbridgeError,
    problem_type,
)

MEDIA_TYPE = "application/problem+json"
#: The status of each kind of error; the nearest kind above an error counts. Kinds that may pass by themselves are 503.
STATUSES: dict[type[WeighbridgeError], int] = {
    NotAuthenticated: 401,
    NotPermitted: 403,
    TooManyFailures: 429,
    TooManyAtOnce: 429,
    IssuerUnavailable: 503,
    NotInCatalog: 404,
    NameTaken: 409,
    StateConflict: 409,
    ChangedMeanwhile: 412,
    KeyReused: 422,
    UsageError: 400,
    RegistryError: 502,
    SourceError: 502,
    WeighbridgeError: 500,
}
_SCHEMA = "#/components/schemas/{model}"
_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": _SCHEMA.format(model="ProblemDetails")}}}
#: Failures of others than the caller whose words name nothing of the operator's.
_TOLD = (IssuerUnavailable,)
#: Seconds after which a client may ask again, where the error does not say.
_RETRY_AFTER_S = 5
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Changed meanwhile",
    413: "Body too large",
    415: "Media type not supported",
    421: "Misdirected request",
    422: "Invalid request",
    429: "Too many requests",
    500: "Internal error",
    502: "Another service failed",
    503: "Not available",
}
_log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """One field that is wrong.

    Attributes:
        field: where it is: `query.limit`, `body.version`.
        message: what is wrong with it.
    """

    field: str
    message: str


class ProblemDetails(BaseModel):
    """An error, as every refused request is answered (RFC 9457)."""

    type: str = Field(description="What kind of problem it is; stable, for programs.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field("", description="What was refused and why, for a person.")
    remedy: str = Field("", description="What to do next.")
    errors: list[FieldProblem] = Field([], description="The fields that are wrong.")
    instance: str = Field("", description="Names this one problem in the server's log.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the entries of an OpenAPI document for the problems that an operation may answer with."""
    return {status: {"description": _TITLES[status], "content": _CONTENT} for status in statuses}


def add_schemas(document: dict[str, Any]) -> None:
    """Add the schema of problems to an OpenAPI document, to which the entries of `documented` refer."""
    schema = ProblemDetails.model_json_schema(mode="serialization", ref_template=_SCHEMA)
    schemas = document["components"]["schemas"]
    schemas |= schema.pop("$defs") | {ProblemDetails.__name__: schema}


def add_handlers(app: FastAPI) -> None:
    """Make an application answer every error with a problem."""
    app.add_exception_handler(WeighbridgeError, _of_error)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_bug)


def respond(problem: ProblemDetails, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response of a problem."""
    content = problem.model_dump(exclude_defaults=True)
    return JSONResponse(content, problem.status, dict(headers or {}), MEDIA_TYPE)


def of_error(error: WeighbridgeError) -> tuple[ProblemDetails, dict[str, str]]:
    """Return the problem of an error, and the headers of its response."""
    kind = next(kind for kind in type(error).__mro__ if kind in STATUSES)
    status = 503 if error.retryable else STATUSES[kind]
    type_ = problem_type(type(error))
    headers = {}
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="weighbridge"'
    if error.retryable or status == 429:
        headers["retry-after"] = str(int(error.facts.get("retry_after_s") or _RETRY_AFTER_S))
    if status < 500 or isinstance(error, _TOLD):
        title = _TITLES[status]
        return ProblemDetails(
            type=type_, title=title, status=status, detail=error.problem, remedy=error.remedy
        ), headers
    instance = f"urn:uuid:{uuid.uuid4()}"
    _log.error("%s: %s", instance, error)
    problem = ProblemDetails(
        type=type_,
        title=_TITLES[status],
        status=status,
        detail="The server could not do this now." if error.retryable else "The server could not do this.",
        remedy="Try again later." if error.retryable else "Ask its operator: its log has the reason.",
        instance=instance,
    )
    return problem, headers


def of_status(status: int, detail: str = "", remedy: str = "", errors: Sequence[FieldProblem] = ()) -> ProblemDetails:
    """Return a problem that is no more than its HTTP status says."""
    title = _TITLES.get(status, "Refused")
    return ProblemDetails(
        type="about:blank", title=title, status=status, detail=detail, remedy=remedy, errors=list(errors)
    )


async def _of_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, WeighbridgeError)
    return respond(*of_error(error))


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes) and error.body:  # FastAPI reads JSON alone.
        return respond(_of_media_type(request))
    fields = [_field(one) for one in error.errors()]
    detail = "; ".join(f"{one.field}: {one.message}" for one in fields[:3])
    remedy = f"{request.app.state.prefix}/docs says what it takes."
    problem = of_status(422, f"The request is not valid: {detail}.", remedy, fields)
    return respond(problem.model_copy(update={"type": "urn:weighbridge:problem:invalid-request"}))


def _field(error: Mapping[str, Any]) -> FieldProblem:
    if error["type"] == "json_invalid":
        where = f"character {error['loc'][-1]}"
        return FieldProblem(field="body", message=f"it is not JSON: {error['ctx']['error']} ({where})")
    return FieldProblem(field=".".join(map(str, error["loc"])), message=error["msg"].removeprefix("Value error, "))


def _of_media_type(request: Request) -> ProblemDetails:
    kind = shown(request.headers.get("content-type", ""), 100)
    return of_status(
        415, f"The body is “{kind}”, and JSON is wanted.", "Send JSON with the header `Content-Type: application/json`."
    )


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    remedy = ""
    detail = str(error.detail)
    if error.status_code == 400:  # What FastAPI cannot read of a body.
        if encoding := request.headers.get("content-encoding"):
            problem = of_status(
                415, f"The body has the Content-Encoding “{shown(encoding, 100)}”.", "Send it without any."
            )
            return respond(problem, {"accept-encoding": "identity"})
        detail = "The body cannot be read as JSON in UTF-8."
        remedy = "Send JSON in UTF-8 that is not nested deeply, without numbers of thousands of digits."
    if error.status_code == 404:
        detail, remedy = "There is nothing at this path.", f"{request.app.state.prefix}/docs lists what there is."
    if error.status_code == 405:
        detail = f"{request.method} is not possible here."
    return respond(of_status(error.status_code, detail, remedy), error.headers)


async def _of_bug(_request: Request, error: Exception) -> Response:
    """Answer an unexpected exception; Starlette raises it again afterwards, and the server logs it."""
    instance = f"urn:uuid:{uuid.uuid4()}"
    _log.error("%s: %s", instance, type(error).__name__)
    problem = of_status(
        500, "Something unexpected went wrong.", "Report it with the server's log, which has the reason."
    )
    return respond(problem.model_copy(update={"instance": instance}))
