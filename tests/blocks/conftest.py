"""A Prefect server inside the test process, which keeps blocks."""

from tests.flows.conftest import harness

__all__ = ["harness"]
