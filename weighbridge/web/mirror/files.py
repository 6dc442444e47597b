"""Files of the Hub's protocol: all of one, or ranges of it, with the headers that clients need.

Not here: who may have a file (intake.mirroring), and sending its bytes (web.mirror.transfers).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.domain.access import Caller
from weighbridge.intake.mirroring import OpenFile, Served, open_file
from weighbridge.intake.resources import Resources
from weighbridge.web.answers import names_tag
from weighbridge.web.mirror.paths import HubPath
from weighbridge.web.mirror.ranges import ByteRange, read_ranges
from weighbridge.web.mirror.refusals import answer, header_text
from weighbridge.web.mirror.transfers import MEDIA_TYPE, FileTransfer
from weighbridge.web.mirror.xet import offer
from weighbridge.web.peers import address_of


def file_answer(request: Request, path: HubPath, given: Served, caller: Caller, resources: Resources) -> Response:
    """Return the answer to a request for a file; for one with bytes, the first of them are read already.

    Raises:
        WeighbridgeError: as `open_file`; or the file is damaged, or it cannot be recorded who gets it.
    """
    file = open_file(given, path.path, caller, resources)
    headers = _headers(file) | offer(request, path, file, resources)
    try:
        found = _without_bytes(request, file, headers)
        if found is not None:
            return found
        resources.recipients.record(given.version, caller, address_of(request))
        return FileTransfer(file, _ranges(request, file) or (), headers | _empty(request, file), resources)
    except BaseException:
        file.blob.close()
        raise


def _without_bytes(request: Request, file: OpenFile, headers: dict[str, str]) -> Response | None:
    """Return the answer to a request that gets no bytes, and None for another one."""
    size = file.blob.size
    if "if-none-match" in request.headers and names_tag(request, "if-none-match", headers["etag"]):
        found = Response(status_code=304, headers=headers)
    elif request.method == "HEAD":
        found = Response(None, 200, {**headers, "content-length": str(size)}, MEDIA_TYPE)
    elif _ranges(request, file) == []:
        unsatisfied = {**headers, "content-range": f"bytes */{size}"}
        found = answer(416, f"The file has {size} bytes, and none where the range is.", headers=unsatisfied)
    else:
        return None
    file.blob.close()
    return found


def _ranges(request: Request, file: OpenFile) -> Sequence[ByteRange] | None:
    """Return the ranges that a request asks for; None where it gets the whole file."""
    wanted = request.headers.get("range")
    if wanted is None or request.headers.get("if-range", _etag(file)) != _etag(file):
        return None
    return read_ranges(wanted, file.blob.size)


def _empty(request: Request, file: OpenFile) -> dict[str, str]:
    """Return the header that says the size of an empty file to clients that ask for its first byte to hear the size.

    There is no such byte. 416, which S3 answers, ends these clients: they read the size of a success alone.
    """
    return {"content-range": "bytes */0"} if not file.blob.size and "range" in request.headers else {}


def _etag(file: OpenFile) -> str:
    assert file.entry.digest is not None
    return f'"{file.entry.digest.hex}"'


def _headers(file: OpenFile) -> dict[str, str]:
    """Return the headers of every answer about a file."""
    name = file.entry.path.rpartition("/")[2]
    plain = header_text(name).replace('"', "'").replace("\\", "_")
    return {
        "etag": _etag(file),
        "x-repo-commit": file.given.commit,
        "x-linked-etag": _etag(file),
        "x-linked-size": str(file.blob.size),
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
    }
