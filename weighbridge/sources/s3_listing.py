"""The objects below a prefix of an S3 bucket, the pin of each, and the sha256 that the server keeps.

Not here: the model that they form (sources.s3), or the meaning of failures (s3.errors).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Protocol

from weighbridge.domain.digest import Digest
from weighbridge.errors import SourceError, SourceMisbehaved
from weighbridge.net.s3.errors import changed
from weighbridge.net.s3.hosts import is_aws

#: The most objects whose checksum is requested, the largest first: one request each.
MAX_ASKED = 500
_ASKED_AT_ONCE = 8
_NO_S3 = "Is the endpoint that of an S3 service?"
#: The most keys of one page in the protocol.
_PAGE = 1000
#: Error codes of services without versions, and of credentials that may not list them.
_NO_VERSIONS = frozenset({400, 403, 404, 405, 500, 501})


@dataclass(frozen=True)
class StoredObject:
    """One object of a listing.

    Attributes:
        key: the whole key.
        size: bytes.
        etag: with its quotes, or empty.
        version_id: that of an immutable version, or empty.
        checksums: the algorithms that the listing names; AWS names them, other services seldom do.
        sha256: the server's sha256 of the whole object; None when it keeps none.
    """

    key: str
    size: int
    etag: str = ""
    version_id: str = ""
    checksums: tuple[str, ...] = ()
    sha256: Digest | None = None


class Ask(Protocol):
    """Runs one operation of an S3 client, with retries while the service is unavailable; raises SourceError."""

    def __call__(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """Return the response to one request."""
        ...


def list_objects(ask: Ask, bucket: str, prefix: str, max_objects: int) -> list[StoredObject]:
    """List the objects below a prefix, without the markers of folders, which are empty keys that end in `/`.

    Pages are requested until the service reports the last one. A service that answers with version 1 of the protocol,
    without continuation tokens, gets requests of that version; one that reports nothing is asked again after every full
    page.

    Raises:
        SourceError: there are more than `max_objects`.
        SourceMisbehaved: the pages do not end, or a truncated page has no way to continue.
    """
    found: list[StoredObject] = []
    where = f"s3://{bucket}/{prefix}"
    operation = "list_objects_v2"
    start: dict[str, str] = {}
    for number in count():
        page = ask(operation, Bucket=bucket, Prefix=prefix, **start)
        listed = [_stored(item) for item in page.get("Contents", ())]
        if any(not one.key.startswith(prefix) or one.key <= start.get("Marker", "") for one in listed):
            raise SourceMisbehaved(f"The listing of {where} holds a key outside of it.", _NO_S3)
        found += [one for one in listed if not (one.key.endswith("/") and one.size == 0)]
        if len(found) > max_objects:
            raise SourceError(
                f"There are more than {max_objects:,} objects below {where}.",
                "Name the prefix of one model.",
                limit=max_objects,
            )
        if not _goes_on(page, listed):
            return found
        before = start
        if token := page.get("NextContinuationToken", ""):
            start = {"ContinuationToken": token}
        else:
            marker = page.get("NextMarker", "") or max((one.key for one in listed), default="")
            operation, start = "list_objects", {"Marker": marker}
        if start in (before, {"Marker": ""}):
            raise SourceMisbehaved(
                f"The listing of {where} is truncated, and the service gives no way to continue.",
                "Nothing was fetched, as files would be missing. Ask the service's operator.",
            )
        if number > 2 * max_objects // _PAGE + _PAGE:
            break
    raise SourceMisbehaved(f"The listing of {where} has no end.", _NO_S3)


def _goes_on(page: Mapping[str, Any], listed: Sequence[StoredObject]) -> bool:
    """Return whether more follows a page; where the service does not say so, a full page means yes."""
    truncated = page.get("IsTruncated")
    return bool(listed) and len(listed) >= min(page.get("MaxKeys") or _PAGE, _PAGE) if truncated is None else truncated


def find_object(ask: Ask, bucket: str, key: str) -> list[StoredObject]:
    """Return the object of exactly this key, or nothing; needs no other right than listing."""
    page = ask("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)  # a key sorts before those that it begins
    return [_stored(item) for item in page.get("Contents", ()) if item["Key"] == key]


def _stored(item: Mapping[str, Any]) -> StoredObject:
    etag, checksums = quoted(item.get("ETag", "")), tuple(item.get("ChecksumAlgorithm", ()))
    return StoredObject(item["Key"], int(item["Size"]), etag, checksums=checksums)


def pin_versions(ask: Ask, bucket: str, prefix: str, objects: Sequence[StoredObject]) -> list[StoredObject]:
    """Return the objects with their version ids where the bucket has versions and these credentials may list them.

    Where a service lists no versions, or not all of them, the ETags are the pins.
    """
    wanted = {one.key: one for one in objects}
    versions: dict[str, str] = {}
    seen = 0
    start: dict[str, str] = {}
    try:
        # A long history is not read to its end.
        for _ in range(2 * len(wanted) // _PAGE + 10):
            page = ask("list_object_versions", Bucket=bucket, Prefix=prefix, **start)
            for item in page.get("Versions", ()):
                one = wanted.get(item["Key"])
                if one is None or not item.get("IsLatest"):
                    continue
                seen += 1
                # The ETag stays that of the first listing: SeaweedFS sends another one here. Reading checks against it.
                if int(item.get("Size", -1)) == one.size and item.get("VersionId", "null") != "null":
                    versions[one.key] = item["VersionId"]
            names = (("NextKeyMarker", "KeyMarker"), ("NextVersionIdMarker", "VersionIdMarker"))
            following = {ours: page[theirs] for theirs, ours in names if page.get(theirs)}
            if seen >= len(wanted) or not page.get("IsTruncated") or following in (start, {}):
                break
            start = following
    except SourceError as error:
        if not isinstance(error, SourceMisbehaved) and error.facts.get("http_status") not in _NO_VERSIONS:
            raise
    return [replace(one, version_id=versions.get(one.key, "")) for one in objects]


def promises(ask: Ask, endpoint: str, bucket: str, objects: Sequence[StoredObject]) -> list[StoredObject]:
    """Return the objects with the sha256 that the server keeps for each.

    This takes one request for each object, so it is done only where the listing names SHA256 or no algorithm at all. A
    checksum of the parts' checksums proves nothing about the whole, nor does an ETag: it is not always an MD5.

    Raises:
        SourceMisbehaved: an object changed after it was listed.
    """
    silent = not is_aws(endpoint) and not any(one.checksums for one in objects)
    asked = [one for one in objects if one.size and (silent or "SHA256" in one.checksums)]
    asked = sorted(asked, key=lambda one: (-one.size, one.key))[:MAX_ASKED]
    if not asked:
        return list(objects)
    with ThreadPoolExecutor(min(_ASKED_AT_ONCE, len(asked)), thread_name_prefix="head") as pool:
        known = dict(pool.map(lambda one: (one.key, _sha256(ask, bucket, one)), asked))
    return [replace(one, sha256=known.get(one.key)) for one in objects]


def _sha256(ask: Ask, bucket: str, one: StoredObject) -> Digest | None:
    pin = {"VersionId": one.version_id} if one.version_id else {"IfMatch": one.etag} if one.etag else {}
    answer = ask("head_object", Bucket=bucket, Key=one.key, ChecksumMode="ENABLED", **pin)
    if (one.etag and quoted(answer.get("ETag", "")) != one.etag) or answer.get("ContentLength") != one.size:
        raise changed(f"s3://{bucket}/{one.key}")
    if answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    try:
        value = base64.b64decode(answer.get("ChecksumSHA256", ""), validate=True)  # "…-2", of two parts, is not base64
    except (binascii.Error, ValueError):
        return None
    return Digest("sha256", value.hex()) if len(value) == 32 else None


def quoted(etag: str) -> str:
    """Return an ETag with its quotes, which some services leave out; empty stays empty."""
    return etag if not etag or etag.startswith('"') else f'"{etag}"'
