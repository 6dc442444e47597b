"""What the tests of the served process share: one server for all of them, each with models of its own names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.weighbridge import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve an empty catalog."""
    with serving(tmp_path_factory.mktemp("served")) as found:
        yield found
