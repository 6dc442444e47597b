"""What was served lately, kept in memory until the catalog changes: clients ask for each file of a version, twice.

Not here: how values are kept (catalog.kept), and whole versions (intake.kept_models).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.catalog.kept import Kept
from weighbridge.domain.access import Caller
from weighbridge.domain.audit import Head
from weighbridge.intake.mirroring import Served
from weighbridge.web.mirror.links import origin_of
from weighbridge.web.mirror.paths import DESCRIBING, HubPath

#: Seconds after which anything is made anew, as what is served may depend on the time as well; whoever asks while it is
#: made gets what was there before, for as long again at most.
LASTS_S = 1.0
_MOST_SERVED = 1000
#: Bytes of all documents, and of what is kept with each.
_MOST_BYTES, _OVERHEAD = 24 * 1024**2, 2048

Given = TypeVar("Given", Served, Response)


class ServedLately:
    """Versions and documents that one process served. Safe for threads.

    Each is asked for with the newest change of the catalog, and with the caller, who may see what others may not.

    Args:
        clock: returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._served: Kept[Hashable, Served] = Kept(_MOST_SERVED)
        self._documents: Kept[Hashable, Response] = Kept(_MOST_BYTES)
        self._begun: Kept[Hashable, bool] = Kept(2 * _MOST_SERVED)

    def served(self, newest: Head, path: HubPath, caller: Caller) -> Served | None:
        """Return the version that a path means, or None where it was not served lately."""
        return self._served.get(newest, (self._second(), self._version(path, caller)))

    def served_or_before(self, newest: Head, path: HubPath, caller: Caller) -> Served | None:
        """Return what `served` does, or while another request has it made anew, what it was before.

        Of many clients that wait when a second is over, one has the work.
        """
        return self._or_before(self._served, newest, self._version(path, caller))

    def keep_served(self, newest: Head, path: HubPath, caller: Caller, given: Served) -> None:
        """Keep the version that a path means, unless it may change with no change here."""
        if given.is_lasting:
            self._served.put(newest, (self._second(), self._version(path, caller)), given)

    def document(self, newest: Head, request: Request, caller: Caller) -> Response | None:
        """Return the answer to a request for a document, or None where it was not given lately."""
        return self._or_before(self._documents, newest, self._document(request, caller))

    def keep_document(self, newest: Head, request: Request, caller: Caller, found: Response) -> None:
        """Keep the answer to a request for a document."""
        key = (self._second(), self._document(request, caller))
        self._documents.put(newest, key, found, len(found.body) + _OVERHEAD)

    def _or_before(self, kept: Kept[Hashable, Given], newest: Head, key: Hashable) -> Given | None:
        second = self._second()
        found = kept.get(newest, (second, key))
        if found is not None:
            return found
        before = kept.get(newest, (second - 1, key))
        if before is not None and self._begun.get(newest, (second, key)):
            return before
        self._begun.put(newest, (second, key), value=True)
        return None

    def _version(self, path: HubPath, caller: Caller) -> Hashable:
        return path.kind, path.name, path.revision, path.what in DESCRIBING, caller

    def _document(self, request: Request, caller: Caller) -> Hashable:
        """Return what a document depends on: it may have links to the host that the client named."""
        scope = request.scope
        return scope["raw_path"], scope["query_string"], caller, origin_of(request)

    def _second(self) -> int:
        """Return a number that grows every `LASTS_S`."""
        return int(self._clock() / LASTS_S)
