"""Answers that are kept until the catalog changes: people and pages ask for the same ones.

Not here: how values are kept (catalog.kept), and how an answer is sent (web.answers).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from weighbridge.catalog import Catalog
from weighbridge.catalog.kept import Kept
from weighbridge.intake.resources import Resources
from weighbridge.web.answers import Body, answer_body, body_of
from weighbridge.web.newest_change import NewestChange

#: Bytes of all answers that are kept in memory; a list of 50 models has about 40 kB.
MOST_KEPT = 24 * 1024**2
#: Bytes of what is kept with each answer.
_OVERHEAD = 1024


class KeptAnswers:
    """The answers of a process to what was asked of its catalog.

    Args:
        resources: those of the process.
        newest: the newest change of the catalog.
        nearby: the catalog for the thread of the event loop alone, where reading it waits for nothing; else None.

    Attributes:
        resources: those of the process.
    """

    def __init__(self, resources: Resources, newest: NewestChange, nearby: Catalog | None = None) -> None:
        self.resources, self._newest, self._nearby = resources, newest, nearby
        self._kept: Kept[Hashable, Body] = Kept(MOST_KEPT)

    async def of(
        self, request: Request, whose: Hashable, make: Callable[[Catalog], Any], *, takes_long: bool = False
    ) -> Response:
        """Return the answer to a request, as `web.answers.answer` does.

        Args:
            request: the request, whose path and query say what is asked for.
            whose: what the document depends on besides those and the catalog: of the caller, settings, files.
            make: returns the document where none is kept, of the catalog that it is given. Its errors are raised, and
                not kept.
            takes_long: whether `make` may take more than some ten milliseconds, so that it always needs a thread.
        """
        path, query = request.scope["path"], request.scope["query_string"]
        newest = await self._newest.after(request)
        body = self._kept.get(newest, (path, query, whose))
        if body is None:
            body = await self._made(make, takes_long)
            size = len(body.content) + len(path) + len(query) + _OVERHEAD
            self._kept.put(newest, (path, query, whose), body, size)
        return answer_body(request, body)

    async def _made(self, make: Callable[[Catalog], Any], takes_long: bool) -> Body:
        # To hand work to a thread and back takes longer than to read some rows of a file, and threads that read them
        # hold each other up (docs/adr/0026).
        if self._nearby is not None and not takes_long:
            return body_of(make(self._nearby))
        return await run_in_threadpool(lambda: body_of(make(self.resources.catalog)))
