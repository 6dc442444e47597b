"""What a request finds in the process that serves it: its resources, opened once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request

from weighbridge.catalog import Catalog as CatalogOfProcess
from weighbridge.domain.access import Caller
from weighbridge.intake.asker import Asker
from weighbridge.intake.ranking import Rankings
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import Workspace, workspace_of
from weighbridge.web.failures import Failures
from weighbridge.web.kept_lists import KeptLists
from weighbridge.web.streams import OpenStreams


# These are coroutines, though they wait for nothing: FastAPI calls plain functions in a thread, each in another one.
async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


async def _catalog(request: Request) -> CatalogOfProcess:
    return (await _resources(request)).catalog


async def _failures(request: Request) -> Failures:
    failures: Failures = request.app.state.failures
    return failures


def _streams(request: Request) -> OpenStreams:
    streams: OpenStreams = request.app.state.streams
    return streams


def _rankings(request: Request) -> Rankings:
    rankings: Rankings = request.app.state.rankings
    return rankings


async def _kept_lists(request: Request) -> KeptLists:
    lists: KeptLists = request.app.state.lists
    return lists


SharedLists = Annotated[KeptLists, Depends(_kept_lists)]
SharedRankings = Annotated[Rankings, Depends(_rankings)]
SharedFailures = Annotated[Failures, Depends(_failures)]
SharedStreams = Annotated[OpenStreams, Depends(_streams)]


@contextmanager
def acting(resources: Resources, caller: Caller) -> Iterator[Workspace]:
    """Yield a workspace in which a caller's work is done, within the rules for work on behalf of others."""
    with workspace_of(resources, Asker(on_behalf=True, actor=caller.actor, role=caller.role)) as workspace:
        yield workspace


SharedResources = Annotated[Resources, Depends(_resources)]
SharedCatalog = Annotated[CatalogOfProcess, Depends(_catalog)]
