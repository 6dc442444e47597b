"""What every registry promises (weighbridge.registries.interface), over every adapter."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.registries import killing
from tests.registries.conftest import Subject
from tests.registries.values import CONTENT, changed, put, undefault
from weighbridge.config.settings import Settings
from weighbridge.errors import BlobMissing, RegistryError
from weighbridge.registries import REGISTRIES
from weighbridge.store.local import LocalBlobStore


def test_what_is_published_is_loaded_byte_for_byte(subject: Subject, store: LocalBlobStore) -> None:
    publication = subject.registry.publish(put(store, name=subject.name), store)
    assert publication.registry == subject.registry.name
    assert subject.read_afresh(publication) == CONTENT
    compile("\n".join(publication.load), "load", "exec")


def test_publishing_again_changes_nothing(subject: Subject, store: LocalBlobStore) -> None:
    version = put(store, name=subject.name)
    publication = subject.registry.publish(version, store)
    assert subject.registry.publish(version, store) == publication


@pytest.mark.parametrize("status", ["FAILED", "SKIPPED", "PENDING"])
def test_only_what_passed_is_published(subject: Subject, store: LocalBlobStore, status: str) -> None:
    version = put(store, name=subject.name)
    with pytest.raises(RegistryError, match="only a version that PASSED"):
        subject.registry.publish(replace(version, status=status), store)  # type: ignore[arg-type]


def test_versions_live_side_by_side(subject: Subject, store: LocalBlobStore) -> None:
    first = subject.registry.publish(put(store, name=subject.name), store)
    second = subject.registry.publish(changed(store, "1.1.0", name=subject.name), store)
    assert first.location != second.location
    assert subject.read(first) == CONTENT
    assert subject.read(second) == {**CONTENT, "model.safetensors": b"1.1.0"}


def test_withdrawn_is_gone_until_published_again(subject: Subject, store: LocalBlobStore) -> None:
    version, other = put(store, name=subject.name), changed(store, "1.1.0", name=subject.name)
    publication = subject.registry.publish(version, store)
    kept = subject.registry.publish(other, store)
    for _ in range(2):
        subject.registry.withdraw(subject.name, "1.0.0", "New signatures hit.")
    try:
        left = subject.read(publication)
    except FileNotFoundError:
        left = {}
    assert left == {}
    assert "model.safetensors" in subject.read(kept)
    assert subject.registry.publish(undefault(version), store) == publication
    assert subject.read(publication) == CONTENT


def test_withdrawing_what_is_not_there_is_no_error(subject: Subject, store: LocalBlobStore) -> None:
    subject.registry.withdraw(subject.name, "1.0.0", "Never seen.")
    subject.registry.publish(put(store, name=subject.name), store)
    subject.registry.withdraw(subject.name, "9.9.9", "Never seen.")


def test_another_model_cannot_take_the_place(subject: Subject, store: LocalBlobStore) -> None:
    subject.registry.publish(put(store, name=subject.name), store)
    with pytest.raises(RegistryError, match="name"):
        subject.registry.publish(put(store, name=subject.name.replace("/", "--")), store)


@pytest.mark.parametrize("number", ["", "1", "../1.0.0", "default", "1.0.0/x"])
def test_a_version_is_a_semantic_version(subject: Subject, store: LocalBlobStore, number: str) -> None:
    with pytest.raises(RegistryError, match="semantic version"):
        subject.registry.publish(put(store, name=subject.name, number=number), store)


@pytest.mark.parametrize("name", ["", "///", "...", "x" * 300])
def test_a_name_that_no_registry_can_use(subject: Subject, store: LocalBlobStore, name: str) -> None:
    with pytest.raises(RegistryError):
        subject.registry.publish(put(store, name=name), store)


def test_a_missing_blob_publishes_nothing(subject: Subject, store: LocalBlobStore) -> None:
    version = put(store, name=subject.name)
    lost = version.manifest.by_path["tokenizer/vocab+merges.txt"].digest
    assert lost is not None
    content = store.path(lost).read_bytes()
    store.path(lost).unlink()
    with pytest.raises(BlobMissing):
        subject.registry.publish(version, store)
    store.put([content])
    assert subject.read(subject.registry.publish(version, store)) == CONTENT


def test_two_registries_of_one_place_agree(subject: Subject, store: LocalBlobStore, tmp_path: Path) -> None:
    version = put(store, name=subject.name)
    publication = subject.registry.publish(version, store)
    elsewhere = LocalBlobStore(tmp_path / "other")
    assert subject.registry.publish(put(elsewhere, name=subject.name), elsewhere) == publication
    shutil.rmtree(tmp_path / "store")
    assert subject.read(publication) == CONTENT


def test_processes_that_publish_at_once_make_one_version(subject: Subject, store: LocalBlobStore) -> None:
    version = put(store, name=subject.name)
    killing.publish_at_once(subject.registry, version, store, 3)
    publication = subject.registry.publish(version, store)
    assert subject.read(publication) == CONTENT
    if publication.registry == "mlflow":
        assert publication.location.endswith("/1")
        with subject.registry._session():  # type: ignore[attr-defined]
            client = subject.registry._client  # type: ignore[attr-defined]
            (found,) = client.search_model_versions(f"name = '{subject.name.replace('/', '--')}'")
            assert str(found.version) == "1"


def test_the_table_opens_each_kind(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert {name: REGISTRIES[name](settings).name for name in REGISTRIES} == {name: name for name in REGISTRIES}
