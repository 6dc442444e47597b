"""Files of the Hub's protocol: all of one, or ranges of it, with the headers that clients need.

Not here: who may have a file (intake.mirroring), and sending its bytes (web.mirror.transfers).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.domain.access import Caller
from weighbridge.domain.manifest import FileEntry
from weighbridge.intake.mirrored_files import open_at_once, open_file
from weighbridge.intake.mirroring import Served, refuse_bytes
from weighbridge.intake.resources import Resources
from weighbridge.web.answers import names_tag
from weighbridge.web.mirror.arrivals import ArrivingTransfer
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
    if given.transit is not None:
        return _handed_on(request, path, given, caller, resources)
    entry = given.file(path.path)
    refuse_bytes(given, caller, resources)
    headers = _headers(given, entry) | offer(request, path, given, entry, caller, resources)
    found = _without_bytes(request, entry, headers)
    if found is not None:
        return found
    file = open_file(given, path.path, caller, resources)
    try:
        resources.recipients.record(given.version, caller, address_of(request))
        headers |= _empty(request, entry)
        return FileTransfer(file, _ranges(request, entry) or (), headers, resources)
    except BaseException:
        file.blob.close()
        raise


def _handed_on(request: Request, path: HubPath, given: Served, caller: Caller, resources: Resources) -> Response:
    """Return the answer to a request for a file that has no verdict yet, and that may still be arriving."""
    assert given.transit is not None
    file = open_file(given, path.path, caller, resources, begin=request.method != "HEAD")
    try:
        headers = _headers(given, file.entry)
        found = _without_bytes(request, file.entry, headers)
        if found is not None:
            file.blob.close()
            return found
        resources.recipients.hand_on(given.transit, path.path, caller, address_of(request))
        kind = ArrivingTransfer if file.is_arriving else FileTransfer
        return kind(file, _ranges(request, file.entry) or (), headers | _empty(request, file.entry), resources)
    except BaseException:
        file.blob.close()
        raise


def answer_at_once(
    request: Request, path: HubPath, given: Served, caller: Caller, resources: Resources, change: int
) -> Response | None:
    """Return the answer that `file_answer` gives where that needs nothing but memory, or None.

    Raises:
        FileNotInVersion: the version has no such file.
        IntegrityError: it turned out damaged.
    """
    entry = given.file(path.path)
    if not resources.clearances.holds(given.version, caller, change):
        return None
    headers = _headers(given, entry) | offer(request, path, given, entry, caller, resources)
    found = _without_bytes(request, entry, headers)
    if found is not None or not resources.recipients.knows(given.version, caller, address_of(request)):
        return found
    ranges = _ranges(request, entry) or (ByteRange(0, entry.size or 0),)
    if len(ranges) > 1:
        return None
    opened = open_at_once(given, entry, (ranges[0].start, ranges[0].stop), caller, resources)
    if opened is None:
        return None
    file, first = opened
    return FileTransfer(file, _ranges(request, entry) or (), headers | _empty(request, entry), resources, first)


def _without_bytes(request: Request, entry: FileEntry, headers: dict[str, str]) -> Response | None:
    """Return the answer to a request that gets no bytes, and None for another one; the file is not opened for it."""
    if "if-none-match" in request.headers and names_tag(request, "if-none-match", headers["etag"]):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(None, 200, {**headers, "content-length": str(entry.size)}, MEDIA_TYPE)
    if _ranges(request, entry) == []:
        unsatisfied = {**headers, "content-range": f"bytes */{entry.size}"}
        return answer(416, f"The file has {entry.size} bytes, and none where the range is.", headers=unsatisfied)
    return None


def _ranges(request: Request, entry: FileEntry) -> Sequence[ByteRange] | None:
    """Return the ranges that a request asks for; None where it gets the whole file."""
    wanted = request.headers.get("range")
    if wanted is None or request.headers.get("if-range", _etag(entry)) != _etag(entry):
        return None
    return read_ranges(wanted, entry.size or 0)


def _empty(request: Request, entry: FileEntry) -> dict[str, str]:
    """Return the header that says the size of an empty file to clients that ask for its first byte to hear the size.

    There is no such byte. 416, which S3 answers, ends these clients: they read the size of a success alone.
    """
    return {"content-range": "bytes */0"} if not entry.size and "range" in request.headers else {}


def _etag(entry: FileEntry) -> str:
    assert entry.digest is not None, "a computed manifest has the digest of every file"
    return f'"{entry.digest.hex}"'


def _headers(given: Served, entry: FileEntry) -> dict[str, str]:
    """Return the headers of every answer about a file."""
    etag = _etag(entry)
    return {
        "etag": etag,
        "x-repo-commit": given.commit,
        "x-linked-etag": etag,
        "x-linked-size": str(entry.size),
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": _disposition(entry.path.rpartition("/")[2]),
    }


@lru_cache(4096)
def _disposition(name: str) -> str:
    """Return the header that says under which name a file is kept."""
    plain = header_text(name).replace('"', "'").replace("\\", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
