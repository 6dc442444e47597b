"""One thread for torch, in this process and in the benchmarks' children, and a judge that is not waited for.

Two cores are shared by the whole suite.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.benchmarks.conversations import grade, judge
from tests.simulators.openai import OpenAIService
from weighbridge.benchmarks.patience import Patience

os.environ.setdefault("OMP_NUM_THREADS", "1")  # Before a test's module imports torch.


@pytest.fixture
def wise() -> Iterator[OpenAIService]:
    """A judge."""
    with OpenAIService(judge(grade)) as service:
        yield service


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mt_bench wait for a judge or a model for seconds, not minutes."""
    for module in ("mt_bench", "mt_bench_grading"):
        monkeypatch.setattr(f"weighbridge.benchmarks.{module}.Patience", lambda: Patience(5.0, 3, 0.01, 1.0))
