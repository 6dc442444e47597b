"""The application: the API's routers, problems and limits, the mirror and the OCI registry, together for a process.

Not here: the server that runs it (web.serving).
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, FastAPI
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from weighbridge import __version__
from weighbridge.catalog import Catalog
from weighbridge.config.mirror_file import mirror_of
from weighbridge.config.settings import Settings
from weighbridge.intake.delivery import DeliveryWorker
from weighbridge.intake.job_worker import JobWorker
from weighbridge.intake.resources import Resources
from weighbridge.intake.retention import Retention
from weighbridge.intake.transit_worker import TransitWorker
from weighbridge.intake.workspace import open_resources
from weighbridge.web import reference
from weighbridge.web.api import (
    audit,
    deliveries,
    hub,
    ingests,
    leaderboard,
    licences,
    models,
    orders,
    scans,
    versions,
    webhooks,
    withdrawals,
)
from weighbridge.web.api.names import NamesInPaths
from weighbridge.web.api.webhook_documents import message_of
from weighbridge.web.authentication import READING
from weighbridge.web.counters import Counters
from weighbridge.web.failures import Failures
from weighbridge.web.health import Health
from weighbridge.web.hosts import KnownHosts
from weighbridge.web.kept_answers import KeptAnswers
from weighbridge.web.limits import RequestLimits
from weighbridge.web.methods import MethodsOfPaths
from weighbridge.web.mirror.application import Mirror
from weighbridge.web.newest_change import NewestChange
from weighbridge.web.oci.application import OciApplication
from weighbridge.web.oci.paths import PREFIX
from weighbridge.web.parameters import refuse_unknown_parameters
from weighbridge.web.problems import add_handlers, add_schemas, documented
from weighbridge.web.stopping import stop_event
from weighbridge.web.streams import OpenStreams
from weighbridge.web.traffic import Traffic
from weighbridge.web.usual_form import UsualForm

#: Requests that one process works on at once; each has a connection to the catalog.
_THREADS = 12
_ROUTERS = (
    *(leaderboard.router, models.router, versions.router, scans.router, licences.router),
    *(withdrawals.router, orders.router, ingests.router),
    *(webhooks.router, deliveries.router, audit.router, hub.router),
)


def create_app(settings: Settings, processes: int = 1, counted: Path | None = None) -> ASGIApp:
    """Return what one of so many processes runs; it opens the process's resources when the server starts it.

    Args:
        settings: of the process; the path that the mirror's file names counts before theirs.
        processes: how many there are.
        counted: the folder where several of them show each other what they counted; None for one alone.
    """
    settings = settings.model_copy(update={"mirror_prefix": mirror_of(settings).prefix})
    paths, counters = _paths(settings.api_prefix), Counters(counted)
    api = create_api(settings, processes)
    api.state.counters = counters
    of_hub = NamesInPaths(MethodsOfPaths(api, paths), f"{settings.api_prefix}{hub.MODELS_PATH}", paths)
    names = NamesInPaths(of_hub, f"{settings.api_prefix}/models", paths)
    mirror = Mirror(UsualForm(names), api.state, settings)
    every = OciApplication(mirror, api.state, settings.api_prefix)
    limited = RequestLimits(KnownHosts(every, settings.is_own_name), settings.api_max_body)
    parts = {"mirror": settings.mirror_prefix, "oci": PREFIX, "api": settings.api_prefix}
    return Health(Traffic(limited, counters, parts), api.state, counters)


def _paths(prefix: str) -> dict[str, set[str]]:
    """Return the methods of each path, without the OpenAPI document: making that takes a while."""
    paths: dict[str, set[str]] = defaultdict(set)
    for router in _ROUTERS:
        for path, method in router.methods():
            paths[f"{prefix}{path}"].add(method)
    for page in ("docs", "docs/style.css", "openapi.json"):
        paths[f"{prefix}/{page}"].add("GET")
    return paths


class Api(FastAPI):
    """The application; its OpenAPI document has the schema of problems."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, which is made once."""
        if self.openapi_schema is None:
            add_schemas(super().openapi())
        return super().openapi()


def create_api(settings: Settings, processes: int = 1) -> FastAPI:
    """Return the application: every route of the API with its documents."""
    prefix = settings.api_prefix
    app = Api(
        title="Weighbridge",
        version=__version__,
        summary="The registry of models that were weighed.",
        openapi_url=f"{prefix}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,  # A body without a type is JSON, too: a page of another site has no key.
        lifespan=_lifespan(settings),
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.counters = Counters()
    app.state.failures = Failures(processes)
    app.state.streams = OpenStreams(settings.max_streams, settings.max_streams_each)
    add_handlers(app)
    checks = (*READING, Depends(refuse_unknown_parameters))
    for router in _ROUTERS:
        router.add_to(app, prefix, checks, documented(401, 403, 429))
    _add_reference(app, prefix)
    return app


def _add_reference(app: FastAPI, prefix: str) -> None:
    """Add the page about the API and its style sheet; both are open, as the OpenAPI document is."""

    @app.get(f"{prefix}/docs", include_in_schema=False)
    def page() -> Response:
        return HTMLResponse(reference.page(app.openapi(), prefix))

    @app.get(f"{prefix}/docs/style.css", include_in_schema=False)
    def style() -> Response:
        return Response(reference.STYLE, media_type="text/css")


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = _THREADS
        counters: Counters = app.state.counters
        with (
            counters.shown(),
            open_resources(settings) as resources,
            resources.uses.stored(),
            Retention(resources),
            TransitWorker(resources),
            JobWorker(resources, settings.serve_jobs, settings.job_lease_s) as worker,
            DeliveryWorker(resources, settings.serve_deliveries, partial(message_of, settings=settings)) as sender,
            resources.catalog.nearby() or nullcontext() as nearby,
        ):
            resources.received = partial(_count, counters, "weighbridge_upstream_bytes_total")
            resources.took = partial(_count, counters, "weighbridge_upstream_seconds_total")
            app.state.resources, app.state.worker, app.state.stopping = resources, worker, stop_event()
            app.state.prefix, app.state.sender = settings.api_prefix, sender
            _add_answers(app, resources, nearby)
            gc.freeze()  # Looking for garbage among all that was imported would hold every request up, for 80 ms.
            yield

    return opened


def _add_answers(app: FastAPI, resources: Resources, nearby: Catalog | None) -> None:
    catalog = resources.catalog if nearby is None else nearby
    app.state.newest_change = NewestChange(catalog.audit.head, waits=nearby is None)
    app.state.answers = KeptAnswers(resources, app.state.newest_change, nearby)


def _count(counters: Counters, series: str, amount: float) -> None:
    counters.add({series: amount})
