"""Blobs of the OCI distribution protocol: all of one, or ranges of it, and where its bytes are.

Ollama needs a header `Location` even of an answer with bytes, and asks for its parts there without its token: a caller
with a key is sent to a signed address. Not here: who may have a blob (intake.pulling), and sending it
(web.mirror.transfers).
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.domain.access import Caller
from weighbridge.intake.mirrored_files import OpenFile, open_file
from weighbridge.intake.pulling import Blob, blob_of
from weighbridge.intake.resources import Resources
from weighbridge.web.answers import names_tag
from weighbridge.web.mirror.ranges import ByteRange, read_ranges
from weighbridge.web.mirror.transfers import MEDIA_TYPE, FileTransfer
from weighbridge.web.oci.paths import OciPath
from weighbridge.web.oci.refusals import VERSION, answer
from weighbridge.web.oci.signed_addresses import is_signed, signed_address
from weighbridge.web.peers import address_of


def blob_answer(request: Request, path: OciPath, caller: Caller, resources: Resources) -> Response:
    """Return the answer to a request for a blob.

    Raises:
        WeighbridgeError: as `blob_of` and `open_file`; or the file is damaged, or it cannot be recorded who gets it.
    """
    assert path.digest is not None
    blob = blob_of(path.name, path.digest, caller, resources)
    if not blob.path:
        return _without_bytes(request, path, len(blob.content), caller, resources) or _made(request, path, blob)
    file = open_file(blob.given, blob.path, caller, resources)
    try:
        found = _without_bytes(request, path, file.blob.size, caller, resources)
        if found is not None:
            file.blob.close()
            return found
        return _transfer(request, path, file, resources)
    except BaseException:
        file.blob.close()
        raise


def _without_bytes(request: Request, path: OciPath, size: int, caller: Caller, resources: Resources) -> Response | None:
    """Return the answer to a request that gets no bytes, and None for another one."""
    headers = _headers(request, path)
    if "if-none-match" in request.headers and names_tag(request, "if-none-match", headers["etag"]):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(None, 200, {**headers, "content-length": str(size)}, MEDIA_TYPE)
    if caller.kind == "key" and not is_signed(request):
        address = signed_address(request, path, size, caller, resources)
        return Response(None, 307, {**headers, "location": address, "cache-control": "no-store"})
    if _ranges(request, path, size) == []:
        unsatisfied = {**headers, "content-range": f"bytes */{size}"}
        return answer(416, "SIZE_INVALID", f"The blob has {size} bytes, and none where the range is.", unsatisfied)
    return None


def _transfer(request: Request, path: OciPath, file: OpenFile, resources: Resources) -> Response:
    resources.recipients.record(file.given.version, file.caller, address_of(request))
    return FileTransfer(file, _ranges(request, path, file.blob.size) or (), _headers(request, path), resources)


def _made(request: Request, path: OciPath, blob: Blob) -> Response:
    """Return a blob that is no file; of several ranges of so few bytes, all of it."""
    headers, size = _headers(request, path), len(blob.content)
    ranges = _ranges(request, path, size) or ()
    if len(ranges) != 1:
        return Response(blob.content, 200, headers, MEDIA_TYPE)
    one = ranges[0]
    return Response(blob.content[one.start : one.stop], 206, {**headers, "content-range": one.of(size)}, MEDIA_TYPE)


def _ranges(request: Request, path: OciPath, size: int) -> Sequence[ByteRange] | None:
    """Return the ranges that a request asks for; None where it gets the whole blob."""
    wanted, etag = request.headers.get("range"), _etag(path)
    if wanted is None or request.headers.get("if-range", etag) != etag:
        return None
    return read_ranges(wanted, size)


def _etag(path: OciPath) -> str:
    return f'"{path.digest}"'


def _headers(request: Request, path: OciPath) -> dict[str, str]:
    """Return the headers of every answer about a blob."""
    query = request.scope["query_string"].decode("latin-1")
    own = request.scope["raw_path"].decode("latin-1")
    return {
        **VERSION,
        "docker-content-digest": str(path.digest),
        "etag": _etag(path),
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "location": f"{own}?{query}" if query else own,
    }
