"""What crossed an air gap in a bundle is served on the far side, and loaded there by the Hub's own client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import RevisionNotFoundError

from tests.cli.conftest import SHIPPED
from tests.intake.sides import HOUSE, Side, clamd_address
from tests.services.weighbridge import serving
from tests.simulators.hub import Hub
from tests.web.mirror.conftest import Mirrored, mirrored
from tests.web.mirror.test_clients import content
from weighbridge.domain.digest import Digest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.intake import chain
from weighbridge.intake.job import Job

pytestmark = pytest.mark.xdist_group("web")
__all__ = ["clamd_address"]


@dataclass
class Far:
    """The far side's mirror, and what each model is at the office, which has a network."""

    mirror: Mirrored
    there: dict[str, ModelVersion]


def _ingest(side: Side, uri: str) -> ModelVersion:
    with side.open() as workspace, chain.Direct() as runner:
        return chain.ingest(Job.of(IngestRequest(ModelRef.parse(uri)), workspace), runner).version


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory, clamd_address: str) -> Iterator[Far]:
    """Carry two models and a data set over: one model in a signed bundle, the rest in one without a signature."""
    folder = tmp_path_factory.mktemp("bundled")
    uris = {"org/signed": "hf:org/signed", "org/plain": "hf:org/plain", "org/data": "hf-dataset:org/data"}
    with Hub() as hub:
        for name, uri in uris.items():
            files = SHIPPED | {"name.txt": name.encode()}
            hub.add(name, files, kind="datasets" if uri.startswith("hf-dataset") else "models")
        office = Side(folder / "office", clamd_address, huggingface_endpoint=hub.url)
        there = {name: _ingest(office, uri) for name, uri in uris.items()}
    office.pack("org/plain", "org/data", to=folder / "plain.tar.zst")
    key = office.key
    office.pack("org/signed", to=folder / "signed.tar.zst")
    side = Side(folder / "far", clamd_address, HOUSE).trusting(office=key)
    for name in ("plain", "signed"):
        assert {one.version.status for one in side.take(folder / f"{name}.tar.zst").versions} == {"PASSED"}
    home = folder / "far" / "home"
    with serving(home) as served:
        yield Far(mirrored(served, home), there)


def test_a_model_of_a_trusted_key_has_the_commit_of_the_hub(far: Far, tmp_path: Path) -> None:
    commit = far.there["org/signed"].manifest.ref.revision
    found = snapshot_download("org/signed", revision=commit, endpoint=far.mirror.url, cache_dir=tmp_path)
    assert content(found) == SHIPPED | {"name.txt": b"org/signed"}
    assert Path(found).name == commit
    assert snapshot_download("org/signed", endpoint=far.mirror.url, cache_dir=tmp_path) == found


def test_a_model_of_no_trusted_key_has_one_of_its_content(far: Far, tmp_path: Path) -> None:
    """Nobody here knows that these are the bytes of that commit."""
    version = far.there["org/plain"]
    found = snapshot_download("org/plain", revision="v1.0.0", endpoint=far.mirror.url, cache_dir=tmp_path)
    assert content(found) == SHIPPED | {"name.txt": b"org/plain"}
    assert Path(found).name == version.manifest.digest.hex[:40]
    with pytest.raises(RevisionNotFoundError):
        snapshot_download(
            "org/plain", revision=version.manifest.ref.revision, endpoint=far.mirror.url, cache_dir=tmp_path
        )


def test_a_data_set_is_one_here(far: Far, tmp_path: Path) -> None:
    found = snapshot_download("org/data", repo_type="dataset", endpoint=far.mirror.url, cache_dir=tmp_path)
    assert content(found) == SHIPPED | {"name.txt": b"org/data"}
    assert HfApi(endpoint=far.mirror.url).dataset_info("org/data").id == "org/data"


def test_the_api_says_where_it_came_from(far: Far) -> None:
    version = far.mirror.served.get("/models/org/plain/versions/1.0.0").json()
    assert "bundle:org/plain@1.0.0" in str(version)
    assert Digest.parse(str(far.there["org/plain"].manifest.digest)).hex in str(version)
