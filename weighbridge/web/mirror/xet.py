"""The Xet protocol over the files of the store: huggingface_hub fetches files above 50 GB in no other way.

A client that is offered Xet asks for a token, with it for the reconstruction of a file, and then without one for its
xorbs, whose addresses are sealed for an hour. Whatever it asks, the version has to be one that the mirror serves to the
caller. Why it is built so is in docs/adr/0025. Not here: how xorbs are laid out (web.mirror.xorbs).
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from typing import Literal
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.domain.manifest import FileEntry
from weighbridge.errors import FileNotInVersion, NotAuthenticated, NotInCatalog
from weighbridge.intake.mirrored_files import OpenFile, open_file
from weighbridge.intake.mirroring import Served
from weighbridge.intake.resources import Resources
from weighbridge.web.mirror.links import origin_of
from weighbridge.web.mirror.paths import HubPath
from weighbridge.web.mirror.ranges import read_ranges
from weighbridge.web.mirror.refusals import answer, document
from weighbridge.web.mirror.transfers import FileTransfer
from weighbridge.web.mirror.xorbs import Xorb, XorbBytes, reconstruction, xorb_of
from weighbridge.web.peers import address_of

#: Seconds for which a token and the address of a xorb are valid.
_VALID_S = 3600
#: Kinds of callers whose addresses are sealed: others have no key that could seal them.
SEALED = ("key", "anonymous")
#: What a caller without a key has as token; the mirror ignores tokens of the Hub where reading is open.
_NO_KEY = "hf_anonymous"
_RECONSTRUCTION = re.compile(r"v([12])/reconstructions/([0-9a-f]{64})")
_XORB = re.compile(r"xorbs/([0-9a-f]{64})/([0-9]{1,9})")


def offer(
    request: Request, path: HubPath, given: Served, entry: FileEntry, caller: Caller, resources: Resources
) -> dict[str, str]:
    """Return the headers that offer a file over Xet; none where it is too small, or the caller's key cannot be sealed.

    Args:
        request: the request for the file.
        path: what it asks for.
        given: the version.
        entry: the file.
        caller: who asks.
        resources: those of the process.
    """
    if not is_offered(given, entry, resources) or caller.kind not in SEALED:
        return {}
    assert entry.digest is not None
    token = f"{_base(request, path, resources)}/xet-read-token/{given.commit}"
    return {"x-xet-hash": entry.digest.hex, "link": f'<{token}>; rel="xet-auth"'}


def is_offered(given: Served, entry: FileEntry, resources: Resources) -> bool:
    """Return whether a file is served over Xet, too; what is still arriving is not."""
    if given.transit is not None:
        return False
    above = resources.mirror.upstream(given.version.name).xet_above
    return above is not None and (entry.size or 0) > above


def is_served(given: Served, resources: Resources) -> bool:
    """Return whether any file of a version is served over Xet."""
    return any(is_offered(given, entry, resources) for entry in given.version.manifest.files)


def token(request: Request, path: HubPath, given: Served, resources: Resources) -> Response:
    """Return the token with which a client asks for reconstructions: the key that it has sent itself."""
    place = f"{_base(request, path, resources)}/xet/{given.commit}"
    key = request.headers.get("authorization", "").partition(" ")[2].strip() or _NO_KEY
    until = int(resources.clock().timestamp()) + _VALID_S
    headers = {"x-xet-cas-url": place, "x-xet-access-token": key, "x-xet-token-expiration": str(until)}
    content = {"casUrl": place, "accessToken": key, "exp": until}
    return document(content, headers={**headers, "cache-control": "no-store"})


def found(request: Request, path: HubPath, given: Served, caller: Caller, resources: Resources) -> Response:
    """Return a reconstruction, or bytes of a xorb.

    Raises:
        WeighbridgeError: as `open_file`.
    """
    if match := _RECONSTRUCTION.fullmatch(path.path):
        return _reconstructed(request, path, match, given, caller, resources)
    if match := _XORB.fullmatch(path.path):
        entry = _entry(given, match[1], resources)
        xorb = xorb_of(match[1], entry.size or 0, int(match[2]))
        if xorb is not None:
            return _of_xorb(request, xorb, open_file(given, entry.path, caller, resources), resources)
    return answer(404, "There is nothing at this path.")


def caller_of_seal(request: Request, path: HubPath, resources: Resources) -> Caller | None:
    """Return for whom the address of a xorb was sealed; None where the request is not for a xorb.

    Raises:
        NotAuthenticated: the seal is wrong or has expired, or the key is not valid any more.
    """
    if not _XORB.fullmatch(path.path) or "key" not in request.query_params:
        return None
    number, until, seal = (request.query_params.get(name, "") for name in ("key", "until", "seal"))
    refused = NotAuthenticated("The address of this part of a file is not valid any more.", "Ask for the file again.")
    if not re.fullmatch("[0-9]{1,15}", number) or not re.fullmatch("[0-9]{1,15}", until):
        raise refused
    now, keys = resources.clock(), resources.catalog.keys
    try:
        key = keys.get(int(number))
        expected = keys.seal(key.id, _sealed(path, until))
    except NotInCatalog:
        raise refused from None
    if not hmac.compare_digest(seal.encode(), expected.encode()) or int(until) < now.timestamp():
        raise refused
    if key.state(now) != "valid":
        raise refused
    return key.caller


def _reconstructed(
    request: Request, path: HubPath, match: re.Match[str], given: Served, caller: Caller, resources: Resources
) -> Response:
    entry = _entry(given, match[2], resources)
    file = open_file(given, entry.path, caller, resources)
    file.blob.close()
    size = file.blob.size
    ranges = read_ranges(request.headers.get("range", "bytes=0-"), size)
    if not ranges:
        return answer(416, f"The file has {size} bytes.", headers={"content-range": f"bytes */{size}"})
    resources.recipients.record(given.version, caller, address_of(request))
    base = f"{_base(request, path, resources)}/xet/{given.commit}"
    until = str(int(resources.clock().timestamp()) + _VALID_S)

    def url_of(xorb: Xorb) -> str:
        place = f"xorbs/{xorb.file}/{xorb.number}"
        if caller is ANONYMOUS or caller.key_id is None:
            return f"{base}/{place}"
        seal = resources.catalog.keys.seal(caller.key_id, _sealed(replace(path, path=place), until))
        return f"{base}/{place}?{urlencode({'key': caller.key_id, 'until': until, 'seal': seal})}"

    version: Literal[1, 2] = 1 if match[1] == "1" else 2
    return document(reconstruction(match[2], size, ranges[0].start, ranges[0].stop, version, url_of))


def _of_xorb(request: Request, xorb: Xorb, file: OpenFile, resources: Resources) -> Response:
    try:
        part = replace(file, blob=XorbBytes(file.blob, xorb))
        ranges = read_ranges(request.headers.get("range", ""), xorb.size)
        if ranges == []:
            file.blob.close()
            return answer(416, "The part of the file is shorter.", headers={"content-range": f"bytes */{xorb.size}"})
        resources.recipients.record(file.given.version, file.caller, address_of(request))
        return FileTransfer(part, ranges or (), {"cache-control": "private, no-store"}, resources)
    except BaseException:
        file.blob.close()
        raise


def _entry(given: Served, sha256: str, resources: Resources) -> FileEntry:
    """Return a file that is offered by its sha256. Raises FileNotInVersion."""
    for entry in given.version.manifest.files:
        if entry.digest is not None and entry.digest.hex == sha256 and is_offered(given, entry, resources):
            return entry
    which = f"{given.version.name} {given.version.version}"
    raise FileNotInVersion(f"{which} has no file of that hash that is served over Xet.", commit=given.commit)


def _base(request: Request, path: HubPath, resources: Resources) -> str:
    return f"{origin_of(request)}{resources.mirror.prefix}/api/{path.kind}/{quote(path.name)}"


def _sealed(path: HubPath, until: str) -> str:
    """Return the text that is sealed: what may be fetched, and until when."""
    return "\n".join((path.kind, path.name, path.revision, path.path, until))
