"""What the tests of the served process share: one server for all of them, each with models of its own names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.weighbridge import NO_HUB, Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve an empty catalog."""
    with serving(tmp_path_factory.mktemp("served"), {"WEIGHBRIDGE_HUGGINGFACE_ENDPOINT": NO_HUB}) as found:
        yield found
