"""Authentication: who makes a request, and whether that caller may do what it asks for.

Every route below the API's path needs a reader; a route that changes something names the role that it needs. Where a
route is about one model, its name has to match the patterns of the caller. Not here: what roles are (domain.access).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from weighbridge.domain.access import ANONYMOUS, Caller, Role
from weighbridge.domain.audit import Head
from weighbridge.errors import NotAuthenticated, NotPermitted
from weighbridge.intake.resources import Resources
from weighbridge.web.failures import Failures
from weighbridge.web.peers import address_of
from weighbridge.web.process import SharedResources, failures_of, newest_change_of, resources_of

_BEARER = HTTPBearer(auto_error=False, description="A key, or a token of the issuer.")
_HOW = "Send the header `Authorization: Bearer KEY`; `weighbridge token create NAME --role ROLE` makes a key."


def caller_of(
    authorization: str | None, address: str, resources: Resources, failures: Failures, newest: Head | None = None
) -> Caller:
    """Return who sends a header `Authorization`, or None without one, from an address.

    With the newest change of the catalog, the key is known until the next one (`Callers.known`).

    Raises:
        NotAuthenticated: it names no key of this registry, and one is needed.
        NotPermitted, IssuerUnavailable: as `Callers.caller`.
        TooManyFailures: the address has sent too many keys that are not valid.
    """
    if authorization is None:
        return _identified(authorization, resources)
    with counted(address, authorization.partition(" ")[2], failures):
        return _identified(authorization, resources, newest)


@contextmanager
def counted(address: str, token: str, failures: Failures) -> Iterator[None]:
    """Count what the block finds out of a token: after too many that are not valid, an address has to wait.

    Raises:
        TooManyFailures: it has to.
    """
    failures.refuse(address, token)
    try:
        yield
    except NotAuthenticated:
        failures.record(address)
        raise
    failures.accept(token)


def known_caller(authorization: str | None, resources: Resources, newest: Head) -> Caller | None:
    """Return who sends a header `Authorization` with a key that is known since before the catalog's newest change.

    None for any other header: then `caller_of` finds out, which reads the catalog.
    """
    scheme, _, token = (authorization or "").partition(" ")
    return resources.callers.known(token.strip(), newest) if scheme.lower() == "bearer" else None


def _identified(authorization: str | None, resources: Resources, newest: Head | None = None) -> Caller:
    if authorization is None:
        if resources.settings.reading_is_open:
            return ANONYMOUS
        raise NotAuthenticated("This registry is not open: the request names no key.", _HOW)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticated("The header `Authorization` names no bearer token.", _HOW)
    return resources.callers.caller(token.strip(), newest)


async def _caller(request: Request) -> Caller:
    """Return who makes a request, which is found out once."""
    if not hasattr(request.state, "caller"):
        request.state.caller = await _found_out(request)
    caller: Caller = request.state.caller
    return caller


async def _found_out(request: Request) -> Caller:
    """Return what `caller_of` does, for which a thread is needed only where the key is not known yet."""
    resources, header = await resources_of(request), request.headers.get("authorization")
    if header is None:
        return _identified(header, resources)
    newest = await (await newest_change_of(request)).after(request)
    known = known_caller(header, resources, newest)
    if known is not None:
        return known
    failures = await failures_of(request)
    return await run_in_threadpool(caller_of, header, address_of(request), resources, failures, newest)


async def _again(request: Request, resources: SharedResources) -> Callable[[], Caller]:
    return partial(_identified, request.headers.get("authorization"), resources)


#: For an answer that lasts: returns the caller anew, or raises what a new request would be refused with.
CallerAgain = Annotated[Callable[[], Caller], Depends(_again)]


def needs(role: Role, *, known: bool = False) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency that gives the caller, and refuses one that may not do what needs a role.

    Args:
        role: the role.
        known: whether the caller has to be known even where reading is open.
    """

    async def permitted(request: Request) -> Caller:
        caller = await _caller(request)
        model = unquote(request.path_params.get("id", ""))
        if caller.may(role, model) and not (known and caller is ANONYMOUS):
            return caller
        if caller is ANONYMOUS:
            raise NotAuthenticated("Without a key, this registry can only be read.", _HOW)
        if not caller.may(role):
            raise NotPermitted(
                f"This needs the role {role}, and the {caller.credential} has the role {caller.role}.",
                f"Use another {caller.credential}.",
            )
        raise NotPermitted(
            f"The {caller.credential} is not for the model {model}, but for {', '.join(caller.models)}.",
            f"Use another {caller.credential}.",
            name=model,
        )

    return permitted


_reading = needs("reader")
#: What every route depends on. No dependency here has further ones: FastAPI solves those again at each place.
READING = (Depends(_BEARER), Depends(_reading))
Reader = Annotated[Caller, Depends(_reading)]
KnownReader = Annotated[Caller, Depends(needs("reader", known=True))]
Publisher = Annotated[Caller, Depends(needs("publisher"))]


async def _full_admin(caller: Annotated[Caller, Depends(needs("admin"))]) -> Caller:
    if not caller.may_everywhere("admin"):
        raise NotPermitted(
            f"This is about every model, and the {caller.credential} is for {', '.join(caller.models)}.",
            f"Use another {caller.credential}.",
        )
    return caller


#: An admin of every model.
FullAdmin = Annotated[Caller, Depends(_full_admin)]
