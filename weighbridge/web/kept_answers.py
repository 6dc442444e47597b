"""Answers that are kept until the catalog changes: people and pages ask for the same ones.

Not here: how values are kept (catalog.kept), and how an answer is sent (web.answers).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

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

    Attributes:
        resources: those of the process.
        catalog: its catalog, of which answers are made.
    """

    def __init__(self, resources: Resources, newest: NewestChange) -> None:
        self.resources, self.catalog, self._newest = resources, resources.catalog, newest
        self._kept: Kept[Hashable, Body] = Kept(MOST_KEPT)

    async def of(self, request: Request, whose: Hashable, make: Callable[[], Any]) -> Response:
        """Return the answer to a request, as `web.answers.answer` does.

        Args:
            request: the request, whose path and query say what is asked for.
            whose: what the document depends on besides those and the catalog: of the caller, settings, files.
            make: returns the document where none is kept; called in a thread. Its errors are raised, and not kept.
        """
        path, query = request.scope["path"], request.scope["query_string"]
        newest = await self._newest.after(request)
        body = self._kept.get(newest, (path, query, whose))
        if body is None:
            body = await run_in_threadpool(lambda: body_of(make()))
            size = len(body.content) + len(path) + len(query) + _OVERHEAD
            self._kept.put(newest, (path, query, whose), body, size)
        return answer_body(request, body)
