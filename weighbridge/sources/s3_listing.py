"""What lies below a prefix of an S3 bucket: objects, what pins each, and the sha256 that the server vouches for.

Not here: what a model makes of them (sources.s3), or what failures mean (s3.errors).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from weighbridge.domain.digest import Digest
from weighbridge.errors import SourceError, SourceMisbehaved
from weighbridge.net.s3.errors import changed
from weighbridge.net.s3.hosts import is_aws

#: Objects that are asked for their checksum, the largest first: one request each.
MAX_ASKED = 500
_ASKED_AT_ONCE = 8
_NO_S3 = "Is the endpoint that of an S3 service?"
#: Keys of one page, as the protocol has it.
_PAGE = 1000
#: Answers to a listing of versions from services that have none, and from rights that do not reach that far.
_NO_VERSIONS = frozenset({400, 403, 405, 501})


@dataclass(frozen=True)
class StoredObject:
    """One object as a listing tells it.

    Attributes:
        key: its whole key.
        size: bytes.
        etag: with its quotes, or empty.
        version_id: an immutable version's, or empty.
        checksums: the algorithms that the listing names; AWS names them, other services seldom do.
        sha256: of the whole object, as the server keeps it; None when it keeps none.
    """

    key: str
    size: int
    etag: str = ""
    version_id: str = ""
    checksums: tuple[str, ...] = ()
    sha256: Digest | None = None


def list_objects(client: Any, bucket: str, prefix: str, max_objects: int) -> list[StoredObject]:
    """List what lies below a prefix; zero-byte keys that end in `/` are folders' markers and left out.

    Raises:
        SourceError: there is more than `max_objects`.
        SourceMisbehaved: pages without an end.
    """
    found: list[StoredObject] = []
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for number, page in enumerate(pages):
        for item in page.get("Contents", ()):
            one = _stored(item)
            if not one.key.startswith(prefix):
                raise SourceMisbehaved(f"The listing of s3://{bucket}/{prefix} holds a key from elsewhere.", _NO_S3)
            if not (one.key.endswith("/") and one.size == 0):
                found.append(one)
        if len(found) > max_objects:
            raise SourceError(
                f"More than {max_objects:,} objects lie below s3://{bucket}/{prefix}.",
                "Name the prefix of one model.",
                limit=max_objects,
            )
        if number > 2 * max_objects // _PAGE + _PAGE:
            raise SourceMisbehaved(f"The listing of s3://{bucket}/{prefix} has no end.", _NO_S3)
    return found


def find_object(client: Any, bucket: str, key: str) -> list[StoredObject]:
    """Return the object of exactly this key, or none; asks for no other right than listing."""
    page = client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)  # a key comes before those that it begins
    return [_stored(item) for item in page.get("Contents", ()) if item["Key"] == key]


def _stored(item: Mapping[str, Any]) -> StoredObject:
    etag, checksums = quoted(item.get("ETag", "")), tuple(item.get("ChecksumAlgorithm", ()))
    return StoredObject(item["Key"], int(item["Size"]), etag, checksums=checksums)


def pin_versions(client: Any, bucket: str, prefix: str, objects: Sequence[StoredObject]) -> list[StoredObject]:
    """Give each object its version id where the bucket has versions and these keys may list them."""
    wanted = {one.key: one for one in objects}
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    versions: dict[str, str] = {}
    seen = 0
    try:
        for number, page in enumerate(pages):
            for item in page.get("Versions", ()):
                one = wanted.get(item["Key"])
                if one is None or not item.get("IsLatest"):
                    continue
                seen += 1
                # Not the ETag: SeaweedFS gives another one here. Reading holds the version against the first listing's.
                if int(item.get("Size", -1)) == one.size and item.get("VersionId", "null") != "null":
                    versions[one.key] = item["VersionId"]
            # A long history is not worth reading to its end: ETags pin the rest.
            if seen >= len(wanted) or number > 2 * len(wanted) // _PAGE + 10:
                break
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") not in _NO_VERSIONS:
            raise
    except ResponseParserError:
        return list(objects)
    return [replace(one, version_id=versions.get(one.key, "")) for one in objects]


def promises(client: Any, bucket: str, objects: Sequence[StoredObject]) -> list[StoredObject]:
    """Give each object the sha256 that the server keeps for it.

    One request an object, so only where the listing names SHA256; a service whose listing names no algorithm at all is
    asked too. A sum of parts' sums is no promise about the whole, nor is an ETag: it is an MD5 only for some.

    Raises:
        SourceMisbehaved: an object changed since it was listed.
    """
    silent = not is_aws(client.meta.endpoint_url) and not any(one.checksums for one in objects)
    asked = [one for one in objects if one.size and (silent or "SHA256" in one.checksums)]
    asked = sorted(asked, key=lambda one: (-one.size, one.key))[:MAX_ASKED]
    if not asked:
        return list(objects)
    with ThreadPoolExecutor(min(_ASKED_AT_ONCE, len(asked)), thread_name_prefix="head") as pool:
        known = dict(pool.map(lambda one: (one.key, _sha256(client, bucket, one)), asked))
    return [replace(one, sha256=known.get(one.key)) for one in objects]


def _sha256(client: Any, bucket: str, one: StoredObject) -> Digest | None:
    pin = {"VersionId": one.version_id} if one.version_id else {"IfMatch": one.etag} if one.etag else {}
    answer = client.head_object(Bucket=bucket, Key=one.key, ChecksumMode="ENABLED", **pin)
    if (one.etag and quoted(answer.get("ETag", "")) != one.etag) or answer.get("ContentLength") != one.size:
        raise changed(f"s3://{bucket}/{one.key}")
    if answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    try:
        value = base64.b64decode(answer.get("ChecksumSHA256", ""), validate=True)  # "…-2" of two parts is none
    except (binascii.Error, ValueError):
        return None
    return Digest("sha256", value.hex()) if len(value) == 32 else None


def quoted(etag: str) -> str:
    """Return an ETag with its quotes, which some services leave out; empty stays empty."""
    return etag if not etag or etag.startswith('"') else f'"{etag}"'
