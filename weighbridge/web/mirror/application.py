"""The mirror as an application: requests of clients of the Hugging Face Hub, below a path of their own.

Not here: what their paths mean (web.mirror.paths), and which versions are served (intake.mirroring).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from anyio.to_thread import run_sync
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from weighbridge.config.settings import Settings
from weighbridge.domain.access import ANONYMOUS, PREFIX, Caller
from weighbridge.domain.audit import Head
from weighbridge.errors import NotAuthenticated, UsageError, VersionRefused, VersionWithdrawn, WeighbridgeError
from weighbridge.intake.flights import Awaiting
from weighbridge.intake.hub_tokens import holder_of, is_passed
from weighbridge.intake.mirroring import Served, revisions, served
from weighbridge.intake.recalling import recalled
from weighbridge.intake.resources import Resources
from weighbridge.web.api.cursors import cursor_of, place_of
from weighbridge.web.authentication import caller_of, counted, known_caller
from weighbridge.web.mirror import documents, listing, xet
from weighbridge.web.mirror.ages import age_headers, age_warnings
from weighbridge.web.mirror.arrivals import PATIENCE_S, until
from weighbridge.web.mirror.files import answer_at_once, file_answer
from weighbridge.web.mirror.lately import ServedLately
from weighbridge.web.mirror.links import evidence, next_link
from weighbridge.web.mirror.loops import asked_by_itself, is_own
from weighbridge.web.mirror.paths import DESCRIBING, HubPath, What, read_path
from weighbridge.web.mirror.refusals import also_as_warning, answer, document, header_text, refusal
from weighbridge.web.mirror.trees import MOST_IN_PART, at_paths, tree
from weighbridge.web.peers import address_of
from weighbridge.web.traffic import FOUND, ages

_READING = ("GET", "HEAD")
_log = logging.getLogger(__name__)
#: Documents that are kept for whoever asks for them again.
_KEPT: tuple[What, ...] = ("info", "tree", "refs", "list")
#: What is answered without asking who wants to know.
_WITHOUT_CALLER: dict[str, Callable[[], Response]] = {
    "telemetry": lambda: Response(status_code=204),
    "unknown": lambda: answer(404, "There is nothing at this path."),
    "git": lambda: Response("There are no git repositories here: use `hf download`.\n", 404, media_type="text/plain"),
}


class Mirror:
    """Answers requests below the mirror's path; all others are another application's.

    Args:
        app: the other application.
        state: what the process that serves shares; the other application fills it when it starts.
        settings: of the process.
    """

    def __init__(self, app: ASGIApp, state: State, settings: Settings) -> None:
        self._app, self._state, self._settings = app, state, settings
        self._prefix = settings.mirror_prefix.encode()
        self._lately = ServedLately()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        raw = scope["raw_path"] if scope["type"] == "http" else b""
        if not f"{raw.decode('latin-1')}/".startswith(f"{self._settings.mirror_prefix}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            found = await self._found(request, raw)
        except WeighbridgeError as error:
            found = self._refused(request, error)
        await also_as_warning(found, request.headers.get("user-agent", ""))(scope, receive, send)

    async def _found(self, request: Request, raw: bytes) -> Response:
        path = read_path(raw.removeprefix(self._prefix))
        allowed = ("POST",) if path.what == "paths-info" else _READING
        if request.method not in allowed:
            return answer(405, "The mirror can only be read.", headers={"allow": ", ".join(allowed)})
        if path.what in _WITHOUT_CALLER:
            return _WITHOUT_CALLER[path.what]()
        body = await request.body() if request.method == "POST" else b""
        newest: Head = await self._state.newest_change.after(request)
        caller = _caller_at_once(request, self._state, newest)
        if caller is not None and "via" not in request.headers:
            found = self._found_at_once(request, path, caller, newest)
            if found is not None:
                return found
        return await self._found_in_time(request, path, body)

    def _found_at_once(self, request: Request, path: HubPath, caller: Caller, newest: Head) -> Response | None:
        """Return an answer of what was served lately, which takes no thread; None where it has to be made."""
        if path.what != "file":
            return self._lately.document(newest, request, caller) if path.what in _KEPT else None
        given = self._lately.served_or_before(newest, path, caller)
        if given is None:
            return None
        found = answer_at_once(request, path, given, caller, self._state.resources, newest.number)
        if found is None:
            return None
        self._state.resources.uses.add(given.version.name, given.version.version)
        self._count_file(given, path)
        return _warned(found, given)

    def _count_file(self, given: Served, path: HubPath) -> None:
        """Count the age of a version of which a file is given out, and log it where each file is logged."""
        taken_in = datetime.fromisoformat(given.version.created_at)
        age_s = (self._state.resources.clock() - taken_in).total_seconds()
        self._state.counters.add(ages(max(0.0, age_s)))
        _log.debug("cache hit", extra={"model": given.version.name, "revision": given.commit, "path": path.path})

    async def _found_in_time(self, request: Request, path: HubPath, body: bytes) -> Response:
        """Return the answer; what is being fetched is waited for, for as long as clients wait for a first byte."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            newest: Head = await self._state.newest_change.after(request)
            found = await run_sync(self._answered, request, path, body, newest)
            if isinstance(found, Response):
                return found
            if not await until(found.flight.ended, deadline):
                return refusal(found)
            del request.state.newest  # The catalog may have changed meanwhile.

    def _answered(self, request: Request, path: HubPath, body: bytes, newest: Head) -> Response | Awaiting:
        try:
            with self._state.resources.kept.as_of(newest):
                return self._answer(request, path, body, newest)
        except Awaiting as awaiting:
            return awaiting
        except VersionRefused as error:
            return self._refused(request, recalled(error, self._state.resources))
        except WeighbridgeError as error:
            return self._refused(request, error)

    def _refused(self, request: Request, error: WeighbridgeError) -> Response:
        if not isinstance(error, VersionRefused | VersionWithdrawn):
            return refusal(error)
        facts = error.facts
        return refusal(error, evidence(request, self._settings.api_prefix, facts["name"], facts["version"]))

    def _answer(self, request: Request, path: HubPath, body: bytes, newest: Head) -> Response:
        resources: Resources = self._state.resources
        if is_own(request, resources.via):
            return asked_by_itself(request)
        sealed = xet.caller_of_seal(request, path, resources) if path.what == "xet" else None
        caller = sealed or _caller(request, path, self._state, newest)
        if path.what == "whoami":
            return _whoami(caller)
        if path.what == "list":
            entries, cursor = listing.models(request, path.kind, caller, resources)
            found = document(entries, headers=next_link(request, cursor))
        elif path.what == "refs":
            known = revisions(path.kind, path.name, caller, resources)
            found = document(documents.refs(known, pull_requests=_flag(request.query_params.get("include_prs"))))
            if not known.numbers:
                return found
        else:
            return self._of_version(request, path, body, caller, newest)
        self._lately.keep_document(newest, request, caller, found)
        return found

    def _of_version(self, request: Request, path: HubPath, body: bytes, caller: Caller, newest: Head) -> Response:
        """Return what is asked of a version: a file, or a document about it."""
        resources: Resources = self._state.resources
        given = self._lately.served(newest, path, caller)
        if given is None:
            describing = path.what in DESCRIBING
            given = served(
                path.kind, path.name, path.revision, caller, resources, describing=describing, in_transit=True
            )
            self._lately.keep_served(newest, path, caller, given)
        else:
            resources.uses.add(given.version.name, given.version.version)
        if path.what == "file":
            found = file_answer(request, path, given, caller, resources)
            if given.transit is None:
                self._count_file(given, path)
            else:
                request.scope[FOUND] = "through"
            return _warned(found, given)
        if path.what == "xet":
            return xet.found(request, path, given, caller, resources)
        if path.what == "xet-token" and caller.kind in xet.SEALED and xet.is_served(given, resources):
            return xet.token(request, path, given, resources)
        if path.what in ("absent", "xet-token"):
            return answer(404, "The mirror does not have this of any model.")
        found = _warned(_of_version(request, path, given, body), given)
        if path.what in _KEPT and given.is_lasting:
            self._lately.keep_document(newest, request, caller, found)
        return found


def _of_version(request: Request, path: HubPath, given: Served, body: bytes) -> Response:
    """Return a document about a version."""
    query = request.query_params
    if path.what == "auth-check":
        return Response(status_code=200)
    if path.what == "paths-info":
        paths, expand = _wanted(request, body)
        return document(at_paths(given, paths, expand=expand))
    if path.what == "tree":
        after = place_of(query.get("cursor", ""), "")
        limit = query.get("limit", "")
        part = tree(
            given,
            path.path.strip("/"),
            recursive=_flag(query.get("recursive")),
            expand=_flag(query.get("expand")),
            after=after,
            limit=min(int(limit), MOST_IN_PART) if limit.isascii() and limit.isdigit() and int(limit) else MOST_IN_PART,
        )
        return document(part.entries, headers=next_link(request, cursor_of([part.last]) if part.last else ""))
    flags = {"blobs": _flag(query.get("blobs")), "security": _flag(query.get("securityStatus"))}
    return document(documents.info(given, **flags))


def _caller(request: Request, path: HubPath, state: State, newest: Head) -> Caller:
    """Return who asks; a token of a Hub that the mirror passes on makes a reader of what the path names."""
    found = _caller_at_once(request, state, newest)
    if found is not None:
        return found
    header, resources = request.headers.get("authorization"), state.resources
    address, failures, token = address_of(request), state.failures, _token(request)
    if is_passed(token, path.name, resources):
        with counted(address, token, failures):
            return holder_of(token, path.kind, path.name, resources)
    return caller_of(header, address, resources, failures, newest)


def _caller_at_once(request: Request, state: State, newest: Head) -> Caller | None:
    """Return who asks, where that needs no look into the catalog; else None.

    Where reading is open, a token of the Hub's own, which clients send on, is no key of ours.
    """
    header, token = request.headers.get("authorization"), _token(request)
    of_hub = token.startswith("hf_") and not token.startswith(PREFIX)
    if state.resources.reading_is_open and (of_hub or header is None):
        return ANONYMOUS
    return known_caller(header, state.resources, newest)


def _token(request: Request) -> str:
    return request.headers.get("authorization", "").partition(" ")[2].strip()


def _whoami(caller: Caller) -> Response:
    if caller is ANONYMOUS:
        raise NotAuthenticated("The request names no key of this registry.")
    return document(documents.whoami(caller))


def _wanted(request: Request, body: bytes) -> tuple[Sequence[str], bool]:
    """Return the paths that a body asks for, and whether with all that is known; as JSON or as a form.

    Raises:
        UsageError: it is neither.
    """
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
            content: Any = json.loads(body)
            paths, expand = content["paths"], content.get("expand", False)
        else:
            form = parse_qs(body.decode(), keep_blank_values=True)
            paths, expand = form.get("paths", []), form.get("expand", [""])[0]
        paths = [paths] if isinstance(paths, str) else paths
        if not all(isinstance(one, str) for one in paths):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError("The body names no paths.", "Send `paths` and `expand` as JSON or as a form.") from error
    return paths, _flag(str(expand))


def _flag(text: str | None) -> bool:
    """Return a flag as the versions of clients write it: `True`, `true`, `1`."""
    return (text or "").lower() in ("true", "1")


def _warned(found: Response, given: Served) -> Response:
    """Return an answer with the warnings of a version, which clients show once for each topic, and with its age."""
    version, warnings = given.version, given.warnings
    if given.branch is not None:
        found.headers.update(age_headers(given.branch))
        warnings = (*warnings, *age_warnings(given.branch))
    for number, text in enumerate(warnings, 1):
        topic = header_text(f"{version.name} {version.version} {number}").replace(";", ",")
        found.headers.append("x-hf-warning", f"{topic}; {header_text(f'{version.name} {version.version}: {text}')}")
    return found
