"""Withdrawing a whole model: every version leaves every registry, and no byte is deleted."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Bench, bench
from weighbridge.config.settings import Settings
from weighbridge.errors import NotInCatalog
from weighbridge.intake.withdrawing import withdraw
from weighbridge.intake.workspace import open_workspace

__all__ = ["bench"]


def test_every_version_leaves_every_registry(bench: Bench) -> None:
    bench.run("ingest", bench.model())
    bench.run("ingest", bench.model(notes__txt=b"more"))
    blobs = bench.blobs()
    with open_workspace(Settings()) as workspace:
        done = withdraw("tiny", "", "recalled", workspace)
        assert (done.withdrawn, done.default) == (("1.0.1", "1.0.0"), "")
        for version in workspace.catalog.versions("tiny"):
            assert (version.status, version.published) == ("FAILED", ())
            assert version.decision.reasons[0].message == "recalled"
        assert withdraw("tiny", "", "again", workspace).withdrawn == ()
    assert bench.blobs() == blobs


def test_one_version_leaves_and_another_becomes_the_default(bench: Bench) -> None:
    bench.run("ingest", bench.model())
    bench.run("ingest", bench.model(notes__txt=b"more"))
    with open_workspace(Settings()) as workspace:
        done = withdraw("tiny", "1.0.1", "recalled", workspace)
        assert (done.withdrawn, done.default) == (("1.0.1",), "1.0.0")
        with pytest.raises(NotInCatalog, match="no version 2"):
            withdraw("tiny", "2.0.0", "?", workspace)
        with pytest.raises(NotInCatalog, match="no model other"):
            withdraw("other", "", "?", workspace)
