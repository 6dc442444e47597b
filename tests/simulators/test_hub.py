"""The Hub simulator, held against the real clients: what they accept is what the Hub says."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.simulators.hub import Hub
from tests.simulators.xet import XetStorage

WEIGHTS = random.Random(2).randbytes(2_500_000)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "onnx/model.onnx": b"onnx", "onnx/deep/a.txt": b"a"}
HF = Path(sys.executable).parent / "hf"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.add("org/name", FILES)
        yield hub


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("cdn", [False, True])
def test_snapshot_download(hub: Hub, tmp_path: Path, cdn: bool) -> None:
    hub.cdn = cdn
    folder = snapshot_download("org/name", cache_dir=tmp_path, endpoint=hub.url, token=False)
    assert contents(Path(folder)) == FILES


def test_a_data_set(hub: Hub, tmp_path: Path) -> None:
    hub.add("org/data", {"data/train.csv": b"a"}, kind="datasets")
    folder = snapshot_download("org/data", repo_type="dataset", cache_dir=tmp_path, endpoint=hub.url, token=False)
    assert contents(Path(folder)) == {"data/train.csv": b"a"}


def test_the_command_line_and_its_verification(hub: Hub, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_UPDATE_CHECK": "1"}

    def hf(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(HF), *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    done = hf("download", "org/name")
    assert done.returncode == 0, done.stderr
    assert hf("cache", "verify", "org/name").returncode == 0
    (blob,) = (path for path in (tmp_path / "hub").rglob("blobs/*") if path.stat().st_size == len(WEIGHTS))
    blob.resolve().write_bytes(bytes(len(WEIGHTS)))
    assert hf("cache", "verify", "org/name").returncode != 0


def test_a_cut_body_is_asked_for_again(hub: Hub, tmp_path: Path) -> None:
    hub.fault("/model.safetensors", times=1, cut_after=1_000_000)
    path = hf_hub_download("org/name", "model.safetensors", cache_dir=tmp_path, endpoint=hub.url, token=False)
    assert Path(path).read_bytes() == WEIGHTS
    assert len(hub.asked("GET", "/model.safetensors")) == 2


def test_a_renamed_repository(hub: Hub, tmp_path: Path) -> None:
    hub.renamed["models", "old/name"] = "org/name"
    folder = snapshot_download("old/name", cache_dir=tmp_path, endpoint=hub.url, token=False)
    assert contents(Path(folder)) == FILES


def test_through_xet(hub: Hub, tmp_path: Path) -> None:
    with XetStorage() as storage:
        hub.cas_url, hub.cas_token = storage.url, storage.token
        hub.add("org/xet").commit({"a.bin": WEIGHTS}, xet_hashes={"a.bin": storage.keep(WEIGHTS)})
        path = hf_hub_download("org/xet", "a.bin", cache_dir=tmp_path, endpoint=hub.url, token=False)
        assert Path(path).read_bytes() == WEIGHTS
        assert not hub.asked("GET", "/org/xet/resolve")


class TestListings:
    @pytest.fixture
    def api(self, hub: Hub) -> HfApi:
        return HfApi(hub.url, token=False)

    def test_trees(self, api: HfApi) -> None:
        whole = {entry.path for entry in api.list_repo_tree("org/name", recursive=True)}
        assert whole == {*FILES, "onnx", "onnx/deep"}
        assert {entry.path for entry in api.list_repo_tree("org/name")} == {"config.json", "model.safetensors", "onnx"}
        assert {entry.path for entry in api.list_repo_tree("org/name", "onnx")} == {"onnx/deep", "onnx/model.onnx"}

    def test_long_trees_come_in_pages(self, api: HfApi, hub: Hub) -> None:
        hub.page_size = 2
        entries = list(api.list_repo_tree("org/name", recursive=True))
        assert {entry.path for entry in entries} == {*FILES, "onnx", "onnx/deep"}
        assert len(entries) == 6
        assert len(hub.asked("GET", "/tree/")) == 3

    def test_models(self, api: HfApi, hub: Hub) -> None:
        hub.page_size = 2
        for name in ("org/other", "org/third", "else/name"):
            hub.add(name, FILES)
        hub.add("org/private", FILES, private=True)
        hub.add("org/data", FILES, kind="datasets")
        hub.tokens["in"] = frozenset({"org/private"})
        mine = ["org/name", "org/other", "org/third"]
        assert [model.id for model in api.list_models()] == ["else/name", *mine]
        assert [model.id for model in api.list_models(author="org")] == mine
        assert [model.id for model in api.list_models(author="org", limit=1)] == ["org/name"]
        assert [model.id for model in api.list_models(search="NAME")] == ["else/name", "org/name"]
        assert "org/private" in [model.id for model in HfApi(hub.url, token="in").list_models()]
        assert [data.id for data in api.list_datasets()] == ["org/data"]

    def test_paths(self, api: HfApi) -> None:
        found = api.get_paths_info("org/name", ["onnx", "config.json", "nothing"])
        assert [entry.path for entry in found] == ["onnx", "config.json"]

    def test_refs(self, api: HfApi, hub: Hub) -> None:
        repository = hub.repositories["models", "org/name"]
        repository.tags["v1"] = repository.branches["main"]
        refs = api.list_repo_refs("org/name")
        assert [(ref.name, ref.target_commit) for ref in refs.tags] == [("v1", repository.branches["main"])]

    def test_who_is_asking(self, hub: Hub) -> None:
        hub.tokens["t"] = frozenset()
        assert HfApi(hub.url, token="t").whoami()["name"] == "reader"
        with pytest.raises(HfHubHTTPError):
            HfApi(hub.url, token="other").whoami()


def test_refusals(hub: Hub, tmp_path: Path) -> None:
    hub.add("org/gated", FILES, gated=True)
    hub.add("org/private", FILES, private=True)
    for name, revision, path, error in (
        ("org/gated", "main", "config.json", GatedRepoError),
        ("org/private", "main", "config.json", RepositoryNotFoundError),
        ("org/nothing", "main", "config.json", RepositoryNotFoundError),
        ("org/name", "v9", "config.json", RevisionNotFoundError),
        ("org/name", "main", "nothing.json", EntryNotFoundError),
    ):
        with pytest.raises(error):
            hf_hub_download(name, path, revision=revision, cache_dir=tmp_path, endpoint=hub.url, token=False)


def test_a_process_that_serves_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "org" / "name").mkdir(parents=True)
    (root / "org" / "name" / "model.bin").write_bytes(WEIGHTS)
    (root / "datasets" / "org" / "data").mkdir(parents=True)
    (root / "datasets" / "org" / "data" / "a.csv").write_bytes(b"a")
    command = [sys.executable, "-m", "tests.simulators.hub", "--root", str(root)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        first = HfApi(url, token=False).model_info("org/name").sha
        path = hf_hub_download("org/name", "model.bin", cache_dir=tmp_path / "cache", endpoint=url, token=False)
        assert Path(path).read_bytes() == WEIGHTS
        assert HfApi(url, token=False).dataset_info("org/data").sha
        stats = httpx.get(f"{url}/__stats").json()
        assert stats["bytes"] >= len(WEIGHTS)
        assert stats["requests"] == 4
        (root / "org" / "name" / "model.bin").write_bytes(b"changed")
        assert HfApi(url, token=False).model_info("org/name").sha != first
        shutil.rmtree(tmp_path / "cache")
        with pytest.raises(EntryNotFoundError):
            hf_hub_download(
                "org/name", "model.bin", revision=first, cache_dir=tmp_path / "cache", endpoint=url, token=False
            )
    finally:
        server.kill()
        server.communicate()
