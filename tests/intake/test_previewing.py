"""What a preview says of a model at every source: what there is, and what an ingest would fetch; it keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.test_contract import KINDS, cases
from weighbridge.config.settings import Settings
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import ModelNotFound
from weighbridge.intake import steps
from weighbridge.intake.chain import Direct
from weighbridge.intake.job import Job
from weighbridge.intake.previewing import preview
from weighbridge.intake.receiving import receive
from weighbridge.intake.workspace import Workspace, open_workspace
from weighbridge.sources.contract import SourceCase


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SourceCase]:
    yield from cases(request, tmp_path)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "home").mkdir()
    with open_workspace(Settings(home=tmp_path / "home")) as opened:
        yield opened


def kept(workspace: Workspace) -> list[Path]:
    """Return the files of the store; its leases last as long as the workspace."""
    return [path for path in workspace.store.root.rglob("*") if path.is_file() and path.suffix != ".lease"]


def test_what_there_is_and_what_is_to_be_fetched(case: SourceCase, workspace: Workspace) -> None:
    job = Job(IngestRequest(case.ref, name="model"), workspace, case.source, PRESETS["minimal"])
    before = kept(workspace)
    found = preview(job)
    sizes = {entry.path: entry.size for entry in found.declared.files}
    unsized = {path for path, size in sizes.items() if size is None}
    assert sizes == {path: None if path in unsized else len(content) for path, content in case.files.items()}
    assert found.need == sum(size or 0 for size in sizes.values())
    assert all(any(path in sentence for sentence in found.unknown) for path in unsized), (
        "a size is not known in silence"
    )
    assert (found.fits, found.refused, found.declared.gated) == (True, "", False)
    no_gguf = {("gguf.version", path) for path, content in case.files.items() if path.endswith(".gguf") and content}
    assert {(reason.rule, reason.path) for reason in found.rejections} == no_gguf, "the headers were not read"
    assert any("ClamAV" in sentence for sentence in found.unknown)
    assert (kept(workspace), workspace.catalog.lists.models()) == (before, [])

    with Direct() as runner:
        receive(job, runner, steps.resolve(job))
    assert preview(job).need == 0, "what is here would be fetched again"


def test_what_is_not_there_is_said_as_an_ingest_says_it(case: SourceCase, workspace: Workspace) -> None:
    job = Job(IngestRequest(case.missing, name="model"), workspace, case.source, PRESETS["minimal"])
    with pytest.raises(ModelNotFound):
        preview(job)
