"""Exports in particular: folders, Hugging Face caches that its own clients read offline, and their registries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir

from tests.privileges import ordinary_owner
from tests.registries.conftest import contents
from tests.registries.values import CONTENT, changed, put, undefault
from tests.simulators.hub import Hub
from weighbridge.domain.digest import Hasher
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import BlobMissing, IntegrityError, RegistryError
from weighbridge.registries.export import ExportRegistry, export_folder, export_hf_cache
from weighbridge.registries.folder_writer import Link
from weighbridge.store.local import LocalBlobStore

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FROM_HUB = ModelRef("huggingface", "org/name", COMMIT)


def git_id(content: bytes) -> str:
    hasher = Hasher(("git-sha1",), len(content))
    hasher.update(content)
    return hasher.digests["git-sha1"].hex


# Plain folders


@pytest.mark.parametrize("link", ["copy", "readonly", "hardlink", "symlink"])
def test_a_folder_holds_the_files_and_nothing_else(store: LocalBlobStore, tmp_path: Path, link: Link) -> None:
    version = put(store)
    with ordinary_owner():
        target = export_folder(version, store, tmp_path / "new" / "model", link=link)
    assert contents(target) == CONTENT
    assert sorted(path.name for path in target.parent.iterdir()) == ["model"]
    weights = version.manifest.by_path["model.safetensors"].digest
    assert weights is not None
    exported = target / "model.safetensors"
    assert exported.samefile(store.path(weights)) == (link in ("hardlink", "symlink"))
    assert exported.is_symlink() == (link == "symlink")
    with ordinary_owner():
        assert os.access(exported, os.W_OK, effective_ids=True) == (link == "copy")


def test_the_same_export_again_is_left_alone(store: LocalBlobStore, tmp_path: Path) -> None:
    target = export_folder(put(store), store, tmp_path / "model")
    before = (target / "config.json").stat().st_ino
    assert export_folder(put(store), store, tmp_path / "model") == target
    assert (target / "config.json").stat().st_ino == before


def test_an_empty_folder_is_filled(store: LocalBlobStore, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert contents(export_folder(put(store), store, tmp_path / "model")) == CONTENT


@pytest.mark.parametrize("what", ["other version", "extra file", "changed file", "a file", "a dangling link"])
def test_what_stands_there_is_not_touched(store: LocalBlobStore, tmp_path: Path, what: str) -> None:
    target = tmp_path / "model"
    if what == "a file":
        target.write_text("mine")
    elif what == "a dangling link":
        target.symlink_to("nowhere")
    else:
        export_folder(put(store), store, target)
    if what == "extra file":
        (target / "notes.txt").write_text("mine")
    if what == "changed file":
        (target / "config.json").write_bytes(CONTENT["config.json"][::-1])
    version = changed(store, "1.1.0") if what == "other version" else put(store)
    before = contents(target) if target.is_dir() else os.lstat(target)
    with pytest.raises(RegistryError, match="nothing was changed"):
        export_folder(version, store, target)
    assert (contents(target) if target.is_dir() else os.lstat(target)) == before


@pytest.mark.parametrize("status", ["FAILED", "SKIPPED"])
def test_only_what_passed_is_exported(store: LocalBlobStore, tmp_path: Path, status: str) -> None:
    version = replace(put(store), status=status)  # type: ignore[arg-type]
    for export in (
        lambda: export_folder(version, store, tmp_path / "out"),
        lambda: export_hf_cache(version, store, tmp_path / "out", "org/name"),
    ):
        with pytest.raises(RegistryError, match="PASSED"):
            export()
    assert not (tmp_path / "out").exists()


def test_a_damaged_blob_is_not_given_out(store: LocalBlobStore, tmp_path: Path) -> None:
    version = put(store)
    weights = version.manifest.by_path["model.safetensors"].digest
    assert weights is not None
    store.path(weights).chmod(0o644)
    store.path(weights).write_bytes(bytes(len(CONTENT["model.safetensors"])))
    with pytest.raises(IntegrityError, match="fsck"):
        export_folder(version, store, tmp_path / "model")
    assert list(tmp_path.iterdir()) == [tmp_path / "store"]
    with pytest.raises(BlobMissing):  # It was set aside, so that the next ingest fetches it.
        export_hf_cache(version, store, tmp_path / "cache", "org/name")
    assert not list((tmp_path / "cache").rglob("snapshots/*"))


def test_a_place_that_cannot_be_written(store: LocalBlobStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="cannot be written"):
        export_folder(put(store), store, tmp_path / "file" / "model")
    with pytest.raises(RegistryError, match="cannot be written"):
        export_hf_cache(put(store), store, tmp_path / "file", "org/name")


def test_what_a_killed_export_left_is_swept_and_what_another_one_writes_is_not(
    store: LocalBlobStore, tmp_path: Path
) -> None:
    left = tmp_path / ".model.partial-dead"
    left.mkdir()
    (left / "config.json").write_text("half")
    busy = tmp_path / ".model.partial-busy"
    busy.mkdir()
    code = (
        "import fcntl,os,sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX);"
        " print(1, flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(busy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "1\n"
    export_folder(put(store), store, tmp_path / "model")
    assert (left.exists(), busy.exists()) == (False, True)
    other.communicate()
    assert contents(tmp_path / "model") == CONTENT


# Hugging Face caches


def ask_offline(cache: Path, code: str) -> str:
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    code = f"from huggingface_hub import *\n{code}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_hugging_faces_clients_find_everything_offline(store: LocalBlobStore, tmp_path: Path) -> None:
    snapshot = export_hf_cache(put(store), store, tmp_path / "cache", "org/name", ("main", "1.0.0", "refs/pr/1"))
    assert contents(snapshot) == CONTENT
    assert ask_offline(
        tmp_path / "cache",
        "print(snapshot_download('org/name'))\n"
        "print(snapshot_download('org/name', revision='1.0.0', local_files_only=True))\n"
        "print(snapshot_download('org/name', revision='refs/pr/1'))\n"
        "print(hf_hub_download('org/name', 'tokenizer/vocab+merges.txt'))\n"
        "print(try_to_load_from_cache('org/name', 'config.json'))",
    ).splitlines() == [
        str(snapshot), str(snapshot), str(snapshot),
        str(snapshot / "tokenizer/vocab+merges.txt"), str(snapshot / "config.json"),
    ]  # fmt: skip


def test_the_cache_is_one_that_hugging_face_calls_whole(store: LocalBlobStore, tmp_path: Path) -> None:
    version = put(store, ref=FROM_HUB)
    export_hf_cache(version, store, tmp_path / "cache", "org/name")
    found = scan_cache_dir(tmp_path / "cache")
    assert found.warnings == []
    (repository,) = found.repos
    (revision,) = repository.revisions
    assert (repository.repo_id, revision.commit_hash, revision.refs) == ("org/name", COMMIT, {"main"})
    assert revision.size_on_disk == sum(map(len, CONTENT.values()))
    links = [path for path in (tmp_path / "cache").rglob("*") if path.is_symlink()]
    assert len(links) == len(CONTENT)
    assert all(not os.path.isabs(os.readlink(path)) for path in links)


@pytest.mark.parametrize("attributes", [None, b"*.txt filter=lfs diff=lfs merge=lfs -text\n*.safetensors -filter\n"])
def test_blobs_are_named_as_the_hub_names_them(store: LocalBlobStore, tmp_path: Path, attributes: bytes | None) -> None:
    content = CONTENT if attributes is None else {**CONTENT, ".gitattributes": attributes}
    version = put(store, content)
    snapshot = export_hf_cache(version, store, tmp_path, "org/name")
    for path, data in content.items():
        digest = version.manifest.by_path[path].digest
        assert digest is not None
        in_lfs = path.endswith(".safetensors" if attributes is None else ".txt")
        assert Path(os.readlink(snapshot / path)).name == (digest.hex if in_lfs else git_id(data))


def test_what_is_too_large_for_git_is_named_by_its_sha256(store: LocalBlobStore, tmp_path: Path) -> None:
    version = put(store, {"vocab.json": bytes(10 * 1024 * 1024 + 1)})
    with ordinary_owner():
        snapshot = export_hf_cache(version, store, tmp_path, "name", link="hardlink")
    digest = version.manifest.files[0].digest
    assert digest is not None
    assert Path(os.readlink(snapshot / "vocab.json")).name == digest.hex
    assert (snapshot / "vocab.json").samefile(store.path(digest))


def from_hub(hub: Hub, store: LocalBlobStore) -> ModelVersion:
    """Return what the hub has, as a version of that commit."""
    commit = hub.add("org/name", CONTENT).find("main")
    return put(store, ref=ModelRef("huggingface", "org/name", commit))


def ask_hub(hub: Hub, *command: str) -> subprocess.CompletedProcess[str]:
    """Run the Hub's own command line against this hub."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url}
    hf = str(Path(sys.executable).with_name("hf"))
    return subprocess.run([hf, *command], env=environment, capture_output=True, text=True, check=False)


def test_hf_cache_verify_accepts_it_and_would_not_accept_another(store: LocalBlobStore, tmp_path: Path) -> None:
    command = ("cache", "verify", "org/name", "--cache-dir", str(tmp_path))
    command += ("--fail-on-missing-files", "--fail-on-extra-files")
    with Hub() as hub:
        snapshot = export_hf_cache(from_hub(hub, store), store, tmp_path, "org/name")
        accepted = ask_hub(hub, *command)
        assert accepted.returncode == 0, accepted.stdout + accepted.stderr
        (snapshot / "config.json").write_bytes(CONTENT["config.json"][::-1])
        assert ask_hub(hub, *command).returncode == 1


def test_a_client_that_comes_online_downloads_only_what_changed(store: LocalBlobStore, tmp_path: Path) -> None:
    command = ("download", "org/name", "--cache-dir", str(tmp_path))
    with Hub() as hub:
        export_hf_cache(from_hub(hub, store), store, tmp_path, "org/name")
        assert ask_hub(hub, *command).returncode == 0
        assert hub.asked("GET", "/resolve/") == []
        hub.repositories["models", "org/name"].commit({**CONTENT, "config.json": b"{}"})
        assert ask_hub(hub, *command).returncode == 0
        assert {request.path.rsplit("/", 1)[-1] for request in hub.asked("GET", "/resolve/")} == {"config.json"}


def test_a_damaged_cache_is_repaired(store: LocalBlobStore, tmp_path: Path) -> None:
    snapshot = export_hf_cache(put(store), store, tmp_path, "org/name")
    (snapshot / "config.json").write_bytes(b"x")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "tokenizer" / "vocab+merges.txt").resolve().unlink()
    (snapshot.parent.parent / "refs" / "main").unlink()
    assert export_hf_cache(put(store), store, tmp_path, "org/name") == snapshot
    assert contents(snapshot) == CONTENT
    assert (snapshot.parent.parent / "refs" / "main").read_text() == snapshot.name


@pytest.mark.parametrize("repo", ["", "a/b/c", "../x", "a--b", "-a"])
def test_a_repository_name_that_clients_refuse(store: LocalBlobStore, tmp_path: Path, repo: str) -> None:
    with pytest.raises(RegistryError, match="--repo"):
        export_hf_cache(put(store), store, tmp_path / "cache", repo)
    assert not (tmp_path / "cache").exists()


def test_a_dataset_lies_where_clients_look_for_one(store: LocalBlobStore, tmp_path: Path) -> None:
    version = put(store, ref=ModelRef("huggingface-dataset", "org/name", COMMIT))
    snapshot = export_hf_cache(version, store, tmp_path, "org/name")
    assert snapshot == tmp_path / "datasets--org--name" / "snapshots" / COMMIT
    assert ask_offline(tmp_path, "print(snapshot_download('org/name', repo_type='dataset'))") == str(snapshot)
    registry = ExportRegistry(tmp_path / "registry", "hf-cache")
    registry.publish(version, store)
    registry.withdraw("org/name", "1.0.0", "…")
    assert list((tmp_path / "registry").rglob("snapshots/*")) == []


# Registries


def test_the_plain_registry_points_at_the_default(store: LocalBlobStore, tmp_path: Path) -> None:
    registry, home = ExportRegistry(tmp_path / "out"), tmp_path / "out" / "org--name"
    registry.publish(put(store), store)
    assert contents(home / "default") == CONTENT
    registry.publish(changed(store, "1.1.0"), store)
    assert os.readlink(home / "default") == "1.1.0"
    registry.publish(undefault(changed(store, "1.1.0")), store)
    assert not os.path.lexists(home / "default")
    registry.publish(put(store), store)
    registry.withdraw("org/name", "1.0.0", "New signatures hit.")
    assert sorted(path.name for path in home.iterdir()) == ["1.1.0", "weighbridge.json"]
    versions = json.loads((home / "weighbridge.json").read_text())["versions"]
    assert versions["1.0.0"]["withdrawn"] == "New signatures hit."
    assert "withdrawn" not in versions["1.1.0"]


def test_a_damaged_plain_registry_is_repaired(store: LocalBlobStore, tmp_path: Path) -> None:
    registry, home = ExportRegistry(tmp_path / "out"), tmp_path / "out" / "org--name"
    publication = registry.publish(put(store), store)
    (home / "1.0.0" / "config.json").unlink()
    (home / "1.0.0" / "more.py").write_text("")
    assert registry.publish(put(store), store) == publication
    assert contents(home / "1.0.0") == CONTENT


def test_a_broken_index_is_said_to_be_broken(store: LocalBlobStore, tmp_path: Path) -> None:
    registry = ExportRegistry(tmp_path / "out")
    registry.publish(put(store), store)
    index = tmp_path / "out" / "org--name" / "weighbridge.json"
    index.write_text("[]")
    with pytest.raises(RegistryError, match="Remove it"):
        registry.publish(put(store), store)
    index.unlink()
    registry.publish(put(store), store)


def test_withdrawing_from_a_cache_keeps_what_others_need(store: LocalBlobStore, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    registry = ExportRegistry(cache, "hf-cache")
    registry.publish(put(store), store)
    registry.publish(undefault(changed(store, "1.1.0")), store)
    registry.withdraw("org/name", "1.0.0", "New signatures hit.")
    assert sorted(path.name for path in (cache / "models--org--name" / "refs").iterdir()) == ["1.1.0"]
    assert ask_offline(cache, "print(snapshot_download('org/name', revision='1.1.0'))")
    blobs = {path.read_bytes() for path in (cache / "models--org--name" / "blobs").iterdir()}
    assert blobs == {*CONTENT.values(), b"1.1.0"} - {CONTENT["model.safetensors"]}
    assert scan_cache_dir(cache).warnings == []
