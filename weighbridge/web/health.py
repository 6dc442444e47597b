"""Health: whether the process lives and can do its work, and its metrics as Prometheus reads them; open to everybody.

`/healthz` says that the process answers; `/readyz` that the catalog answers, the store can be written to, and the
process is not about to end; `/metrics` is Prometheus's text format. They name no model, no caller and no folder, and
answer whatever the server is called: who probes a container knows its address only.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from threading import Lock
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from weighbridge import __version__
from weighbridge.errors import WeighbridgeError
from weighbridge.intake.resources import Resources
from weighbridge.web.counters import Counters
from weighbridge.web.problems import of_status, respond
from weighbridge.web.traffic import series

#: The media type of Prometheus's text format.
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATHS = ("/healthz", "/readyz", "/metrics")
#: Seconds for which a look at catalog and store counts: anybody may ask, as often as they like.
_KEPT_S = 1.0
#: Threads of their own for these paths: where all others wait for the catalog, a probe still has an answer.
_LOOKS = 4
#: What each series means, and its type, by the name of its family.
_FAMILIES = {
    "weighbridge_info": ("gauge", "The version that runs; always 1."),
    "weighbridge_ready": ("gauge", "Whether catalog and store answer: 1 or 0."),
    "weighbridge_jobs": ("gauge", "Jobs in the catalog, by state."),
    "weighbridge_requests_total": ("counter", "Requests that were answered; status 499 for those that were not."),
    "weighbridge_request_seconds_total": ("counter", "Seconds from a request to the end of its answer."),
    "weighbridge_sent_bytes_total": ("counter", "Bytes of answers' bodies."),
    "weighbridge_upstream_bytes_total": ("counter", "Bytes that this server's own jobs received from sources."),
    "weighbridge_upstream_seconds_total": ("counter", "Seconds that files of sources took, one by one."),
    "weighbridge_mirror_waiting_clients": ("gauge", "Clients that were told to ask again, and will."),
    "weighbridge_mirror_age_seconds": ("histogram", "Time since a version of which a file was asked was taken in."),
    "weighbridge_mirror_files_total": (
        "counter",
        "Files asked of the mirror: hit, through (handed on from a Hub), miss, waiting, refused, or error.",
    ),
}

#: Ends of the names of a histogram's samples.
_PARTS = ("_bucket", "_sum", "_count")
_BOUND = re.compile(r'le="([^"]+)"')


class Health:
    """Answers the three paths, and passes every other request on.

    Args:
        app: the application.
        state: that of the application, in which a started process has its resources.
        counters: what was counted.
    """

    def __init__(self, app: ASGIApp, state: Any, counters: Counters) -> None:
        self._app, self._state, self._counters = app, state, counters
        self._looking, self._looked_at = Lock(), float("-inf")
        self._seen: tuple[bool, str, Mapping[str, int]] = (False, "the catalog does not answer", {})
        self._limiter: CapacityLimiter | None = None  # It can be made in a running server only.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        if scope["method"] not in ("GET", "HEAD"):
            problem = of_status(405, f"{scope['method']} is not possible here.", "Possible are GET, HEAD.")
            response = respond(problem, {"allow": "GET, HEAD"})
        elif scope["path"] == PATHS[0]:
            response = PlainTextResponse("alive\n")
        else:
            self._limiter = self._limiter or CapacityLimiter(_LOOKS)
            response = await run_sync(self._answer, scope["path"], limiter=self._limiter)
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    def _answer(self, path: str) -> Response:
        ready, words, jobs = self._look()
        if path == "/readyz":
            return PlainTextResponse(f"{words}\n", 200 if ready else 503, {} if ready else {"retry-after": "5"})
        gauges = {
            series("weighbridge_info", version=__version__): 1,
            "weighbridge_ready": int(ready),
            "weighbridge_mirror_waiting_clients": self._counters.waiting(),
            **{series("weighbridge_jobs", state=state): count for state, count in jobs.items()},
        }
        return Response("".join(_lines({**gauges, **self._counters.totals()})), media_type=MEDIA_TYPE)

    def _look(self) -> tuple[bool, str, Mapping[str, int]]:
        """Return whether the process can do its work, in words, and the jobs by state."""
        if self._state.stopping.is_set():
            return False, "stopping", {}
        if time.monotonic() - self._looked_at > _KEPT_S and self._looking.acquire(blocking=False):
            try:
                self._seen = _examined(self._state.resources)
                self._looked_at = time.monotonic()
            finally:
                self._looking.release()
        return self._seen


def _examined(resources: Resources) -> tuple[bool, str, Mapping[str, int]]:
    try:
        jobs = resources.catalog.jobs.counts()
    except WeighbridgeError:
        return False, "the catalog does not answer", {}
    try:
        resources.store.refuse_unwritable()
    except WeighbridgeError:
        return False, "the store cannot be written to", jobs
    return True, "ready", jobs


def _lines(samples: Mapping[str, float]) -> Iterator[str]:
    """Yield the lines of Prometheus's text format, the samples of each family below what it means."""
    for name, members in groupby(sorted(samples, key=_place), _family):
        kind, words = _FAMILIES[name]
        yield f"# HELP {name} {words}\n# TYPE {name} {kind}\n"
        yield from _samples(members, samples)


def _place(sample: str) -> tuple[str, str, float]:
    """Return where a series stands: the parts of a histogram by their bounds, as the text format demands."""
    bound = _BOUND.search(sample)
    return _family(sample), _BOUND.sub("", sample), float(bound[1]) if bound else 0.0


def _family(sample: str) -> str:
    name = sample.partition("{")[0]
    parts = (name.removesuffix(end) for end in _PARTS)
    return next((part for part in parts if _FAMILIES.get(part, ("",))[0] == "histogram"), name)


def _samples(names: Iterable[str], samples: Mapping[str, float]) -> Iterator[str]:
    for name in names:
        value = samples[name]
        yield f"{name} {int(value) if value == int(value) else repr(value)}\n"
