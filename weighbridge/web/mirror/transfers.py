"""Transfers: the bytes of a file on their way to a client.

A transfer that cannot go on ends without the bytes that its `Content-Length` promised, so that no client takes a part
of a file for all of it: when the blob turns out damaged, or the version is withdrawn meanwhile. What was hashed before
is sent by the kernel, where the connection can do that. Each transfer that ends has a line in the log, which says who
got what. Not here: which bytes (web.mirror.files), and reading them (store.reading).
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from anyio import CancelScope, create_task_group, sleep
from anyio.to_thread import run_sync
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from weighbridge.errors import WeighbridgeError
from weighbridge.intake.mirrored_files import BytesInFile, OpenFile
from weighbridge.intake.mirroring import refuse_ended
from weighbridge.intake.resources import Resources
from weighbridge.web.mirror.ranges import ByteRange
from weighbridge.web.peers import address_of
from weighbridge.web.zero_copy import ZERO_COPY

MEDIA_TYPE = "application/octet-stream"
#: Seconds between two looks at whether a version that is being given out still may be, to this caller.
LOOK_EVERY_S = 1.0
#: Seconds between two looks at whether a file was hashed of which everything but the last part was sent.
_PROVEN_EVERY_S = 0.05
_log = logging.getLogger(__name__)


class FileTransfer(Response):
    """Sends a file, or ranges of it.

    Args:
        file: the file, which is closed at the end.
        ranges: those that are sent; all of it without any.
        headers: further headers.
        resources: those of the process.
        first: the first bytes, where they were read; empty where the kernel can send all of them. None to read them
            now.

    Raises:
        IntegrityError: the file is damaged.
    """

    def __init__(
        self,
        file: OpenFile,
        ranges: Sequence[ByteRange],
        headers: Mapping[str, str],
        resources: Resources,
        first: bytes | bytearray | None = None,
    ) -> None:
        self._file, self._ranges, self._resources = file, ranges, resources
        self._boundary = secrets.token_hex(16) if len(ranges) > 1 else ""
        self._length = self._expected()
        described = {**headers, **self._described(), "content-length": str(self._length)}
        super().__init__(None, 206 if ranges else 200, described)
        self._pieces = self._content()
        self._first = next(self._pieces, b"") if first is None else first
        self._sent, self._refused = 0, ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if len(self._first) == self._length:
                await self._give(send, self._first)
                return
            in_file = self._in_file() if ZERO_COPY in scope.get("extensions", {}) else None
            if in_file is not None and not self._file.is_arriving:
                with self._looking():  # Where the client has gone, the connection says so.
                    await self._send(send, in_file)
                return
            async with create_task_group() as tasks:
                tasks.start_soon(_watch, receive, tasks.cancel_scope)
                tasks.start_soon(self._look, tasks.cancel_scope)
                await self._send(send, in_file)
                tasks.cancel_scope.cancel()
        finally:
            self._file.blob.close()
            if self._refused:
                # Returning before the end closes the connection.
                _log.error("The transfer of %s was broken off: %s", self._file.entry.path, self._refused)
            self._note(scope)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """End the block, without an error, once `_look` ends the transfer; a block that is over soon costs no task."""
        loop, looks, scope = asyncio.get_running_loop(), list[asyncio.Task[None]](), CancelScope()

        def begin() -> None:
            looks.append(loop.create_task(self._look(scope, first_s=0)))
            looks[0].add_done_callback(lambda _: scope.cancel())

        later = loop.call_later(LOOK_EVERY_S, begin)
        try:
            with scope:
                yield
        finally:
            later.cancel()
            for look in looks:
                if not look.cancel():  # It has ended, so it failed.
                    look.result()

    async def _send(self, send: Send, in_file: tuple[BytesInFile, ByteRange] | None) -> None:
        """Send everything, by the kernel where it is in a file."""
        try:
            if self._first:
                await self._give(send, self._first)
            if in_file is not None:
                await self._send_spans(send, *in_file)
            else:
                while self._sent < self._length and (piece := await self._following()):
                    await self._give(send, piece)
        except ConnectionError:
            pass  # The client has gone.
        except (WeighbridgeError, EOFError) as error:
            self._refused = str(error)

    async def _following(self) -> bytes:
        """Return the next piece, or nothing at the end. Raises WeighbridgeError where there must be none."""
        return await run_sync(next, self._pieces, b"")

    async def _give(self, send: Send, piece: bytes | bytearray) -> None:
        self._sent += len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": self._sent < self._length})

    def _in_file(self) -> tuple[BytesInFile, ByteRange] | None:
        """Return what is sent as a part of a file, where its bytes need not be seen here; else None."""
        blob = self._file.blob.in_file()
        if blob is None or len(self._ranges) > 1 or not (self._ranges or blob.is_proven or blob.is_large):
            return None
        return blob, self._ranges[0] if self._ranges else ByteRange(0, blob.size)

    async def _send_spans(self, send: Send, blob: BytesInFile, part: ByteRange) -> None:
        async for start, length in self._there(blob.spans(part.start + self._sent, part.stop)):
            if not blob.is_in_memory(start, length):
                await run_sync(blob.load, start, length)
            more = self._sent + length < self._length
            if not (more or self._ranges):
                await self._until_proven(blob)
            await send({"type": ZERO_COPY, "file": blob.file, "offset": start, "count": length, "more_body": more})
            self._sent += length

    async def _there(self, spans: Iterator[tuple[int, int]]) -> AsyncIterator[tuple[int, int]]:
        """Yield the spans that can be sent."""
        for span in spans:
            yield span

    async def _until_proven(self, blob: BytesInFile) -> None:
        """Wait until all of a file was hashed that all of it is right. Raises IntegrityError where it is not."""
        while blob.is_being_proven:
            await sleep(_PROVEN_EVERY_S)
        blob.refuse_changed()

    async def _look(self, scope: CancelScope, first_s: float = LOOK_EVERY_S) -> None:
        """End the transfer once the version may not be given out any more to who gets it."""
        refused, wait_s = partial(refuse_ended, self._file.given, self._resources, self._file.caller), first_s
        while not self._refused:
            await sleep(wait_s)
            wait_s = LOOK_EVERY_S
            try:
                await run_sync(refused)
            except WeighbridgeError as error:
                self._refused = str(error)
                scope.cancel()

    def _content(self) -> Iterator[bytes]:
        blob = self._file.blob
        if not self._ranges:
            yield from blob.whole()
        elif len(self._ranges) == 1:
            yield from blob.part(self._ranges[0].start, self._ranges[0].stop)
        else:
            for one in self._ranges:
                yield self._heading(one)
                yield from blob.part(one.start, one.stop)
            yield self._ending()

    def _expected(self) -> int:
        """Return the bytes of the body."""
        if not self._ranges:
            return self._file.blob.size
        bytes_ = sum(one.stop - one.start for one in self._ranges)
        if len(self._ranges) == 1:
            return bytes_
        return bytes_ + sum(len(self._heading(one)) for one in self._ranges) + len(self._ending())

    def _described(self) -> dict[str, str]:
        if len(self._ranges) > 1:
            return {"content-type": f"multipart/byteranges; boundary={self._boundary}"}
        of_range = [("content-range", one.of(self._file.blob.size)) for one in self._ranges]
        return {"content-type": MEDIA_TYPE, **dict(of_range)}

    def _heading(self, one: ByteRange) -> bytes:
        lines = (f"--{self._boundary}", f"Content-Type: {MEDIA_TYPE}", f"Content-Range: {one.of(self._file.blob.size)}")
        return "\r\n".join(("", *lines, "", "")).encode()

    def _ending(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode()

    def _note(self, scope: Scope) -> None:
        file, address = self._file, address_of(HTTPConnection(scope))
        if file.given.transit is None:
            which, who = (file.given.version.name, file.given.version.version), (file.caller.actor, address)
            whole = self._sent == self._length and not self._ranges and file.blob.size == file.entry.size
            self._resources.receipts.add(which, who, file.entry.path, self._sent, whole=whole)
        if not _log.isEnabledFor(logging.INFO):
            return
        version = file.given.version
        line = {
            "caller": file.caller.actor,
            "address": address,
            "model": version.name,
            "version": version.version,
            "manifest": str(version.manifest.digest),
            "path": file.entry.path,
            "sha256": file.entry.digest.hex if file.entry.digest else "",
            "status": self.status_code,
            "ranges": [one.of(file.blob.size) for one in self._ranges],
            "sent": self._sent,
            "of": self._length,
        }
        _log.info("%s", json.dumps(line))


async def _watch(receive: Receive, scope: CancelScope) -> None:
    """End the transfer once the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
