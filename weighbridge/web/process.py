"""What a request finds in the process that serves it: its resources, opened once."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from weighbridge.catalog import Catalog as CatalogOfProcess
from weighbridge.intake.resources import Resources
from weighbridge.web.failures import Failures


def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


def _catalog(request: Request) -> CatalogOfProcess:
    return _resources(request).catalog


def _failures(request: Request) -> Failures:
    failures: Failures = request.app.state.failures
    return failures


SharedFailures = Annotated[Failures, Depends(_failures)]
SharedResources = Annotated[Resources, Depends(_resources)]
SharedCatalog = Annotated[CatalogOfProcess, Depends(_catalog)]
