"""The steps of weighbridge.intake.steps as Prefect tasks, one a file. Thin: no work is done here.

Not here: their order (weighbridge.intake.chain) and their runs (flows).
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
from weighbridge.intake import steps

#: The task that runs a step.
TASKS: Mapping[Callable[..., Any], Task[..., Any]] = {
    steps.resolve: resolve,
    steps.fetch: fetch,
    steps.scan: scan,
    steps.verify: verify,
    steps.describe: describe,
    steps.decide: decide,
    steps.publish: publish,
}
