"""One desk for all tests of publishers' signatures."""

from __future__ import annotations

from itertools import count

import pytest

from tests.content.model_signatures.desk import Desk
from tests.content.model_signatures.signing import publisher
from weighbridge.store.local import LocalBlobStore


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    team, other = publisher(folder, "team"), publisher(folder, "other")
    return Desk(folder, team, other, LocalBlobStore(folder / "store"), count())
