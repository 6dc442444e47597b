"""The steps of weighbridge.pipeline as Prefect tasks, one a file. Thin: no work is done here.

Not here: their order (weighbridge.ingesting) and how they are run (flows).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prefect import Task

from tasks.decide import decide
from tasks.describe import describe
from tasks.fetch import fetch
from tasks.publish import publish
from tasks.resolve import resolve
from tasks.scan import scan
from tasks.verify import verify
from weighbridge import pipeline

#: The task that runs a step.
TASKS: Mapping[Callable[..., Any], Task[..., Any]] = {
    pipeline.resolve: resolve,
    pipeline.fetch: fetch,
    pipeline.scan: scan,
    pipeline.verify: verify,
    pipeline.describe: describe,
    pipeline.decide: decide,
    pipeline.publish: publish,
}
