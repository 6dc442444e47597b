"""A step that failed for the moment is run again by Prefect's engine, another one is not."""

from __future__ import annotations

from typing import Any

import pytest
from prefect import flow, task

from tasks.failing import OPTIONS, TaskOptions, attempt
from weighbridge.errors import ModelNotFound, SourceUnavailable, WeighbridgeError

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_harness")]


@pytest.mark.parametrize(("kind", "tries"), [(SourceUnavailable, 3), (ModelNotFound, 1)])
def test_the_engine_tries_again_what_may_pass(kind: type[WeighbridgeError], tries: int) -> None:
    """Prefect honours the condition for a state that was returned, not only for what was raised."""
    at_once: TaskOptions = {**OPTIONS, "retry_delay_seconds": [0.0, 0.0]}
    tried = []

    def step() -> int:
        tried.append(kind)
        if len(tried) < 3:
            raise kind("It did not work.")
        return len(tried)

    @task(**at_once)
    def stepping() -> int:
        return attempt(step)

    @flow
    def whole() -> Any:
        return stepping(return_state=True)

    state = whole(return_state=True)
    assert len(tried) == tries
    assert state.is_completed() is (tries == 3)
