"""Nobody writes into the store through what a registry or an export gives out, whoever tries and however."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

import pytest

from tests.privileges import ordinary_owner
from tests.registries.conftest import build, contents, embedded
from tests.registries.values import CONTENT, put
from weighbridge.domain.digest import Digest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import IntegrityError
from weighbridge.registries.export import ExportRegistry, export_folder, export_hf_cache
from weighbridge.registries.folder_writer import Link, seems_whole
from weighbridge.registries.mlflow_session import load_mlflow
from weighbridge.store.local import LocalBlobStore

#: What MLflow writes beside an `MLmodel` into what it gives out, also where that is the registry's own folder.
META = {"registered_model_meta": b"not MLflow's", "MLmodel": b"flavors: {}\n"}


def write_into(path: Path) -> None:
    with open(path, "r+b") as file:
        file.write(b"changed")


def write_anew(path: Path) -> None:
    path.write_bytes(b"changed")


def append_to(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"changed")


def copy_over(path: Path) -> None:
    """As MLflow's `log_artifact` does into a folder of this machine."""
    changed = path.parent.parent / "changed"
    changed.write_bytes(b"changed")
    shutil.copy2(changed, path)


def replace(path: Path) -> None:
    changed = path.with_name("changed")
    changed.write_bytes(b"changed")
    os.replace(changed, path)


def truncate(path: Path) -> None:
    os.truncate(path, 0)


WAYS = (write_into, write_anew, append_to, copy_over, replace, truncate, Path.unlink)


def is_whole(store: LocalBlobStore, version: ModelVersion) -> bool:
    digests = [entry.digest for entry in version.manifest.files if entry.digest]
    return all(store.check(digest) is None for digest in digests) and set(store.digests()) >= set(digests)


@pytest.fixture(params=["root", "ordinary"])
def who(request: pytest.FixtureRequest) -> Iterator[str]:
    """Try as whoever runs the tests, which root is often, and as one whom permissions bind."""
    with ordinary_owner() if request.param == "ordinary" else nullcontext():
        yield request.param


def given_out(kind: str, store: LocalBlobStore, version: ModelVersion, folder: Path) -> Path:
    """Give a version out as registries and exports do, and return the folder that its users are told."""
    if kind == "export":
        return export_folder(version, store, folder / "taken")
    if kind == "hf-cache":
        return export_hf_cache(version, store, folder, "org/name")
    registry, _ = build(kind, folder, None)
    publication = registry.publish(version, store)
    found: dict[str, str] = {}
    if kind == "export-hf-cache":
        return next((folder / "models--org--name" / "snapshots").iterdir())
    exec("\n".join(publication.load[:-1]), {}, found)
    load_mlflow().set_tracking_uri(None)
    return Path(found["path"])


@pytest.mark.parametrize("kind", ["export", "hf-cache", "export-plain", "export-hf-cache", "mlflow-embedded"])
@pytest.mark.usefixtures("who")
def test_a_file_that_is_given_out_leads_nowhere_into_the_store(
    kind: str, store: LocalBlobStore, tmp_path: Path
) -> None:
    version = put(store, {way.__name__: way.__name__.encode() for way in WAYS})
    folder = given_out(kind, store, version, tmp_path / "out")
    for way in WAYS:
        with suppress(OSError):
            way(folder / way.__name__)
        with suppress(OSError):  # Whoever owns a file may also change its permissions.
            (folder / way.__name__).chmod(0o666)
            way(folder / way.__name__)
    assert (folder / "append_to").read_bytes().endswith(b"changed")
    assert is_whole(store, version)


@pytest.mark.usefixtures("who")
def test_the_user_of_an_export_may_change_it(store: LocalBlobStore, tmp_path: Path) -> None:
    version = put(store)
    for folder in (export_folder(version, store, tmp_path / "a"), export_hf_cache(version, store, tmp_path, "a")):
        for path in CONTENT:
            (folder / path).chmod(0o600)
            write_anew(folder / path)
    assert is_whole(store, version)


#: What another user tries with each file, after reading it.
_OF_ANOTHER_USER = """
for path do
  cat "$path" >/dev/null && echo read
  chmod 666 "$path"; echo changed >>"$path"; true >"$path"; mv /etc/hostname "$path"; rm -f "$path"
done
true
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("link", ["readonly", "hardlink"])
def test_another_user_reads_and_changes_nothing(link: Link) -> None:
    with tempfile.TemporaryDirectory() as name:
        (folder := Path(name)).chmod(0o755)
        version = put(store := LocalBlobStore(folder / "store"))
        with ordinary_owner():
            given = Path(ExportRegistry(folder / "out", link=link).publish(version, store).location)
        paths = [str(given / entry.path) for entry in version.manifest.files]
        program = ["sh", "-c", _OF_ANOTHER_USER, "sh", *paths]
        ran = subprocess.run(program, user=65534, group=65534, extra_groups=[], capture_output=True, check=True)
        assert ran.stdout.split() == [b"read"] * len(paths)
        assert contents(given) == CONTENT
        assert is_whole(store, version)


def test_a_clone_is_proven_before_it_is_given_out(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the file system's clones, which few machines have."""

    def clone(target: int, request: int, source: int) -> int:
        assert request == 0x40049409
        os.sendfile(target, source, 0, os.fstat(source).st_size)
        os.lseek(target, 0, os.SEEK_SET)
        return 0

    monkeypatch.setattr("fcntl.ioctl", clone)
    version = put(store)
    registry, _ = build("export-plain", tmp_path / "out", None)
    assert contents(Path(registry.publish(version, store).location)) == CONTENT
    (weights,) = (entry.digest for entry in version.manifest.files if entry.path == "model.safetensors")
    assert weights is not None
    store.path(weights).chmod(0o644)
    write_into(store.path(weights))
    with pytest.raises(IntegrityError):
        export_folder(version, store, tmp_path / "taken")
    assert not (tmp_path / "taken").exists()


@pytest.mark.parametrize("into", ["", "own folder", "the registry's own"])
@pytest.mark.usefixtures("who")
def test_mlflows_own_download_changes_no_blob(store: LocalBlobStore, tmp_path: Path, into: str) -> None:
    version = put(store, META | CONTENT)
    registry = embedded(tmp_path / "registry")
    publication = registry.publish(version, store)
    mlflow = load_mlflow()
    client = mlflow.MlflowClient(registry.address, registry.address)
    (found,) = client.search_model_versions("name = 'org--name'")
    own = Path(found.source.removeprefix("file://"))
    target = {"": None, "own folder": tmp_path / "taken", "the registry's own": own.parent}[into]
    with ExitStack() as stack:
        mlflow.set_tracking_uri(registry.address)
        stack.callback(mlflow.set_tracking_uri, None)
        with suppress(shutil.SameFileError) if into == "the registry's own" else nullcontext():
            if target is not None:
                target.mkdir(exist_ok=True)
            taken = Path(mlflow.artifacts.download_artifacts(publication.location, dst_path=target and str(target)))
            for path in contents(taken):
                with suppress(OSError):
                    (taken / path).chmod(0o666)
                    write_into(taken / path)
        for path in CONTENT:
            with suppress(OSError):  # An update of the model, as MLflow offers it.
                client.log_artifact(found.run_id, str(Path(__file__)), f"model/{path}".rpartition("/")[0])
    assert is_whole(store, version)
    registry.publish(version, store)
    assert contents(own).keys() >= CONTENT.keys()
    assert {path: contents(own)[path] for path in CONTENT} == CONTENT


@pytest.mark.usefixtures("who")
def test_a_copy_is_known_without_being_read_until_somebody_writes_to_it(store: LocalBlobStore, tmp_path: Path) -> None:
    version = put(store)
    registry, _ = build("export-plain", tmp_path / "out", None)
    folder = Path(registry.publish(version, store).location)
    (weights,) = (entry for entry in version.manifest.files if entry.path == "model.safetensors")
    assert isinstance(weights.digest, Digest)
    assert registry.holds(version, store)
    with suppress(OSError):
        write_into(folder / weights.path)
    changed = (folder / weights.path).read_bytes() != CONTENT[weights.path]
    assert seems_whole(folder, weights, store) != changed
    assert registry.holds(version, store) != changed
    registry.publish(version, store)
    assert contents(folder) == CONTENT
