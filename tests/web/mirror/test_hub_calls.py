"""What huggingface_hub and its command ask beside downloads; and files above the size that it fetches over HTTP."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from tests.catalog.values import CARD
from tests.web.mirror.conftest import SMALL, Mirrored
from tests.web.mirror.test_clients import HF
from weighbridge.domain.decision import Decision
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef

pytestmark = pytest.mark.xdist_group("web")

COMMIT = "b" * 40


@pytest.fixture(scope="module")
def api(mirror: Mirrored) -> HfApi:
    mirror.add("calls/model", uri=f"hf:calls/model@{COMMIT}")
    mirror.add("calls/data", uri=f"hf-dataset:calls/data@{COMMIT}")
    return HfApi(mirror.url, token=False)


def test_what_exists(api: HfApi) -> None:
    assert api.repo_exists("calls/model")
    assert not api.repo_exists("calls/none")
    assert not api.repo_exists("calls/model", repo_type="dataset")
    assert [api.revision_exists("calls/model", one) for one in ("main", "1.0.0", COMMIT, "v9")] == [True] * 3 + [False]
    assert api.file_exists("calls/data", "config.json", repo_type="dataset")
    assert not api.file_exists("calls/none", "config.json")


@pytest.mark.parametrize("expand", [["safetensors"], ["xetEnabled"], ["lastModified", "siblings", "securityStatus"]])
def test_a_description_with_chosen_parts(api: HfApi, expand: list[str]) -> None:
    """A registry that answers `?expand=xetEnabled` with 404 breaks clients (huggingface_hub#2974)."""
    assert api.model_info("calls/model", expand=expand).sha == COMMIT  # type: ignore[arg-type]
    assert api.model_info("calls/model", revision="main", expand=expand).id == "calls/model"  # type: ignore[arg-type]


def test_descriptions_of_data_sets(api: HfApi) -> None:
    info = api.dataset_info("calls/data", files_metadata=True)
    assert {one.rfilename: one.size for one in info.siblings or ()} == {name: len(body) for name, body in SMALL.items()}
    assert "calls/data" in [one.id for one in api.list_datasets(search="calls")]
    assert "calls/data" not in [one.id for one in api.list_models(search="calls")]
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("calls/data")


def test_history_and_discussions_are_absent(api: HfApi) -> None:
    """Were they there, transformers would go on and send the key to a service that converts weights."""
    with pytest.raises(HfHubHTTPError):
        api.list_repo_commits("calls/model")
    with pytest.raises(HfHubHTTPError):
        list(api.get_repo_discussions("calls/model"))


def test_metadata_of_safetensors(mirror: Mirrored, api: HfApi) -> None:
    tensor = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "weight": tensor}).encode()
    mirror.add("calls/tensors", {"model.safetensors": len(header).to_bytes(8, "little") + header + bytes(16)})
    found = api.get_safetensors_metadata("calls/tensors")
    assert (found.sharded, found.parameter_count) == (False, {"F32": 4})


def test_some_files_of_a_snapshot(mirror: Mirrored, api: HfApi, tmp_path: Path) -> None:
    del api
    found = snapshot_download("calls/model", allow_patterns=["*.json"], endpoint=mirror.url, cache_dir=tmp_path)
    assert [path.name for path in Path(found).rglob("*") if path.is_file()] == ["config.json"]


def test_paths_as_json_and_as_a_form(mirror: Mirrored, api: HfApi) -> None:
    del api
    path, paths = f"/api/models/calls/model/paths-info/{COMMIT}", ["config.json", "sub", "absent"]
    answers = (
        mirror.request("POST", path, json={"paths": paths, "expand": True}),
        mirror.request("POST", path, data={"paths": paths, "expand": "True"}),
    )
    assert answers[0].json() == answers[1].json()
    assert [one["path"] for one in answers[0].json()] == ["config.json", "sub"]


def test_the_next_part_of_a_long_list_is_on_the_same_host(mirror: Mirrored, api: HfApi) -> None:
    mirror.add("calls/long", {f"{number:04}.txt": b"" for number in range(1500)})
    link = mirror.get("/api/models/calls/long/tree/main?recursive=True&expand=False").headers["link"]
    assert link.startswith(f"<{mirror.url}/api/models/calls/long/tree/main?")
    assert len(list(api.list_repo_tree("calls/long", recursive=True))) == 1500


@pytest.mark.parametrize("view", ["resolve", "raw", "blob"])
def test_views_of_a_file_are_its_bytes_as_they_are(mirror: Mirrored, api: HfApi, view: str) -> None:
    """A mirror that compresses them breaks clients that do not unpack (padeoe/hf-mirror-site#22)."""
    del api
    response = mirror.get(f"/calls/model/{view}/main/config.json", Accept_Encoding="gzip, deflate, br, zstd")
    assert response.content == SMALL["config.json"]
    assert "content-encoding" not in response.headers


def test_a_dry_run_says_what_comes(mirror: Mirrored, api: HfApi, tmp_path: Path) -> None:
    del api
    plan = snapshot_download("calls/model", dry_run=True, endpoint=mirror.url, cache_dir=tmp_path)
    assert {one.filename: one.file_size for one in plan} == {name: len(body) for name, body in SMALL.items()}
    assert all(one.will_download and one.commit_hash == COMMIT for one in plan)


def test_the_command_lists_and_knows_its_user(mirror: Mirrored, api: HfApi, tmp_path: Path) -> None:
    del api
    listed = mirror.run(HF, "models", "ls", "--search", "calls/model", "--no-truncate", home=tmp_path)
    assert "calls/model" in listed.stdout, listed.stderr
    key = mirror.served.key("reader")["Authorization"].removeprefix("Bearer ")
    known = mirror.run(HF, "auth", "whoami", home=tmp_path, HF_TOKEN=key)
    assert "reader-" in known.stdout, known.stderr


def test_the_command_verifies_a_cache(mirror: Mirrored, api: HfApi, tmp_path: Path) -> None:
    del api
    command = (HF, "cache", "verify", "calls/model", "--cache-dir", str(tmp_path / "hub"))
    found = snapshot_download("calls/model", endpoint=mirror.url, cache_dir=tmp_path / "hub")
    done = mirror.run(*command, home=tmp_path)
    assert done.returncode == 0, done.stderr
    Path(os.path.realpath(Path(found) / "config.json")).write_bytes(b"changed")
    done = mirror.run(*command, home=tmp_path)
    assert done.returncode != 0
    assert "config.json" in done.stdout + done.stderr


def large(mirror: Mirrored, name: str, size: int) -> None:
    """Register a version with a file of that many bytes, which takes no room on the disk."""
    digest = mirror.store.put([name.encode()])
    path = mirror.store.path(digest)
    path.chmod(0o600)
    os.truncate(path, size)
    entries = (FileEntry("model.gguf", size, digest),)
    manifest = Manifest(ModelRef.parse(f"s3://bucket/{name}/"), entries)
    passed = Decision("PASSED", "standard", "f" * 64, ())
    mirror.served.catalog.settle_version(name, f"s3://bucket/{name}/", manifest, CARD, passed, (), lambda _: "1.0.0")


def test_a_file_above_what_the_client_fetches(mirror: Mirrored, tmp_path: Path) -> None:
    size = 51 * 1000**3
    large(mirror, "calls/large", size)
    done = mirror.python(
        "from huggingface_hub import hf_hub_download; hf_hub_download('calls/large', 'model.gguf')",
        tmp_path,
        HF_HUB_DISABLE_XET="1",
    )
    assert "too large to be downloaded" in done.stderr
    assert "use another client for model.gguf" in done.stderr
    response = mirror.head("/calls/large/resolve/main/model.gguf")
    assert int(response.headers["content-length"]) == size
