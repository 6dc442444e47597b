"""The source `s3`: a model below a prefix of a bucket, `s3://bucket/prefix?region=…&endpoint=…`.

The prefix is a folder; where it is empty, the object of exactly that name is the model. Every object is pinned by its
version where the bucket keeps versions, else by its ETag, and each range of it is checked against that pin. Not here:
credentials and endpoints (net.s3.client), listings (s3_listing), reading in parallel (net.parallel_ranges).
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

from botocore.exceptions import ClientError

from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.selection import Selection
from weighbridge.errors import AccessDenied, InvalidReference, ModelNotFound, SourceMisbehaved
from weighbridge.net.parallel_ranges import Windows
from weighbridge.net.retrying import Retrying
from weighbridge.net.s3.client import connect
from weighbridge.net.s3.errors import changed, foreign_errors
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options
from weighbridge.sources.s3_listing import StoredObject, find_object, list_objects, pin_versions, promises, quoted

OPTIONS = frozenset({"region", "endpoint"})
_CHUNK = 1024**2
_CONTENT_RANGE = re.compile(r"^bytes (\d{1,18})-(\d{1,18})/(\d{1,18})$")


class S3Source:
    """Objects of a bucket; see the module.

    Options: `region` of the bucket, `endpoint` of a service other than AWS. `Auth` holds an access key id (username), a
    secret access key (password) and a session token; where it is empty, AWS's own credential chain counts.
    """

    kind: ClassVar[str] = "s3"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._windows = Windows(retrying=settings.retrying)
        self._lock = Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        weakref.finalize(self, _close, self._clients)

    def resolve(self, ref: ModelRef) -> Manifest:
        """List the objects, their pins and the sha256 that the server keeps; reads none of them.

        The revision is a digest of every name, size and pin.

        Raises:
            ModelNotFound: no such bucket, or nothing below the prefix.
            AccessDenied, SourceUnavailable, SourceMisbehaved, InvalidReference, UnsafePath.
        """
        refuse_unknown_options(ref, OPTIONS)
        bucket = self._bucket(ref)
        base = listed = f"{bucket.prefix}/" if bucket.prefix else ""
        with bucket.errors(bucket.prefix):
            found = list_objects(bucket.ask, bucket.name, listed, self._settings.max_files)
            if not found and bucket.prefix:
                found = find_object(bucket.ask, bucket.name, bucket.prefix)
                base, listed = bucket.prefix[: bucket.prefix.rfind("/") + 1], bucket.prefix
            if not found:
                raise ModelNotFound(
                    f"There is no object at {bucket.shown(bucket.prefix)}.",
                    "Check the bucket and the prefix.",
                    uri=ref.uri,
                )
            keys = Selection.of(ref).of_names(
                (one.key.removeprefix(base) for one in found), bucket.shown(bucket.prefix)
            )
            found = [one for one in found if one.key.removeprefix(base) in keys]
            # Names and limits are checked before any object is requested.
            refuse_oversize(Manifest(ref, tuple(bucket.entry(one, base) for one in found)), self._settings)
            found = pin_versions(bucket.ask, bucket.name, listed, found)
            found = promises(bucket.ask, bucket.client.meta.endpoint_url, bucket.name, found)
        entries = tuple(bucket.entry(one, base) for one in found)
        lines = "\n".join(f"{entry.version} {entry.size} {entry.path}" for entry in sorted(entries))
        return Manifest(ref.pinned(sha256(lines.encode()).hexdigest()), entries)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open an object from `offset`; a large rest is read in several ranges at once.

        Raises:
            SourceMisbehaved: it was replaced after it was listed, or while its ranges are read.
            ModelNotFound, AccessDenied, SourceUnavailable: also while the chunks are read.
        """
        bucket = self._bucket(ref)
        reading = bucket.reading(entry)
        if offset > reading.size:
            raise changed(reading.shown)
        if offset and offset == reading.size:
            yield ByteStream(offset, iter(()), reading.size, reading.etag)
        elif reading.size - offset <= self._windows.size or not (reading.etag or reading.version_id):
            with reading.range(offset, reading.size) as part:
                yield ByteStream(offset, part.chunks, reading.size, reading.etag)
        else:
            with self._windows.read(reading.range, offset, reading.size) as chunks:
                yield ByteStream(offset, chunks, reading.size, reading.etag)

    def service(self, ref: ModelRef | None = None) -> str:
        """Return the bucket at its endpoint, or the endpoint of the settings; see `interface.Service`."""
        endpoint = (_single(ref, "endpoint") if ref else "") or self._settings.endpoint
        if ref is None:
            return endpoint
        return " at ".join(filter(None, (f"s3://{ref.id.partition('/')[0]}", endpoint)))

    def greet(self, ref: ModelRef | None = None) -> str:
        """Ask for the bucket, or for the names of all of them; see `interface.Service`."""
        if ref is not None:
            bucket = self._bucket(ref)
            bucket.ask("head_bucket", Bucket=bucket.name)
            return "the bucket is there"
        client = self._client("", "")
        try:
            with foreign_errors("the list of buckets", urlsplit(client.meta.endpoint_url).hostname or ""):
                client.list_buckets()
            return "its buckets may be listed"
        except AccessDenied as error:
            if error.facts.get("code") != "AccessDenied":
                raise
            return "its buckets may not be listed"  # Rights on some of them are enough to work.

    def _client(self, region: str, endpoint: str) -> Any:
        with self._lock:
            client = self._clients.get((region, endpoint))
            if client is None:
                connections = 2 * self._settings.connections + self._windows.in_flight
                client = connect(self._settings, region=region, endpoint=endpoint, connections=connections)
                self._clients[region, endpoint] = client
            return client

    def _bucket(self, ref: ModelRef) -> _Bucket:
        client = self._client(_single(ref, "region"), _single(ref, "endpoint"))
        name, _, prefix = ref.id.partition("/")
        return _Bucket(client, name, prefix.strip("/"), self._settings.retrying)


def _close(clients: dict[tuple[str, str], Any]) -> None:
    for client in clients.values():
        client.close()


def _single(ref: ModelRef, key: str) -> str:
    values = set(ref.option(key))
    if len(values) > 1:
        raise InvalidReference(f"The address has two values of “{key}”.", "Keep one.", uri=ref.uri)
    return values.pop() if values else ""


@dataclass(frozen=True)
class _Bucket:
    """A bucket at an endpoint, and the prefix of a model in it."""

    client: Any
    name: str
    prefix: str
    retrying: Retrying

    def ask(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """Return the response to one request about the bucket; see `s3_listing.Ask`."""
        return self.retrying.call(lambda: self._ask_once(operation, parameters))

    def _ask_once(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        with self.errors(parameters.get("Key", self.prefix)):
            answer: Mapping[str, Any] = getattr(self.client, operation)(**parameters)
            return answer

    def shown(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def errors(self, key: str) -> AbstractContextManager[None]:
        return foreign_errors(self.shown(key), urlsplit(self.client.meta.endpoint_url).hostname or "")

    def entry(self, one: StoredObject, base: str) -> FileEntry:
        """Return an object as a file; its version names the endpoint too, as an ETag means nothing elsewhere."""
        pin = f"{self.client.meta.endpoint_url} {quote(one.version_id)} {quote(one.etag)}"
        return FileEntry(
            one.key.removeprefix(base), one.size, one.sha256, pin if one.etag or one.version_id else "", one.key
        )

    def reading(self, entry: FileEntry) -> _Reading:
        """Return what reading a file needs; lists the object again for an entry of a lock file, which has no pin."""
        _, version_id, etag = (unquote(part) for part in (entry.version or "  ").rsplit(" ", 2))
        if entry.locator and entry.size is not None and (etag or version_id):
            return _Reading(self, entry.locator, entry.size, etag, version_id)
        keys = [f"{self.prefix}/{entry.path}".lstrip("/")]
        if entry.path == self.prefix.rpartition("/")[2]:  # the prefix may itself be an object
            keys.append(self.prefix)
        for key in keys:
            with self.errors(key), suppress(_Missing):
                answer = _head(self.client, self.name, key)
                size, etag = int(answer["ContentLength"]), quoted(answer.get("ETag", ""))
                if entry.size not in (None, size):
                    raise changed(self.shown(key))
                return _Reading(self, key, size, etag, "")
        raise ModelNotFound(f"There is no {self.shown(keys[0])}.", "It was removed: resolve the model again.")


class _Missing(Exception):
    """There is no such object."""


def _head(client: Any, bucket: str, key: str) -> Any:
    try:
        return client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
            raise _Missing from error
        raise


@dataclass(frozen=True)
class _Reading:
    """One object at one pin."""

    bucket: _Bucket
    key: str
    size: int
    etag: str
    version_id: str

    @property
    def shown(self) -> str:
        return self.bucket.shown(self.key)

    @contextmanager
    def range(self, start: int, stop: int) -> Iterator[_Part]:
        """Open the bytes from `start` up to `stop`; the response is checked against the pin and the size."""
        wanted: dict[str, str] = {"Bucket": self.bucket.name, "Key": self.key}
        if self.version_id:
            wanted["VersionId"] = self.version_id
        elif self.etag:
            wanted["IfMatch"] = self.etag
        whole = (start, stop) == (0, self.size)
        if not whole:
            wanted["Range"] = f"bytes={start}-{stop - 1}"
        errors = partial(self.bucket.errors, self.key)
        with errors():
            answer = self.bucket.client.get_object(**wanted)
        with answer["Body"] as raw:
            self._hold(answer, start, stop, whole)
            yield _Part(answer["Body"], raw, errors)

    def _hold(self, answer: Any, start: int, stop: int, whole: bool) -> None:
        other_etag = self.etag and quoted(answer.get("ETag", "")) != self.etag
        other_version = self.version_id and answer.get("VersionId", self.version_id) != self.version_id
        if other_etag or other_version:
            raise changed(self.shown)
        if whole:
            if answer.get("ContentLength") != self.size:
                raise changed(self.shown)
            return
        match = _CONTENT_RANGE.match(answer.get("ContentRange", ""))
        if not match or tuple(map(int, match.groups()))[:2] != (start, stop - 1):
            raise SourceMisbehaved(
                f"The response for bytes {start} to {stop} of {self.shown} holds other bytes.",
                "Is the endpoint that of an S3 service?",
            )
        if int(match[3]) != self.size:
            raise changed(self.shown)


@dataclass(frozen=True)
class _Part:
    """The body of a response."""

    body: Any
    raw: Any
    errors: Callable[[], AbstractContextManager[None]]

    @property
    def chunks(self) -> Iterator[bytes]:
        with self.errors():
            while chunk := self.body.read(_CHUNK):
                yield chunk

    def cancel(self) -> None:
        with suppress(ValueError, RuntimeError, OSError):  # another thread may have read it to its end
            self.raw.shutdown()
