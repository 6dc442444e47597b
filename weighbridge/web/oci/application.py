"""The OCI registry as an application: requests below `/v2`, read only.

Not here: what their paths mean (web.oci.paths), and which version and image is served (intake.pulling).
"""

from __future__ import annotations

from functools import partial

from anyio.to_thread import run_sync
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from weighbridge.domain.access import Caller
from weighbridge.domain.audit import Head
from weighbridge.errors import VersionRefused, VersionWithdrawn, WeighbridgeError
from weighbridge.intake.pulling import pulled, pulled_by_digest
from weighbridge.intake.resources import Resources
from weighbridge.web.answers import names_tag
from weighbridge.web.mirror.links import evidence
from weighbridge.web.mirror.refusals import header_text
from weighbridge.web.oci.blobs import blob_answer
from weighbridge.web.oci.credentials import caller, challenge, token
from weighbridge.web.oci.listing import catalog, tag_list
from weighbridge.web.oci.negotiation import form_of
from weighbridge.web.oci.paths import PREFIX, OciPath, read_path
from weighbridge.web.oci.refusals import VERSION, answer, document, refusal
from weighbridge.web.oci.signed_addresses import is_signed, signed_caller

_READING = ("GET", "HEAD")


class OciApplication:
    """Answers requests below `/v2`; all others are another application's.

    Args:
        app: the other application.
        state: what the process that serves shares; the other application fills it when it starts.
        api_prefix: the path that has the evidence of refusals.
    """

    def __init__(self, app: ASGIApp, state: State, api_prefix: str) -> None:
        self._app, self._state, self._api_prefix = app, state, api_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        raw = scope["raw_path"] if scope["type"] == "http" else b""
        if not f"{raw.decode('latin-1')}/".startswith(f"{PREFIX}/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        found: Response
        try:
            path = read_path(raw.removeprefix(PREFIX.encode()))
            allowed = ("GET", "POST") if path.what == "token" else _READING
            if request.method in allowed:
                body = await request.body() if request.method == "POST" else b""
                newest: Head = await self._state.newest_change.after(request)
                found = await run_sync(partial(self._answered, request, path, body, newest))
            else:
                headers = {"allow": ", ".join(allowed)}
                found = answer(405, "UNSUPPORTED", "This registry can only be read.", headers)
        except WeighbridgeError as error:
            found = refusal(error, challenge(request, ""))
        await found(scope, receive, send)

    def _answered(self, request: Request, path: OciPath, body: bytes, newest: Head) -> Response:
        try:
            with self._state.resources.kept.as_of(newest):
                return self._answer(request, path, body)
        except WeighbridgeError as error:
            facts, address = error.facts, ""
            if isinstance(error, VersionRefused | VersionWithdrawn):
                address = evidence(request, self._api_prefix, facts["name"], facts["version"])
            return refusal(error, challenge(request, path.name), address)

    def _answer(self, request: Request, path: OciPath, body: bytes) -> Response:
        resources: Resources = self._state.resources
        if path.what == "token":
            return token(request, body, self._state)
        if path.what == "blob" and is_signed(request):
            return blob_answer(request, path, signed_caller(request, path, resources), resources)
        asking = caller(request, self._state)
        if path.what == "base":
            return document({})
        if path.what == "catalog":
            return catalog(request, asking, resources)
        if path.what == "tags":
            return tag_list(request, path, asking, resources)
        if path.what == "manifest":
            return _manifest(request, path, asking, resources)
        if path.what == "blob":
            return blob_answer(request, path, asking, resources)
        return answer(404, "UNSUPPORTED", "There is nothing at this path.")


def _manifest(request: Request, path: OciPath, asking: Caller, resources: Resources) -> Response:
    if path.digest is not None:
        given, image = pulled_by_digest(path.name, path.digest, asking, resources)
    else:
        given, image = pulled(path.name, path.tag, form_of(request), asking, resources)
    headers = {
        **VERSION,
        "docker-content-digest": str(image.digest),
        "etag": f'"{image.digest}"',
        "cache-control": "private, no-cache",
        "vary": "accept, authorization",
    }
    if "if-none-match" in request.headers and names_tag(request, "if-none-match", headers["etag"]):
        return Response(status_code=304, headers=headers)
    found = Response(image.content, 200, headers, image.media_type)
    for text in given.warnings:
        line = header_text(f"{given.version.name} {given.version.version}: {text}")
        quoted = line.replace("\\", "\\\\").replace('"', '\\"')
        found.headers.append("warning", f'299 - "{quoted}"')
    return found
