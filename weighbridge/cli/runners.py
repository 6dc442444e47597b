"""The runner of steps in this process, which says with `--verbose` what each step comes to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from weighbridge.intake import chain
from weighbridge.views.step_lines import lines_of

_log = logging.getLogger(__name__)


def direct_runner() -> chain.Direct:
    """Return the runner of steps in this process; it logs the result of each, which `--verbose` shows."""
    return chain.Direct(_log_step)


def _log_step(step: Callable[..., Any], result: Any, took_s: float) -> None:
    for line in lines_of(step, result):
        _log.info("%s, %.1f s: %s", step.__name__, took_s, line)
