"""What a request finds in the process that serves it: its resources, opened once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request

from weighbridge.catalog import Catalog as CatalogOfProcess
from weighbridge.domain.access import Caller
from weighbridge.intake.asker import Asker
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import Workspace, workspace_of
from weighbridge.web.failures import Failures
from weighbridge.web.kept_answers import KeptAnswers
from weighbridge.web.newest_change import NewestChange
from weighbridge.web.streams import OpenStreams


# These are coroutines, though they wait for nothing: FastAPI calls plain functions in a thread, each in another one.
async def resources_of(request: Request) -> Resources:
    """Return the resources of the process."""
    resources: Resources = request.app.state.resources
    return resources


async def failures_of(request: Request) -> Failures:
    """Return the failed attempts to authenticate."""
    failures: Failures = request.app.state.failures
    return failures


async def newest_change_of(request: Request) -> NewestChange:
    """Return what reads the newest change of the catalog."""
    newest: NewestChange = request.app.state.newest_change
    return newest


async def _catalog(request: Request) -> CatalogOfProcess:
    return (await resources_of(request)).catalog


async def _answers(request: Request) -> KeptAnswers:
    answers: KeptAnswers = request.app.state.answers
    return answers


async def _streams(request: Request) -> OpenStreams:
    streams: OpenStreams = request.app.state.streams
    return streams


SharedResources = Annotated[Resources, Depends(resources_of)]
SharedCatalog = Annotated[CatalogOfProcess, Depends(_catalog)]
SharedAnswers = Annotated[KeptAnswers, Depends(_answers)]
SharedStreams = Annotated[OpenStreams, Depends(_streams)]


@contextmanager
def acting(resources: Resources, caller: Caller) -> Iterator[Workspace]:
    """Yield a workspace in which a caller's work is done, within the rules for work on behalf of others."""
    with workspace_of(resources, Asker(on_behalf=True, actor=caller.actor, role=caller.role)) as workspace:
        yield workspace
