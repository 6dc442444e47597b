"""Open transits: what a process keeps of models that it hands on before their verdict: descriptions, sources, leases.

Not here: what is handed on (intake.read_through), and when a model is weighed (intake.transit_worker).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from weighbridge.domain.version import ModelVersion

if TYPE_CHECKING:
    from weighbridge.intake.workspace import Workspace

#: Descriptions that are kept; one of 3,000 files takes about 2 MB.
_MOST_DESCRIBED = 16
#: Seconds after its last use for which a workspace, with its lease of blobs, stays open.
_IDLE_S = 600.0


@dataclass
class _Open:
    """A workspace that is in use, or was.

    Attributes:
        workspace: has the source, and the lease of blobs that are here already.
        used_at: when a file was last asked for, in the seconds of `time.monotonic`.
        flying: how many files are being fetched.
    """

    workspace: Workspace
    used_at: float
    flying: int = 0


class OpenTransits:
    """The open transits of a process, by the id of the transit. Safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._described: OrderedDict[int, ModelVersion] = OrderedDict()
        self._open: dict[int, _Open] = {}
        self._recorded: OrderedDict[tuple[int, str, str, str], None] = OrderedDict()

    def version(self, id_: int, read: Callable[[], ModelVersion]) -> ModelVersion:
        """Return the description of a transit, which is read once."""
        with self._lock:
            found = self._described.get(id_)
            if found is not None:
                self._described.move_to_end(id_)
                return found
        found = read()
        with self._lock:
            self._described[id_] = found
            while len(self._described) > _MOST_DESCRIBED:
                self._described.popitem(last=False)
        return found

    def workspace(self, id_: int, make: Callable[[], Workspace]) -> Workspace:
        """Return the workspace of a transit, which is made once, for a file that is asked for now."""
        with self._lock:
            found = self._open.get(id_)
            if found is None:
                found = self._open[id_] = _Open(make(), 0.0)
            found.used_at = time.monotonic()
            return found.workspace

    @contextmanager
    def flying(self, id_: int) -> Iterator[None]:
        """Count a file as being fetched while the block runs."""
        self._fly(id_, 1)
        try:
            yield
        finally:
            self._fly(id_, -1)

    def _fly(self, id_: int, more: int) -> None:
        with self._lock:
            if id_ in self._open:
                self._open[id_].flying += more
                self._open[id_].used_at = time.monotonic()

    def active(self, within_s: float) -> list[int]:
        """Return the transits of which a file is being fetched, or was asked for within so many seconds."""
        since = time.monotonic() - within_s
        with self._lock:
            return [id_ for id_, one in self._open.items() if one.flying or one.used_at > since]

    def close_idle(self) -> None:
        """Close the workspaces that were not used for a while."""
        self._close(_IDLE_S)

    def close(self) -> None:
        """End what is being fetched, at its next byte, and close every workspace."""
        with self._lock:
            for one in self._open.values():
                one.workspace.retrying.stopped.set()
        self._close(-1.0, also_flying=True)

    def _close(self, idle_s: float, *, also_flying: bool = False) -> None:
        before = time.monotonic() - idle_s
        with self._lock:
            idle = [id_ for id_, one in self._open.items() if one.used_at < before and (also_flying or not one.flying)]
            closing = [self._open.pop(id_) for id_ in idle]
        for one in closing:
            one.workspace.close()
