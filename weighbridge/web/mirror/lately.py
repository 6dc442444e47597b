"""What was served lately, kept in memory until the catalog changes: clients ask for each file of a version, twice.

Not here: how values are kept (catalog.kept), and whole versions (intake.kept_models).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.catalog.kept import Kept
from weighbridge.domain.access import Caller
from weighbridge.domain.audit import Head
from weighbridge.intake.mirroring import Served
from weighbridge.web.mirror.links import origin_of
from weighbridge.web.mirror.paths import DESCRIBING, HubPath

#: Seconds that anything is kept at most: what is served may depend on the time as well.
LASTS_S = 1.0
_MOST_SERVED = 1000
#: Bytes of all documents, and of what is kept with each.
_MOST_BYTES, _OVERHEAD = 24 * 1024**2, 2048


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

    def served(self, newest: Head, path: HubPath, caller: Caller) -> Served | None:
        """Return the version that a path means, or None where it was not served lately."""
        return self._served.get(newest, self._version(path, caller))

    def keep_served(self, newest: Head, path: HubPath, caller: Caller, given: Served) -> None:
        """Keep the version that a path means, unless it may change with no change here."""
        if given.is_lasting:
            self._served.put(newest, self._version(path, caller), given)

    def document(self, newest: Head, request: Request, caller: Caller) -> Response | None:
        """Return the answer to a request for a document, or None where it was not given lately."""
        return self._documents.get(newest, self._document(request, caller))

    def keep_document(self, newest: Head, request: Request, caller: Caller, found: Response) -> None:
        """Keep the answer to a request for a document."""
        self._documents.put(newest, self._document(request, caller), found, len(found.body) + _OVERHEAD)

    def _version(self, path: HubPath, caller: Caller) -> Hashable:
        return self._second(), path.kind, path.name, path.revision, path.what in DESCRIBING, caller

    def _document(self, request: Request, caller: Caller) -> Hashable:
        """Return what a document depends on: it may have links to the host that the client named."""
        scope = request.scope
        return self._second(), scope["raw_path"], scope["query_string"], caller, origin_of(request)

    def _second(self) -> int:
        """Return a number that changes every `LASTS_S`, after which nothing of before is found."""
        return int(self._clock() / LASTS_S)
