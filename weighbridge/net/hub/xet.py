"""Xet transfers: a file's bytes, in order, from the storage behind the Hugging Face Hub, through hf_xet.

Xet is fast, may use gigabytes of memory by default, may stall for ever, and does not check what it delivers. So buffers
are capped here and a watchdog ends stalls; the reader falls back to HTTP, and hashes the bytes.
Not here: which files Xet has (sources), plain HTTP (net.transfer), digests (intake.fetching).
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

_MIB = 1024 * 1024
#: Smaller buffers save no memory, as terms of 64 MiB are kept whole: 320 MB with two files at once at 500 MB/s,
#: while hf_xet's own defaults allow 6 GB.
_CONFIG = {
    "reconstruction.download_buffer_size": 64 * _MIB,
    "reconstruction.download_buffer_perfile_size": 16 * _MIB,
    "reconstruction.download_buffer_limit": 96 * _MIB,
    "reconstruction.min_prefetch_buffer": 64 * _MIB,
    "reconstruction.min_reconstruction_fetch_size": 64 * _MIB,
    "client.retry_max_attempts": 1,  # HTTP is the second attempt
    "client.retry_base_delay": "500ms",
    "telemetry.enabled": False,
}


@cache
def _hf_xet() -> Any:
    """Return hf_xet, imported so that it writes nothing under HF_HOME.

    It opens a log file there when it is imported, and a folder per storage when it connects, unless the environment
    names other places. Variables that the user has set stay.
    """
    if "HF_XET_CACHE" not in os.environ:
        os.environ["HF_XET_CACHE"] = folder = tempfile.mkdtemp(prefix="weighbridge-xet-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ.setdefault("HF_XET_LOG_DEST", os.devnull)
    import hf_xet

    return hf_xet


class XetFailed(Exception):
    """Xet did not deliver; the reader goes on over HTTP."""


@dataclass(frozen=True)
class XetFile:
    """A file of Xet.

    Attributes:
        hash: its Xet hash, 64 hex digits.
        size: bytes.
        refresh_url: the Hub's address that returns the storage's address and short-lived tokens for it.
        authorization: header value for `refresh_url` only, or empty.
    """

    hash: str
    size: int
    refresh_url: str
    authorization: str = field(default="", repr=False)


class XetTransfer:
    """Downloads through Xet; safe for several threads, which share its connections.

    After its first failure it stays `broken`: waiting for a dead storage once per file would take hours.

    Args:
        timeout_s: seconds without a byte after which a download counts as stalled. Bytes arrive in terms of up to
            64 MiB, so a connection that takes longer for one falls back to HTTP as well.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._session: Any = None
        self._groups: dict[tuple[str, str], Any] = {}
        self.broken = False

    def chunks(self, file: XetFile, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a file from `offset` to its end; they are not checked.

        Raises:
            XetFailed: an error, a stall, or an early end.
        """
        position, stream = offset, None
        try:
            with self._watched():
                stream = self._group(file).download_stream(_hf_xet().XetFileInfo(file.hash, file.size), start=offset)
            while position < file.size:
                with self._watched():
                    chunk = next(stream, b"")
                if not chunk:
                    self.broken = True
                    raise XetFailed(f"ended after {position} of {file.size} bytes")
                position += len(chunk)
                yield chunk
        finally:
            if stream is not None:
                stream.cancel()

    def _group(self, file: XetFile) -> Any:
        """Return the connections to the storage of a repository."""
        key = (file.refresh_url, file.authorization)
        with self._lock:
            if self.broken:
                raise XetFailed("failed before")
            if self._session is None:
                self._session = _hf_xet().XetSession(_hf_xet().XetConfig().with_config(_CONFIG))
            if key not in self._groups:
                headers = {"Authorization": file.authorization} if file.authorization else {}
                self._groups[key] = self._session.new_download_stream_group(
                    token_refresh_url=file.refresh_url, token_refresh_headers=headers
                )
            return self._groups[key]

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Abort the context's body after `timeout_s`; convert every exception of hf_xet to XetFailed.

        Only closing the whole session wakes a stalled stream; cancelling it or its group does not.
        """
        watchdog = threading.Timer(self._timeout_s, self._abort)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        except (RuntimeError, OSError, ValueError) as error:  # hf_xet documents no errors of its own
            self.broken = True
            raise XetFailed(str(error)[:300] or type(error).__name__) from error
        finally:
            watchdog.cancel()

    def _abort(self) -> None:
        self.broken = True
        session = self._session
        if session is not None:
            session.sigint_abort()
